import type { EventKey } from "../protocol/event-key.ts";

/**
 * Whose dispatchers an event touches (protocol.md 1.4).
 *
 * @example
 * ```ts
 * import type { InfluencedTables } from "@weir-cdc/weir";
 *
 * // DROP TABLE: the table, and 0, the table trigger, which hears of every table that comes or goes.
 * export const drop: InfluencedTables = { type: "tables", tableIds: [0n, 100n] };
 * // DROP DATABASE.
 * export const dropDatabase: InfluencedTables = { type: "schema", schemaId: 3n };
 * // CREATE VIEW, and every syncpoint.
 * export const view: InfluencedTables = { type: "all" };
 * ```
 */
export type InfluencedTables =
  /** Every dispatcher. */
  | { readonly type: "all" }
  /** The dispatchers of one schema's tables, and the table trigger. */
  | { readonly type: "schema"; readonly schemaId: bigint }
  /** The dispatchers of these tables; 0 is the table trigger. */
  | { readonly type: "tables"; readonly tableIds: readonly bigint[] };

/** A table that an event adds: the coordinator asks for its dispatchers. */
export interface AddedTable {
  readonly tableId: bigint;
  readonly schemaId: bigint;
  /** Whether its rows can be told apart, so that it may be split into spans. Default: false. */
  readonly splittable?: boolean;
}

/** A table that an event moves to another schema: a RENAME over schemas. */
export interface SchemaChange {
  readonly tableId: bigint;
  readonly oldSchemaId: bigint;
  readonly newSchemaId: bigint;
}

/** With table routing: a route from a source table to a target table that an event admits or releases (ticdc.md 2.13). */
export interface RouteAdmission {
  readonly action: "admit" | "release" | "release-schema";
  readonly sourceSchema: string;
  /** Absent with `release-schema`. */
  readonly sourceTable?: string;
  readonly targetSchema?: string;
  readonly targetTable?: string;
}

/**
 * A DDL or a syncpoint as it reaches a dispatcher, which copies all of it but the payload (protocol.md D8). Lists that are frozen, with
 * their entries, are not copied: thousands of dispatchers share them without a look at each entry.
 *
 * @example
 * ```ts
 * import type { CaptureEvent } from "@weir-cdc/weir";
 *
 * // TRUNCATE TABLE gives the table another id.
 * export const truncate: CaptureEvent<string> = {
 *   key: { commitTs: 449779372969249750n, isSyncPoint: false },
 *   blockTables: { type: "tables", tableIds: [0n, 100n] },
 *   needDroppedTables: { type: "tables", tableIds: [100n] },
 *   needAddedTables: [{ tableId: 101n, schemaId: 3n }],
 *   payload: "TRUNCATE TABLE orders",
 * };
 * ```
 */
export interface CaptureEvent<Payload = unknown> {
  readonly key: EventKey;
  /** Whom it touches; absent: nobody but its writer. */
  readonly blockTables?: InfluencedTables;
  /** Tables whose dispatchers end with it. */
  readonly needDroppedTables?: InfluencedTables;
  readonly needAddedTables?: readonly AddedTable[];
  readonly updatedSchemas?: readonly SchemaChange[];
  /** With table routing: the routes that it admits or releases; only the table trigger reports them (ticdc.md 2.13). */
  readonly routeAdmissions?: readonly RouteAdmission[];
  /** What the sink needs to write it. */
  readonly payload: Payload;
}

/** Which part of the tables a dispatcher carries. */
export interface DispatcherIdentity {
  /** 0: it is the table trigger. */
  readonly tableId: bigint;
  /** Whether its span is the whole table. */
  readonly whole: boolean;
}

/** The table trigger is the dispatcher of table 0 (protocol.md R3). */
export function isTrigger(identity: DispatcherIdentity): boolean {
  return identity.tableId === 0n;
}

/**
 * Whether a dispatcher must stop at an event and ask the coordinator (protocol.md D1).
 *
 * @example
 * ```ts
 * import { blocks, type CaptureEvent } from "@weir-cdc/weir";
 *
 * const key = { commitTs: 449779372969249750n, isSyncPoint: false };
 * const alter: CaptureEvent = { key, blockTables: { type: "tables", tableIds: [100n] }, payload: undefined };
 * // Who carries the whole table writes it by itself; who carries a part of it waits for the others.
 * console.log(blocks(alter, { tableId: 100n, whole: true }), blocks(alter, { tableId: 100n, whole: false }));
 * ```
 */
export function blocks(event: CaptureEvent, identity: DispatcherIdentity): boolean {
  if (event.key.isSyncPoint) return true;
  const tables = event.blockTables;
  if (tables === undefined) return false;
  if (tables.type !== "tables") return true;
  return tables.tableIds.length > 1 || !identity.whole;
}

/** Whether the coordinator must hear of an event that blocks nobody: it changes tables or routes (protocol.md D1). */
export function needsReport(event: CaptureEvent): boolean {
  const dropped = event.needDroppedTables;
  const drops = dropped !== undefined && (dropped.type !== "tables" || dropped.tableIds.length > 0);
  return drops || (event.needAddedTables?.length ?? 0) > 0 || (event.routeAdmissions?.length ?? 0) > 0;
}

/**
 * Whether an event would block if this dispatcher carried only a part of its table. Those who did and were merged into it may
 * have opened a barrier: it says once that it wrote the event, so that this ends (protocol.md D13).
 */
export function isOfItsTable(event: CaptureEvent, identity: DispatcherIdentity): boolean {
  return identity.whole && !isTrigger(identity) && blocks(event, { ...identity, whole: false });
}

/** How many tables, changes and routes an event lists. */
export function entriesOf(event: Omit<CaptureEvent, "payload">): number {
  const { blockTables, needDroppedTables, needAddedTables, updatedSchemas, routeAdmissions } = event;
  const named = [blockTables, needDroppedTables].map((one) => (one?.type === "tables" ? one.tableIds : []));
  const lists = [...named, needAddedTables, updatedSchemas, routeAdmissions];
  return lists.reduce((sum, list) => sum + (list?.length ?? 0), 0);
}
