import type { RosterDraft } from "../barrier/draft.ts";
import { putDraft } from "./applying.ts";
import { commit } from "./commit.ts";
import { evaluate } from "./evaluate.ts";
import { ask, type Program } from "./program.ts";
import type { Session } from "./session.ts";

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
  if (done) yield* evaluate(session, [...touched]);
  return done;
}
