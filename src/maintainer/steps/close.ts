import { type Step, writerOf } from "../../barrier/step.ts";
import { passToAll } from "../answers/repeat.ts";
import { ask, type Program } from "../base/program.ts";
import { commit } from "../session/commit.ts";
import type { Session } from "../session/session.ts";

/** Pass to all whom a barrier touches, after the commit that made it passing (invariants.md I3). */
export function* announceWritten(session: Session, key: string, step: Step): Program<void> {
  session.observer.note({
    what: "barrier-written",
    space: session.space.text,
    key,
    ms: session.now - (step.grantedAt || step.openedAt),
  });
  yield* passToAll(session, key);
}

/** Gives a closed barrier its tombstone, then takes it out of the root (invariants.md S4). */
export function* buryClosed(session: Session, key: string): Program<void> {
  const step = session.step(key);
  if (step?.phase !== "closed") return;
  const { grantedAt, writtenAt, phaseAt } = step;
  yield* ask(
    "touchBarrier",
    session.name(key),
    {},
    {
      tombstone: {
        closedAt: phaseAt,
        closedOn: step.closedOn ?? 0,
        grantedAt,
        writtenAt,
        writer: writerOf(step)?.id ?? "",
        lives: step.grantedLives,
      },
    },
  );
  yield* commit(session, { sameEpoch: session.root!.epoch }, { remove: key });
}
