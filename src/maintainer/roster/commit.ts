import { RosterDraft } from "../../barrier/draft.ts";
import { ask, type Program } from "../base/program.ts";
import { rejudgeAll } from "../session/agenda.ts";
import { commit } from "../session/commit.ts";
import type { Session } from "../session/session.ts";
import { putDraft } from "../steps/apply.ts";
import { settle } from "../steps/settle.ts";

/**
 * Makes a draft the roster, on the one that it was made of, and judges what that changes.
 * @returns false: a race was lost
 */
export function* commitRoster(session: Session, draft: RosterDraft): Program<boolean> {
  const { changes, replaced, touched } = yield* putDraft(session, draft);
  const conditions = { sameEpoch: session.root!.epoch, sameRoster: draft.base.version };
  const done = yield* commit(session, conditions, { roster: changes });
  yield* ask(
    "expireChunks",
    session.space,
    done ? replaced : changes.pointers.filter((pointer) => touched.has(pointer.id)),
  );
  if (done) {
    rejudgeAll(session, [...touched]);
    yield* settle(session);
  }
  return done;
}

/** Takes out of the roster what nobody needs and nobody touches any more. A race that is lost leaves it to the next sweep. */
export function* tidyRoster(session: Session): Program<void> {
  const draft = new RosterDraft(yield* session.roster(), session.now, session.settings.rememberFor);
  draft.tidy();
  if (draft.changed) yield* commitRoster(session, draft);
}
