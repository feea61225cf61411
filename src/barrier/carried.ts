/** What a new epoch takes over of the one before: whose a node's id is (protocol.md R7, decisions/0046). */
import { RosterDraft } from "./draft.ts";
import { isUnseenFor } from "./forgotten.ts";
import { EMPTY_META, type NodeEntry, Roster } from "./roster.ts";

/**
 * The roster that an epoch begins with: nobody in it, but the principals that nodes were bound to. Version 0: no root points
 * to its chunks yet.
 * @param former nodes of the epoch before
 * @param now milliseconds since 1970
 */
export function carriedOver(former: readonly NodeEntry[], now: number, rememberFor: number): Roster {
  const draft = new RosterDraft(new Roster(0, EMPTY_META, []), now, rememberFor);
  for (const { id, encoding, principal, unseenSince = now } of former)
    if (principal !== "" && !isUnseenFor(unseenSince, now, rememberFor))
      draft.putNode({ id, start: 0n, nodeQueue: "", encoding, principal, unseenSince });
  return draft.changed ? new Roster(0, draft.meta, draft.finish()) : draft.base;
}
