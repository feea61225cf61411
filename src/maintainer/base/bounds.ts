/** What an item may hold, and what happens before it is full (docs/bounds.md; protocol.md M20). Shares are of `itemBytes`. */
import { grantCount, type Step } from "../../barrier/step.ts";
import type { Root } from "./port.ts";

/** DynamoDB's limit of an item, names of attributes and keys included. */
export const ITEM_BYTES = 400 * 1024;

/** Of the root: how full it may be for a barrier that is opened above all open ones, and below all of them. */
export const OPEN_SHARE = { highest: 0.6, lowest: 0.9 } as const;
/** Of the root: beyond this a grant takes the place of the oldest one of its barrier. */
export const GRANT_SHARE = 0.92;
/** Of a barrier's item: the event, and the route changes that it brings. */
export const EVENT_SHARE = 0.5;
export const ROUTES_SHARE = 0.125;
/** Superseded marks of a barrier before they are taken out. */
export const MAX_SUPERSEDED_MARKS = 256;
/** Queues that a barrier says are gone. */
export const MAX_UNREACHABLE = 100;
/** Bytes of a conflict's reason, as the root holds it. */
export const MAX_CONFLICT = 400;

/** Bytes of a step without event and grants, with its key and its place among the pending; and of a grant without its node. */
const STEP_BYTES = 380;
const GRANT_BYTES = 180;
/** Numbers and phases that become longer as a barrier goes on. */
const PROGRESS_BYTES = 60;

/**
 * Whether there is room in the root for one more barrier. All that open ones may still come to is set aside. The lower a key
 * is among the open ones, the more of the root is there for it: whom others wait for always gets in (invariants.md I6).
 * @param nodeBytes the length of the longest node id, which a grant names
 */
export function roomToOpen(
  root: Root,
  key: string,
  step: Step,
  nodeBytes: number,
  itemBytes: number,
): boolean {
  // A store that does not weigh has no bound.
  if (root.bytes === 0) return true;
  let taken = root.bytes + STEP_BYTES + (step.event?.length ?? 0) + yetToCome(step, nodeBytes);
  let above = 0;
  for (const [other, open] of root.steps) {
    taken += yetToCome(open, nodeBytes);
    if (other > key) above++;
  }
  const { highest, lowest } = OPEN_SHARE;
  const share = root.steps.size === 0 ? lowest : highest + (lowest - highest) * (above / root.steps.size);
  return taken <= share * itemBytes;
}

/** Bytes that an open barrier may still add to the root. */
function yetToCome(step: Step, nodeBytes: number): number {
  const grant = step.phase === "waiting" && grantCount(step) === 0 ? GRANT_BYTES + nodeBytes : 0;
  const conflict = step.routes && step.conflict === undefined ? MAX_CONFLICT : 0;
  return PROGRESS_BYTES + grant + conflict;
}

/** A reason short enough for the root, as the JSON that it is kept in. */
export function shortReason(text: string): string {
  if (Buffer.byteLength(JSON.stringify(text)) <= MAX_CONFLICT) return text;
  let end = Math.min(text.length, MAX_CONFLICT);
  const cut = () => `${text.slice(0, end).toWellFormed()}...`;
  while (Buffer.byteLength(JSON.stringify(cut())) > MAX_CONFLICT) end -= 10;
  return cut();
}

/** Minutes from one collection of a changefeed's chunk versions to the next: about a day (decisions/0044). */
export const COLLECT_EVERY = 1_439;
