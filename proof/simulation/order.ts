/** The order of events, said once more: what watches must not share a fault with what it watches (invariants.md I8). */
import type { EventKey } from "../../src/protocol/event-key.ts";

/** Whether `a` comes before `b`. */
export function isBefore(a: EventKey, b: EventKey): boolean {
  return a.commitTs < b.commitTs || (a.commitTs === b.commitTs && !a.isSyncPoint && b.isSyncPoint);
}

/** Whether who starts at a checkpoint has an event behind it: the DDL at it, not the syncpoint (protocol.md R10). */
export function isBehind(checkpoint: bigint, key: EventKey): boolean {
  return key.commitTs < checkpoint || (key.commitTs === checkpoint && !key.isSyncPoint);
}

/** A key as people read it: the last digits of its commitTs, and `s` for a syncpoint. */
export function short({ commitTs, isSyncPoint }: EventKey): string {
  return `${(commitTs / 1_000n) % 100_000n}${isSyncPoint ? "s" : ""}`;
}

/** An event's name: what the root calls it. */
export function storedName({ commitTs, isSyncPoint }: EventKey): string {
  return `${commitTs.toString().padStart(20, "0")}-${isSyncPoint ? 1 : 0}`;
}
