import { RosterDraft } from "../../barrier/draft.ts";
import { Observer } from "../base/observe.ts";
import { ask, type Program } from "../base/program.ts";
import type { Space } from "../base/space.ts";
import { type Invocation, openSession } from "../batch.ts";
import { commit } from "../session/commit.ts";
import { contend, LOST } from "../session/contention.ts";
import { putDraft } from "../steps/apply.ts";

/**
 * Frees a node's id from the principal that registered it first (protocol.md R7), because that one is gone or was not the right one.
 * Its lives stay: they end when the node starts again.
 * @param to the principal that the id is bound to from now on; empty: that of its next registration
 * @returns whom it was bound to, empty: to nobody; undefined: there is no such node
 */
export function* unbind(
  space: Space,
  id: string,
  to: string,
  invocation: Invocation,
): Program<string | undefined> {
  const session = openSession(space, invocation, new Observer(), 1);
  return yield* contend(session.where(), function* () {
    const root = yield* session.refresh();
    if (root === undefined) return undefined;
    const roster = yield* session.roster();
    const node = roster.nodes.get(id);
    if (node === undefined || node.principal === to) return node?.principal;
    const draft = new RosterDraft(roster, session.now, session.settings.rememberFor);
    draft.putNode({ ...node, principal: to });
    const { changes, replaced, touched } = yield* putDraft(session, draft);
    const conditions = { sameEpoch: root.epoch, sameRoster: roster.version };
    const done = yield* commit(session, conditions, { roster: changes });
    const unused = changes.pointers.filter((pointer) => touched.has(pointer.id));
    yield* ask("expireChunks", space, done ? replaced : unused);
    if (done) return node.principal;
    return LOST;
  });
}
