import type { Dice } from "../../src/chance/dice.ts";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { OpeningSchema } from "../../src/dispatcher/options.ts";
import type { StoragePayload, StorageRow } from "../../src/dispatcher/storage-sink.ts";

/** Rows have a key from 0 up to this: what decides the span. */
export const KEYS = 256;

export type EventKind =
  | "alter"
  | "alter many"
  | "alter with trigger"
  | "create"
  | "create like"
  | "create schema"
  | "drop"
  | "truncate"
  | "rename"
  | "alter schema"
  | "drop schema"
  | "view"
  | "syncpoint";

/** A DDL or a syncpoint of the log, with what is true of it whatever the coordinator thinks. */
export interface LogEvent {
  readonly kind: EventKind;
  readonly capture: CaptureEvent<StoragePayload>;
  /** The tables whose dispatchers stop at it. */
  readonly tables: ReadonlySet<bigint>;
  /** Whether the table trigger sees it. */
  readonly trigger: boolean;
  readonly changesRoster: boolean;
  /** Milliseconds after which the source has it. */
  readonly at: number;
}

export interface LogRow {
  readonly tableId: bigint;
  readonly commitTs: bigint;
  readonly key: number;
  readonly row: StorageRow;
  readonly at: number;
}

export type LogItem = { readonly row: LogRow } | { readonly event: LogEvent };

/** A table as the log has it, from its first moment to its last. */
export interface LogTable {
  readonly tableId: bigint;
  readonly name: string;
  /** commitTs of the event that adds it; 0: it was there at the opening. */
  readonly since: bigint;
  readonly addedBy: LogEvent | undefined;
  readonly items: LogItem[];
  /** The schema that it was created in. */
  readonly born: bigint;
  droppedBy: LogEvent | undefined;
  schema: Schema;
  version: bigint;
}

export interface Schema {
  readonly id: bigint;
  readonly name: string;
}

/** A change log, and the changefeed that it begins with. */
export interface Workload {
  readonly opening: readonly OpeningSchema[];
  readonly tables: ReadonlyMap<bigint, LogTable>;
  readonly events: readonly LogEvent[];
  readonly rows: number;
  /** When the source has all of it, in ms. */
  readonly duration: number;
}

/** The schema of a table for who starts at a checkpoint. */
export function schemaAt(table: LogTable, checkpoint: bigint): bigint {
  let schema = table.born;
  for (const item of table.items)
    if ("event" in item && item.event.capture.key.commitTs <= checkpoint)
      for (const change of item.event.capture.updatedSchemas ?? [])
        if (change.tableId === table.tableId) schema = change.newSchemaId;
  return schema;
}

/** The tables that are there behind all DDLs up to a commitTs, each in the schema that it has there. */
export function openingAt(workload: Workload, at: bigint): OpeningSchema[] {
  const there = [...workload.tables.values()].filter(
    ({ since, droppedBy }) => since <= at && (droppedBy === undefined || droppedBy.capture.key.commitTs > at),
  );
  return [...Map.groupBy(there, (table) => schemaAt(table, at))].map(([schemaId, tables]) => ({
    schemaId,
    name: `s${schemaId}`,
    tables: tables.map(({ tableId, name }) => ({ tableId, name })),
  }));
}

/** Spans for the tables of the opening, so that there are so many dispatchers in all. */
export function tableSpans(
  workload: Workload,
  count: number,
  dice: Dice,
): { readonly tableId: bigint; readonly from: number; readonly to: number }[] {
  const ids = workload.opening.flatMap((schema) => schema.tables.map((table) => table.tableId));
  const bounds = new Map(ids.map((id) => [id, [0, KEYS]]));
  for (let made = ids.length; made < count; made++) {
    const of = bounds.get(dice.pick(ids))!;
    const bound = 1 + dice.below(KEYS - 1);
    if (!of.includes(bound)) of.push(bound);
  }
  return ids.flatMap((tableId) => {
    const sorted = bounds.get(tableId)!.sort((a, b) => a - b);
    return sorted.slice(1).map((to, index) => ({ tableId, from: sorted[index]!, to }));
  });
}
