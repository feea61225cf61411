/** What DynamoDB bills for the bytes of an item. */

/** Units of a write: a kilobyte each, at least one; the larger of the item before and after counts. */
export function writeUnits(before: number, after: number): number {
  return Math.max(1, Math.ceil(Math.max(before, after) / 1024));
}

/** Units of a strongly consistent read: four kilobytes each, at least one. */
export function readUnits(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 4096));
}
