/**
 * What names a block event within a changefeed, mode and epoch. A DDL and a syncpoint may share a commitTs, so
 * every comparison uses both parts; the DDL comes first (invariants.md I8).
 */
export interface EventKey {
  /** TSO timestamp, above 2^53: never a JavaScript number. */
  readonly commitTs: bigint;
  readonly isSyncPoint: boolean;
}

/** Negative, zero or positive, as `a` comes before, is, or comes after `b`. */
export function compareKeys(a: EventKey, b: EventKey): number {
  if (a.commitTs !== b.commitTs) return a.commitTs < b.commitTs ? -1 : 1;
  return Number(a.isSyncPoint) - Number(b.isSyncPoint);
}

/**
 * The key as text whose order as a string is the order of events: the commitTs zero-padded to 20 digits (2^64 has 20),
 * a dash, `0` for a DDL and `1` for a syncpoint.
 */
export function keyText(key: EventKey): string {
  return `${key.commitTs.toString().padStart(20, "0")}-${key.isSyncPoint ? "1" : "0"}`;
}

/** The inverse of `keyText`. */
export function parseKeyText(text: string): EventKey {
  return { commitTs: BigInt(text.slice(0, 20)), isSyncPoint: text.endsWith("-1") };
}
