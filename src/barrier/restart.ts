import { compareKeys, type EventKey } from "../protocol/event-key.ts";
import type { Restart } from "./roster.ts";

/** An event that a dispatcher had reached, and whether it had it behind it. */
export interface Reached {
  readonly key: EventKey;
  readonly passed: boolean;
}

/**
 * Where a dispatcher starts that is created again (ticdc.md TM59): from its checkpoint, or right at the event at which it
 * stood. At a syncpoint it starts at its commitTs, and gets it as its first event; at a DDL it starts just before, takes the
 * DDL again, and not the rows of the DDL's commitTs, which it had written already.
 * @param checkpointTs what is known to be behind it at least
 */
export function restartAt(checkpointTs: bigint, reached: readonly Reached[]): Restart {
  let startTs = checkpointTs;
  let standsAt: EventKey | undefined;
  for (const { key, passed } of reached)
    if (passed) startTs = max(startTs, key.commitTs);
    else if (standsAt === undefined || compareKeys(key, standsAt) > 0) standsAt = key;
  if (standsAt === undefined) return { startTs, skipDMLAsStartTs: false };
  if (standsAt.isSyncPoint) return { startTs: max(startTs, standsAt.commitTs), skipDMLAsStartTs: false };
  startTs = max(startTs, standsAt.commitTs - 1n);
  return { startTs, skipDMLAsStartTs: startTs + 1n === standsAt.commitTs };
}

/** One source of a merge: how far it is, and the event at which it waits. */
export interface MergeSource {
  readonly checkpointTs: bigint;
  readonly waitsAt: EventKey | undefined;
}

/**
 * Where the dispatcher starts that takes several over (ticdc.md TM60; decided on the node): if all of them wait at one
 * event, right at it; otherwise from the lowest checkpoint.
 * @throws RangeError if there is no source
 */
export function mergedStart(sources: readonly MergeSource[]): Restart {
  const [first] = sources;
  if (first === undefined) throw new RangeError("a merge needs at least one source");
  const lowest = sources.reduce(
    (low, one) => (one.checkpointTs < low ? one.checkpointTs : low),
    first.checkpointTs,
  );
  const key = first.waitsAt;
  const together =
    key !== undefined && sources.every((one) => one.waitsAt && compareKeys(one.waitsAt, key) === 0);
  return restartAt(lowest, together ? [{ key, passed: false }] : []);
}

const max = (a: bigint, b: bigint) => (a > b ? a : b);
