import type { Place } from "../../barrier/roster.ts";
import { WeirError } from "../../error/weir-error.ts";
import type { Program } from "../base/program.ts";
import type { Session } from "../session/session.ts";
import { judge } from "./judge.ts";
import { passedByLater, provenPast } from "./passed.ts";
import { rejudge } from "./rejudge.ts";

/**
 * A task without effect adds none. A barrier moves at most through its five phases, and each move makes all open barriers
 * looked at: more than this comes from a fault.
 */
const mostTasks = (open: number) => 1_000 + 32 * open * open;

/**
 * Does all that is on a session's agenda, and what is added meanwhile.
 * @throws Error if there is no end to it
 */
export function* settle(session: Session): Program<void> {
  let open = 0;
  for (let done = 1; ; done++) {
    const task = session.agenda.take();
    if (task === undefined) return;
    open = Math.max(open, session.root?.steps.size ?? 0);
    if (done > mostTasks(open))
      throw new WeirError(
        "no-end",
        `${session.space.text}: ${done} tasks for ${open} open barriers, and there is no end to them`,
      );
    switch (task.what) {
      case "judge":
        yield* judge(session, task.key, task.preferred);
        break;
      case "rejudge":
        yield* rejudge(session, task.key, task.changed);
        break;
      case "past":
        yield* provenPast(session, task.key, task.places);
        break;
      case "past-by-later":
        yield* passedByLater(session, task.key, task.read, task.later);
        break;
      case "all-past-by-later":
        for (const key of [...(session.root?.steps.keys() ?? [])].sort())
          session.agenda.add({ what: "past-by-later", key, read: task.read });
        break;
    }
  }
}

/** Judges a barrier, and all that follows from it. @param preferred as in `judge` */
export function* judgeNow(session: Session, key: string, preferred?: Place): Program<void> {
  session.agenda.add({ what: "judge", key, preferred });
  yield* settle(session);
}
