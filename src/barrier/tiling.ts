import { compareBytes, type KeyRange, keyspaceOf, tableRange } from "../protocol/span.ts";

/**
 * Whether ranges join from a table's start to exactly its end without a gap; they may overlap (protocol.md R9). The
 * outer ends are the table's own in TiCDC's keys, or empty for nodes with keys of their own.
 */
export function tiles(tableId: bigint, ranges: readonly KeyRange[]): boolean {
  return covers(tableId, WHOLE, ranges);
}

const WHOLE: KeyRange = { start: new Uint8Array(), end: new Uint8Array() };

/** Whether ranges of a table leave no gap in a part of it. */
export function covers(tableId: bigint, part: KeyRange, ranges: readonly KeyRange[]): boolean {
  if (ranges.length === 0) return false;
  const whole = tableRange(tableId);
  const is = (key: Uint8Array, which: "start" | "end") =>
    compareBytes(key, whole[which]) === 0 ||
    // In a keyspace the same keys stand behind its prefix.
    (keyspaceOf(key) > 0 && compareBytes(key, tableRange(tableId, keyspaceOf(key))[which]) === 0);
  const opens = (range: KeyRange) => range.start.length === 0 || is(range.start, "start");
  const closes = (range: KeyRange) => range.end.length === 0 || is(range.end, "end");
  const fromStart = opens(part);
  const toEnd = closes(part);
  const begins = (range: KeyRange) =>
    opens(range) || (!fromStart && compareBytes(range.start, part.start) <= 0);
  const ends = (range: KeyRange) => closes(range) || (!toEnd && compareBytes(range.end, part.end) >= 0);
  if (ranges.length === 1) return begins(ranges[0]!) && ends(ranges[0]!);

  const rest = ranges.filter((range) => !begins(range));
  rest.sort((a, b) => compareBytes(a.start, b.start));
  let reached: Uint8Array | undefined;
  for (const range of ranges) {
    if (!begins(range)) continue;
    if (ends(range)) return true;
    if (reached === undefined || compareBytes(range.end, reached) > 0) reached = range.end;
  }
  if (reached === undefined) return false;
  for (const range of rest) {
    if (compareBytes(range.start, reached) > 0) return false;
    if (ends(range)) return true;
    if (compareBytes(range.end, reached) > 0) reached = range.end;
  }
  return false;
}
