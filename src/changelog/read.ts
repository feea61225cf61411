import { crc32 } from "node:zlib";
import { Catalogue, type TableState } from "./catalogue.ts";
import { quote, type TableName } from "./cursor.ts";
import { readLines } from "./lines.ts";
import { locate } from "./locate.ts";
import { Clock, type CommitTsFrom, isAsTiCdcWritesIt, parseMessage, writeMessage } from "./message.ts";
import { BadChangeLog } from "./problem.ts";
import { refine } from "./refine.ts";
import { handleOf, sameName } from "./shape.ts";
import type { CanalMessage, CanalRow, Change, LogPosition, RowChange } from "./types.ts";

export interface ReadOptions {
  /** Where commitTs come from; left out: from TiDB's extension. */
  readonly commitTsFrom?: CommitTsFrom;
}

/** One message of a log with one row or one DDL. `text` is its line where the log has it so, and otherwise made anew. */
export interface ReadMessage {
  readonly at: LogPosition;
  readonly text: string;
  readonly message: CanalMessage;
}

/**
 * Messages of a log as they are, in order, with exact commitTs; one of several rows comes as several.
 * Checks each by itself, and that time does not go back.
 */
export async function* readMessages(
  file: string,
  { commitTsFrom = "tidb" }: ReadOptions = {},
): AsyncGenerator<ReadMessage> {
  let last = 0n;
  const clock = new Clock();
  for await (const { line, text } of readLines(file)) {
    if (text.trim() === "") continue;
    const at = { file, line };
    const message = parseMessage(text, at, commitTsFrom, clock);
    if (message === undefined) continue;
    const { commitTs } = message._tidb;
    if (commitTs < last)
      throw new BadChangeLog(at, `commitTs ${commitTs} goes back behind ${last}: sort the log by commitTs`);
    last = commitTs;
    if (message.isDdl) {
      yield { at, text, message };
      continue;
    }
    const { data, old } = message;
    if (data === null || data.length === 0)
      throw new BadChangeLog(at, "data is empty: a row change has its rows there");
    const asItIs = data.length === 1 && commitTsFrom === "tidb" && isAsTiCdcWritesIt(message);
    for (const [index, row] of data.entries()) {
      const before = old?.[index];
      const single = { ...message, data: [row], old: before ? [before] : null };
      yield { at, text: asItIs ? text.trim() : writeMessage(single), message: single };
    }
  }
}

/**
 * Reads a whole log: rows with the table that holds them, DDLs with what they touch (ticdc.md 1.5).
 * @throws BadChangeLog with file, line, what is wrong and what to do
 */
export async function readChangeLog(file: string, options: ReadOptions = {}): Promise<Change[]> {
  const catalogue = new Catalogue();
  const changes: Change[] = [];
  for await (const { at, text, message } of readMessages(file, options))
    if (message.isDdl) changes.push(catalogue.apply(message, at));
    else changes.push(...rowChanges(catalogue, message, text, at));
  if (changes.length === 0)
    throw new BadChangeLog({ file, line: 0 }, "the log has no changes: write some first");
  return refine(changes);
}

/** The columns that tell rows apart: those that the row names, or else those that the DDLs say; empty: there are none. */
export function keyColumns(message: CanalMessage, handle: readonly string[]): readonly string[] {
  return message.pkNames && message.pkNames.length > 0 ? message.pkNames : handle;
}

/** A row's value of a column, whose name may be written in another case. */
export function columnValue(row: CanalRow, column: string): string | null | undefined {
  if (Object.hasOwn(row, column)) return row[column];
  const spelled = Object.keys(row).find((one) => sameName(one, column));
  return spelled === undefined ? undefined : row[spelled];
}

/**
 * Splits an UPDATE that moves its row, to another key or another partition, into a DELETE and an INSERT, as TiCDC does: each goes
 * where its key is, and in one place all changes of a key stand in the order of the log.
 */
export function splitMove(
  message: CanalMessage,
  text: string,
  handle: readonly string[],
  partitionOf: (row: CanalRow) => unknown = () => undefined,
): { message: CanalMessage; text: string }[] {
  const [row] = message.data as [CanalRow];
  if (message.type !== "UPDATE") return [{ message, text }];
  const before = { ...row, ...message.old?.[0] };
  const keys = keyColumns(message, handle);
  const moved =
    keys.some((key) => columnValue(before, key) !== columnValue(row, key)) ||
    partitionOf(before) !== partitionOf(row);
  if (!moved) return [{ message, text }];
  const part = (type: string, data: CanalRow) => {
    const one = { ...message, type, data: [data], old: null };
    return { message: one, text: writeMessage(one) };
  };
  return [part("DELETE", before), part("INSERT", row)];
}

function rowChanges(catalogue: Catalogue, message: CanalMessage, text: string, at: LogPosition): RowChange[] {
  const { database: schema, table } = message;
  const found = catalogue.table(schema, table);
  if (!found && catalogue.isSequence(schema, table)) return [];
  if (!found)
    throw new BadChangeLog(
      at,
      `a row of table ${schema}.${table}, which no DDL before it has created: start the log there`,
    );
  const { name, state } = found;
  const handle = handleOf(state.shape);
  const { partitions } = state;
  const partitionOf = (row: CanalRow) =>
    partitions && locate(partitions, (column) => columnValue(row, column));
  return splitMove(message, text, handle, partitionOf).map((one) =>
    rowChange(name, state, one.message, one.text, keyColumns(one.message, handle), partitionOf, at),
  );
}

function rowChange(
  name: TableName,
  state: TableState,
  message: CanalMessage,
  text: string,
  keys: readonly string[],
  partitionOf: (row: CanalRow) => number | undefined,
  at: LogPosition,
): RowChange {
  const [row] = message.data as [CanalRow];
  for (const key of keys) {
    const value = columnValue(row, key);
    if (value === undefined || value === null)
      throw new BadChangeLog(
        at,
        `the row has no value for "${key}", part of the ${message.pkNames?.includes(key) ? "key" : "primary key"} of ${quote(name).replaceAll("`", "")}`,
      );
  }
  // Without a key all rows of a table go one way: nobody could tell which of two equal ones a change is about.
  const key = JSON.stringify(keys.map((one) => columnValue(row, one)));
  const { physical } = state;
  // Where the partition cannot be told any will do, so long as it is always the same: a table's DDLs stop all of them.
  const place = partitionOf(row) ?? crc32(`${key} `) % physical.length;
  return {
    kind: "row",
    at,
    commitTs: message._tidb.commitTs,
    schema: name.schema,
    table: name.table,
    type: message.type as RowChange["type"],
    tableId: physical[place] ?? physical[0]!,
    tableVersion: state.version,
    key,
    text,
    message,
  };
}
