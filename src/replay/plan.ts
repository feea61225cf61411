import { mergeEffects, netDefinitions, notOneEvent } from "../changelog/effects.ts";
import { BadChangeLog } from "../changelog/problem.ts";
import type { Change, DdlChange, RowChange } from "../changelog/types.ts";
import type { CaptureEvent, InfluencedTables } from "../dispatcher/event.ts";
import { folderName } from "../dispatcher/storage/layout.ts";
import type { StorageDefinition, StoragePayload } from "../dispatcher/storage-sink.ts";
import type { EventKey } from "../protocol/event-key.ts";
import { InfluenceType } from "../protocol/messages.ts";
import { ddlKind } from "./ddl-kind.ts";

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
  /** commitTs of the last change or event. */
  readonly lastTs: bigint;
  /** What each event is, for people. */
  readonly about: ReadonlyMap<ReplayEvent, string>;
  /** The tables whose dispatchers stop at each event, beside the table trigger. */
  readonly touched: ReadonlyMap<ReplayEvent, ReadonlySet<bigint>>;
}

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
      blockTables: { type: "all" },
      payload: { definitions: [] },
    };
    about.set(event, "syncpoint");
    give(event, live.keys(), () => false);
  };

  for (const change of oneEventEach(changes)) {
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
    // What touches no table is nobody's event.
    if (touchesNothing(change)) continue;
    const event = eventOf(change);
    about.set(event, change.query);
    const touched = tablesTouched(change, live);
    const dropped = new Set(droppedBy(change, live));
    give(event, touched, (tableId) => dropped.has(tableId));
    for (const tableId of dropped) live.delete(tableId);
    for (const { tableId, newSchemaId } of change.updatedSchemas) live.set(tableId, newSchemaId);
    for (const { tableId, schemaId, name = String(tableId) } of change.needAddedTables) {
      live.set(tableId, schemaId);
      tables.set(tableId, { tableId, schemaId, name, items: [] });
    }
  }
  return { trigger, tables, rows, lastTs: changes.at(-1)?.commitTs ?? 0n, about, touched: touchedBy };
}

function touchesNothing({ blockTables, own, definitions }: DdlChange): boolean {
  const nobody = blockTables.type === InfluenceType.Normal && blockTables.tableIds.length === 0;
  return nobody && own.length === 0 && definitions.length === 0;
}

/**
 * The DDLs of one commitTs as one, for an event is known by its commitTs (protocol.md D2): a second one would be taken for a repeat
 * of the first. Rows of that commitTs that stand between them go before it or behind it, as their table's version says.
 * @throws BadChangeLog if a row stands between two DDLs of its table
 */
function oneEventEach(changes: readonly Change[]): Change[] {
  const result: Change[] = [];
  for (let at = 0; at < changes.length; at++) {
    const first = changes[at]!;
    let last = at;
    if (first.kind === "ddl")
      for (let next = at + 1; changes[next]?.commitTs === first.commitTs; next++)
        if (changes[next]!.kind === "ddl") last = next;
    if (last === at) {
      result.push(first);
      continue;
    }
    const group = changes.slice(at, last + 1);
    const ddls = group.filter((one) => one.kind === "ddl");
    const rows = group.filter((one) => one.kind === "row");
    const early = rows.filter((one) => one.tableVersion < one.commitTs);
    const late = rows.filter((one) => one.tableVersion === one.commitTs);
    for (const row of late) {
      const behind = ddls.filter((one) => group.indexOf(one) > group.indexOf(row));
      if (behind.some((one) => isAbout(one, row)))
        throw new BadChangeLog(
          row.at,
          `a row between two DDLs of its table, all with commitTs ${row.commitTs}: write the DDLs of a commitTs before its rows`,
        );
    }
    result.push(...early, mergeDdls(ddls), ...late);
    at = last;
  }
  return result;
}

function isAbout({ blockTables, dropped, steps }: DdlChange, row: RowChange): boolean {
  return (
    blockTables.tableIds.includes(row.tableId) ||
    dropped.includes(row.tableId) ||
    steps.some(({ definition }) => definition.schema === row.schema && definition.table === row.table)
  );
}

function mergeDdls(ddls: readonly DdlChange[]): DdlChange {
  const why = notOneEvent(ddls);
  if (why !== undefined) throw new BadChangeLog(ddls.find((one) => one.carriesRows)!.at, why);
  const effects = mergeEffects(ddls);
  return {
    ...ddls[0]!,
    ...effects,
    query: ddls.map((one) => one.query.trim().replace(/;$/, "")).join("; "),
    definitions: netDefinitions(effects.steps),
  };
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

function influenced({ type, tableIds, schemaId }: DdlChange["blockTables"]): InfluencedTables {
  if (type === InfluenceType.All) return { type: "all" };
  return type === InfluenceType.DB ? { type: "schema", schemaId } : { type: "tables", tableIds };
}

function eventOf(change: DdlChange): ReplayEvent {
  return {
    key: { commitTs: change.commitTs, isSyncPoint: false },
    blockTables: influenced(change.blockTables),
    ...(change.needDroppedTables && { needDroppedTables: influenced(change.needDroppedTables) }),
    ...(change.needAddedTables.length > 0 && {
      needAddedTables: change.needAddedTables.map((one) => ({
        tableId: one.tableId,
        schemaId: one.schemaId,
        splittable: one.splittable ?? true,
      })),
    }),
    ...(change.updatedSchemas.length > 0 && {
      updatedSchemas: change.updatedSchemas.map((one) => ({
        tableId: one.tableId,
        oldSchemaId: one.oldSchemaId,
        newSchemaId: one.newSchemaId,
      })),
    }),
    payload: { definitions: definitionsOf(change) },
  };
}

/** The schema files that the event's writer writes: one for each table and one for each database. */
function definitionsOf(change: DdlChange): StorageDefinition[] {
  const { commitTs: version, at } = change;
  const kind = (query: string, schema: string) => (query === "" ? 0 : ddlKind(query, schema));
  const own = [...Map.groupBy(change.own, (one) => one.schema)].map(([schema, files]) => {
    const query = files.map((one) => one.query).join("; ");
    return { schema, table: "", version, query, type: kind(query, schema), columns: [] };
  });
  const said = new Set<string>();
  const tables = change.definitions.map(({ schema, table, version, query: whole, columns }) => {
    // A statement that carries rows from one table to another is run once: the other table's file says its columns only.
    const query = change.carriesRows && said.has(whole) ? "" : whole;
    said.add(whole);
    return { schema, table, version, query, type: kind(query, schema), columns };
  });
  const all = [...own, ...tables];
  for (const { schema, table } of all)
    for (const name of [schema, table])
      try {
        folderName(name);
      } catch (error) {
        throw new BadChangeLog(at, (error as Error).message);
      }
  return all;
}
