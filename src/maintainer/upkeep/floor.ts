/**
 * The floor (protocol.md M19): up to that key every dispatcher is done with everything. It is kept in the root for ever, so
 * nothing depends on how long tombstones stay (invariants.md I9).
 */

import { eventFromBytes } from "../../barrier/event.ts";
import { type ClosedEvent, floorOf } from "../../barrier/floor.ts";
import type { Root } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { commit } from "../session/commit.ts";
import type { Session } from "../session/session.ts";

/** Closed barriers that are looked through for how far dispatchers are, the newest first. */
const EVIDENCE = 1_000;
/** Items of barriers that one sweep lets expire. */
const EXPIRED_AT_ONCE = 500;
/** Open barriers up to which the floor rises: the condition names each, and an expression has 4 KB. */
export const OPEN_TO_RAISE = 50;
/** Where nothing was closed meanwhile, it is tried again after this many ms. */
const TRY_AGAIN_AFTER = 10 * 60_000;

/**
 * Raises the floor as far as everybody is known to be, at most to the highest key that was closed: what nobody has seen is
 * not taken for done. Then items of barriers below the former floor get their time to live. Costs nothing where nothing was closed above the floor.
 */
export function* raiseFloor(session: Session): Program<void> {
  const { root, memory, now } = session;
  if (root === undefined || root.closedCount === 0) return;
  const { closedUpTo, closedCount } = root;
  if (closedUpTo !== undefined && closedUpTo <= root.floor) return;
  if (root.steps.size > OPEN_TO_RAISE) return;
  const tried = memory.floorTried;
  const age = now - (tried?.at ?? 0);
  if (tried?.closedCount === closedCount && age >= 0 && age < TRY_AGAIN_AFTER) return;
  memory.floorTried = { closedCount, at: now };

  const roster = yield* session.roster();
  const closed = yield* closedAbove(session, root);
  // A root from before there was a floor does not tell the highest key that was closed.
  const highest = closedUpTo ?? closed[0]?.key;
  if (highest === undefined) return;
  const positions = yield* ask("readPositions", session.space, root.epoch);
  const reached = floorOf(roster, positions, closed, root.steps.keys());
  if (reached === undefined) return;
  const key = reached < highest ? reached : highest;
  if (key <= root.floor) return;
  const expiredUpTo = yield* letExpire(session, root);
  const conditions = {
    sameEpoch: root.epoch,
    sameRoster: root.rosterVersion,
    sameOpen: [...root.steps.keys()],
  };
  // Lost to somebody who changed the roster or opened a barrier: the next sweep judges anew.
  if (!(yield* commit(session, conditions, { floor: { key, expiredUpTo } }))) memory.floorTried = undefined;
}

function* closedAbove(session: Session, root: Root): Program<(ClosedEvent & { readonly key: string })[]> {
  const range = { above: root.floor, upTo: ABOVE_ALL };
  const items = yield* ask("readHistory", session.space, root.epoch, EVIDENCE, range);
  return items.flatMap(({ key, item: { event, tombstone } }) =>
    tombstone === undefined || event.length === 0
      ? []
      : [{ key, event: eventFromBytes(event), closedOn: tombstone.closedOn }],
  );
}

/** Above every key. */
const ABOVE_ALL = "~";

/** Lets items of barriers up to the floor, as it stands in the root, expire. @returns up to which key they do */
function* letExpire(session: Session, root: Root): Program<string> {
  if (root.expiredUpTo >= root.floor) return root.expiredUpTo;
  const range = { above: root.expiredUpTo, upTo: root.floor, oldestFirst: true as const };
  const items = yield* ask("readHistory", session.space, root.epoch, EXPIRED_AT_ONCE, range);
  const keys = items.map((one) => one.key);
  if (keys.length > 0) yield* ask("expireBarriers", session.space, root.epoch, keys);
  return keys.length < EXPIRED_AT_ONCE ? root.floor : keys.at(-1)!;
}
