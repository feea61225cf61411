/**
 * What a commitTs can be. Numbers of 64 bits hold more than commitTs: TiCDC says "no information" with 2^64 - 1, TiDB "none" with
 * 2^63 - 1, and one that is far too high makes everything before it look done (protocol.md R13, M2, M15, R10).
 */
import type { EventKey } from "../protocol/event-key.ts";

/** What TiCDC reports while it knows no checkpoint: no information, never progress (ticdc.md T11). */
export const NO_CHECKPOINT = 2n ** 64n - 1n;
/** The highest commitTs, life or epoch: one above must still be below what means something else. */
export const MAX_NUMBER = 2n ** 63n - 2n;

/** TiDB's timestamps are milliseconds since 1970, then this many bits. */
const LOGICAL_BITS = 18n;
const YEAR_MS = 366 * 24 * 3600 * 1000;
/** Where keys are small numbers they may grow by this much at a time: some 50 days as TiDB counts. */
const STEP = 2n ** 50n;

/**
 * The highest commitTs that is taken for one, beside what was seen: a year ahead of now as TiDB counts, or twice the highest key
 * ever seen and a good step, for those who count otherwise. Only what nobody can mean is above both: nothing depends on the
 * clock being right.
 * @param highest the highest commitTs of any key ever seen; 0: none
 * @param now milliseconds since 1970
 */
export function highestPlausible(highest: bigint, now: number): bigint {
  const ahead = BigInt(now + YEAR_MS) << LOGICAL_BITS;
  const grown = 2n * highest + STEP;
  const most = ahead > grown ? ahead : grown;
  return most < MAX_NUMBER ? most : MAX_NUMBER;
}

/** Why a number that is to be a commitTs is none; undefined: it can be one. @param name of its field */
export function commitTsFault(commitTs: bigint, name: string, most: bigint = MAX_NUMBER): string | undefined {
  if (commitTs === 0n) return `${name} is 0: name a commitTs`;
  if (commitTs === NO_CHECKPOINT)
    return `${name} is 2^64 - 1, which says that nothing is known: name a commitTs`;
  if (commitTs > MAX_NUMBER) return `${name} is ${commitTs}: a commitTs is below 2^63 - 1`;
  if (commitTs > most)
    return `${name} is ${commitTs}, far above every commitTs that this changefeed has met: name one of its own`;
  return undefined;
}

/** The highest commitTs among keys. */
export function highestOf(keys: Iterable<EventKey>): bigint {
  let highest = 0n;
  for (const { commitTs } of keys) if (commitTs > highest) highest = commitTs;
  return highest;
}
