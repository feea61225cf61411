/** Bounds of what is kept for dispatchers that have not registered (decisions/0032). */

/** Bytes of one item, as a rule: DynamoDB takes 400 KB. A single status that is larger has an item of its own. */
export const KEPT_ITEM_BYTES = 96 * 1024;

/** Lives in one status of a kept item: some 60 KB of ids and numbers. */
export const LIVES_PER_STATUS = 2_000;

/**
 * Bytes of all items of one changefeed and mode, each counted with `KEPT_OVERHEAD`: some 60,000 dispatchers that report once,
 * or 1,000 items. All are read at once, by whoever keeps more.
 */
export const KEPT_BYTES = 2 * 1024 * 1024;

/** What an item counts for beside its body: it takes time, too. */
export const KEPT_OVERHEAD = 2 * 1024;

/** Puts values together, in their order, so that none of the parts is larger than an item, but for one that is by itself. */
export function inPieces<T>(all: readonly T[], sizeOf: (one: T) => number): T[][] {
  const pieces: T[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const one of all) {
    const bytes = sizeOf(one);
    if (size + bytes > KEPT_ITEM_BYTES) {
      pieces.push([]);
      size = 0;
    }
    pieces.at(-1)!.push(one);
    size += bytes;
  }
  return pieces;
}
