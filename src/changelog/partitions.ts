/** PARTITION BY: how a table is split into partitions, of which each is a physical table of its own. */
import { Cursor, split } from "./cursor.ts";
import type { Token } from "./tokens.ts";

export type PartitionMethod = "range" | "list" | "hash" | "key" | "system_time";

/** One partition. `bound` says which rows it holds: tokens of VALUES LESS THAN or VALUES IN; absent for hash and key. */
export interface PartitionDefinition {
  readonly name: string;
  /** `undefined` inside: MAXVALUE or DEFAULT. */
  readonly bound?: readonly Token[] | undefined;
}

export interface Partitioning {
  readonly method: PartitionMethod;
  /** The expression, or the columns, in the parentheses behind the method. */
  readonly by: readonly Token[];
  /** RANGE COLUMNS and LIST COLUMNS compare columns themselves. */
  readonly columns: boolean;
  /** LINEAR HASH and LINEAR KEY. */
  readonly linear: boolean;
  readonly partitions: readonly PartitionDefinition[];
}

/** Reads what stands behind PARTITION BY, as far as it says which partitions there are. */
export function readPartitioning(cursor: Cursor): Partitioning {
  const linear = cursor.take("LINEAR");
  const word = cursor.next()?.upper ?? "";
  const method = (
    ["RANGE", "LIST", "HASH", "KEY", "SYSTEM_TIME"].includes(word) ? word.toLowerCase() : "hash"
  ) as PartitionMethod;
  if (cursor.take("ALGORITHM")) {
    cursor.take("=");
    cursor.skip();
  }
  const columns = cursor.take("COLUMNS");
  const by = method !== "system_time" && cursor.is("(") ? cursor.parenthesis() : [];
  let count: number | undefined;
  let interval: Token[] | undefined;
  let first: readonly Token[] | undefined;
  let last: readonly Token[] | undefined;
  let ends = 0;
  let listed: PartitionDefinition[] | undefined;
  while (!cursor.atEnd) {
    if (cursor.take("PARTITIONS")) count = Number(cursor.next()?.text);
    else if (cursor.take("SUBPARTITION", "BY")) {
      cursor.take("LINEAR");
      cursor.skip();
      if (cursor.take("ALGORITHM")) cursor.skip(2);
      if (cursor.is("(")) cursor.parenthesis();
    } else if (cursor.take("SUBPARTITIONS")) cursor.skip();
    else if (method !== "system_time" && cursor.take("INTERVAL")) {
      interval = cursor.is("(") ? [...cursor.parenthesis()] : [];
    } else if (cursor.take("FIRST", "PARTITION", "LESS", "THAN")) first = cursor.parenthesis();
    else if (cursor.take("LAST", "PARTITION", "LESS", "THAN")) last = cursor.parenthesis();
    else if (cursor.take("NULL", "PARTITION") || cursor.take("MAXVALUE", "PARTITION")) ends++;
    else if (cursor.is("(")) {
      const inside = cursor.parenthesis();
      if (new Cursor(inside).is("PARTITION")) listed = readPartitions(inside);
    } else cursor.skip();
  }
  const partitions =
    listed ?? (interval && first && last ? steps(interval, first, last, ends) : numbered(count ?? 1));
  return { method, by, columns, linear, partitions };
}

/** A list of PARTITION name VALUES ..., without its parentheses. */
export function readPartitions(tokens: readonly Token[]): PartitionDefinition[] {
  return split(tokens, ",").map((part) => {
    const cursor = new Cursor(part);
    cursor.take("PARTITION");
    cursor.takeIfExists();
    const name = cursor.name("a partition");
    let bound: readonly Token[] | undefined;
    if (cursor.take("VALUES", "LESS", "THAN") || cursor.take("VALUES", "IN"))
      bound = cursor.is("(") ? cursor.parenthesis() : cursor.rest.slice(0, 1);
    else if (cursor.is("DEFAULT")) bound = cursor.rest.slice(0, 1);
    return bound ? { name, bound } : { name };
  });
}

/** The names that a server gives: p0, p1, ... from a number on. */
export function numbered(count: number, from = 0): PartitionDefinition[] {
  const known = Number.isInteger(count) && count > 0 ? Math.min(count, 8192) : 1;
  return Array.from({ length: known }, (_, index) => ({ name: `p${from + index}` }));
}

/** TiDB's INTERVAL: from the first bound in equal steps to the last one. Dates are counted in days, months or years. */
function steps(
  interval: readonly Token[],
  first: readonly Token[],
  last: readonly Token[],
  ends: number,
): PartitionDefinition[] {
  const size = Number(interval[0]?.text);
  const unit = interval[1]?.upper ?? "";
  const place = (tokens: readonly Token[]) => {
    const text = tokens.map((one) => one.text).join("");
    if (unit === "") return Number(text);
    const [year = 0, month = 1, day = 1] = text.split(/[-: ]/).map(Number);
    if (unit === "YEAR") return year;
    if (unit === "MONTH") return year * 12 + month;
    if (unit === "QUARTER") return (year * 12 + month) / 3;
    const days = Date.UTC(year, month - 1, day) / 86_400_000;
    return unit === "WEEK" ? days / 7 : unit === "HOUR" ? days * 24 : days;
  };
  const count = Math.floor((place(last) - place(first)) / size) + 1 + ends;
  return numbered(count);
}
