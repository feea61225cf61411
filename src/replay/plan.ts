import type { Change, DdlChange, RowChange } from "../changelog/types.ts";
import type { CaptureEvent } from "../dispatcher/event.ts";
import type { StorageDefinition, StoragePayload } from "../dispatcher/storagesink.ts";
import type { EventKey } from "../protocol/eventkey.ts";
import { InfluenceType } from "../protocol/messages.ts";

export type ReplayEvent = CaptureEvent<StoragePayload>;

/** What a table's dispatchers see, in order: rows, and the events that touch the table. */
export type StreamItem =
  | { readonly kind: "row"; readonly change: RowChange }
  | { readonly kind: "event"; readonly event: ReplayEvent; readonly drops: boolean };

export interface TablePlan {
  readonly tableId: bigint;
  readonly schemaId: bigint;
  readonly name: string;
  readonly items: StreamItem[];
}

/** A log as the capture side meets it: one stream for the table trigger and one for each table that ever is. */
export interface Plan {
  readonly trigger: readonly ReplayEvent[];
  readonly tables: ReadonlyMap<bigint, TablePlan>;
  readonly rows: number;
  /** What each event is, for people. */
  readonly about: ReadonlyMap<ReplayEvent, string>;
  /** The tables whose dispatchers stop at each event, beside the table trigger. */
  readonly touched: ReadonlyMap<ReplayEvent, ReadonlySet<bigint>>;
}

/** TiDB's numbers of kinds of DDL, as schema files have them; 0 for others. */
const DDL_KINDS: readonly [RegExp, number][] = [
  [/^\s*CREATE\s+(DATABASE|SCHEMA)/i, 1],
  [/^\s*DROP\s+(DATABASE|SCHEMA)/i, 2],
  [/^\s*CREATE\s+TABLE/i, 3],
  [/^\s*DROP\s+TABLE/i, 4],
  [/\bADD\s+COLUMN/i, 5],
  [/\bDROP\s+COLUMN/i, 6],
  [/^\s*CREATE\s+(UNIQUE\s+)?INDEX|\bADD\s+(INDEX|KEY)/i, 7],
  [/^\s*DROP\s+INDEX|\bDROP\s+(INDEX|KEY)/i, 8],
  [/^\s*TRUNCATE/i, 11],
  [/\b(MODIFY|CHANGE)\s+COLUMN/i, 12],
  [/^\s*RENAME\s+TABLE/i, 14],
];
const ddlKind = (query: string) => DDL_KINDS.find(([pattern]) => pattern.test(query))?.[1] ?? 0;

/**
 * Plans the replay of a log.
 * @param syncpointEvery commitTs distance between syncpoints; 0: none
 */
export function planReplay(changes: readonly Change[], syncpointEvery: bigint): Plan {
  const trigger: ReplayEvent[] = [];
  const tables = new Map<bigint, TablePlan>();
  const live = new Map<bigint, bigint>();
  const about = new Map<ReplayEvent, string>();
  const touchedBy = new Map<ReplayEvent, ReadonlySet<bigint>>();
  let rows = 0;
  let nextSyncpoint = syncpointEvery > 0n ? changes[0]!.commitTs + syncpointEvery : undefined;

  const give = (event: ReplayEvent, touched: Iterable<bigint>, drops: (tableId: bigint) => boolean) => {
    trigger.push(event);
    touchedBy.set(event, new Set(touched));
    for (const tableId of touchedBy.get(event)!)
      tables.get(tableId)?.items.push({ kind: "event", event, drops: drops(tableId) });
  };
  const syncpoint = (commitTs: bigint) => {
    const key: EventKey = { commitTs, isSyncPoint: true };
    const event: ReplayEvent = {
      key,
      blockTables: { InfluenceType: InfluenceType.All },
      payload: { definitions: [] },
    };
    about.set(event, "syncpoint");
    give(event, live.keys(), () => false);
  };

  for (const change of changes) {
    // A syncpoint at T comes behind everything that was committed at T.
    while (nextSyncpoint !== undefined && change.commitTs > nextSyncpoint) {
      syncpoint(nextSyncpoint);
      nextSyncpoint += syncpointEvery;
    }
    if (change.kind === "row") {
      rows++;
      tables.get(change.tableId)!.items.push({ kind: "row", change });
      continue;
    }
    const event = eventOf(change);
    about.set(event, change.query);
    const touched = tablesTouched(change, live);
    const dropped = new Set(droppedBy(change, live));
    give(event, touched, (tableId) => dropped.has(tableId));
    for (const tableId of dropped) live.delete(tableId);
    for (const { tableId, newSchemaId } of change.updatedSchemas) live.set(tableId, newSchemaId);
    for (const { tableId, schemaId } of change.needAddedTables) {
      live.set(tableId, schemaId);
      const definition = change.definitions.find((one) => one.tableId === tableId);
      const name = definition ? `${definition.schema}.${definition.table}` : String(tableId);
      tables.set(tableId, { tableId, schemaId, name, items: [] });
    }
  }
  return { trigger, tables, rows, about, touched: touchedBy };
}

function tablesTouched(change: DdlChange, live: ReadonlyMap<bigint, bigint>): bigint[] {
  const { type, tableIds, schemaId } = change.blockTables;
  if (type === InfluenceType.Normal) return tableIds.filter((tableId) => live.has(tableId));
  return [...live]
    .filter(([, schema]) => type === InfluenceType.All || schema === schemaId)
    .map(([id]) => id);
}

function droppedBy(change: DdlChange, live: ReadonlyMap<bigint, bigint>): bigint[] {
  const dropped = change.needDroppedTables;
  if (dropped === undefined) return [];
  if (dropped.type === InfluenceType.Normal) return [...dropped.tableIds];
  return [...live].filter(([, schema]) => schema === dropped.schemaId).map(([id]) => id);
}

function eventOf(change: DdlChange): ReplayEvent {
  const tables = (influence: DdlChange["blockTables"]) => ({
    InfluenceType: influence.type,
    TableIDs: [...influence.tableIds],
    SchemaID: influence.schemaId,
  });
  return {
    key: { commitTs: change.commitTs, isSyncPoint: false },
    blockTables: tables(change.blockTables),
    ...(change.needDroppedTables && { needDroppedTables: tables(change.needDroppedTables) }),
    ...(change.needAddedTables.length > 0 && {
      needAddedTables: change.needAddedTables.map((one) => ({
        TableID: one.tableId,
        SchemaID: one.schemaId,
        Splitable: true,
      })),
    }),
    ...(change.updatedSchemas.length > 0 && {
      updatedSchemas: change.updatedSchemas.map((one) => ({
        TableID: one.tableId,
        OldSchemaID: one.oldSchemaId,
        NewSchemaID: one.newSchemaId,
      })),
    }),
    payload: { definitions: definitionsOf(change) },
  };
}

/** The schema files that the event's writer writes: one for each table, or one for the database. */
function definitionsOf(change: DdlChange): StorageDefinition[] {
  const type = ddlKind(change.query);
  if (change.definitions.length > 0)
    return change.definitions.map(({ schema, table, version, query, columns }) => ({
      schema,
      table,
      version,
      query,
      type,
      columns,
    }));
  return [
    { schema: change.schema, table: "", version: change.commitTs, query: change.query, type, columns: [] },
  ];
}
