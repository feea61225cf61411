import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { WeirError } from "../error/weir-error.ts";
import type { EventKey } from "../protocol/event-key.ts";
import { type InfluencedTables, InfluenceType, type State, StateSchema } from "../protocol/messages.ts";
import type { Life } from "./roster.ts";

/** Whom something touches: tables (Normal), a schema and the table trigger (DB), everybody (All). */
export type Influence =
  | { readonly type: "All" }
  | { readonly type: "DB"; readonly schemaId: bigint }
  | { readonly type: "Normal"; readonly tableIds: ReadonlySet<bigint> };

/** The tables that an event takes out: a schema's, or the listed ones. All is not a drop (protocol.md M10). */
export type Drop = Exclude<Influence, { type: "All" }>;

/** What a block event brings: the same in every report of its key, and fixed by the first (protocol.md M3). */
export interface BlockEvent {
  readonly key: EventKey;
  /** False: written already without the maintainer, only the roster changes (protocol.md M11). */
  readonly blocking: boolean;
  readonly influence: Influence;
  readonly drop: Drop | undefined;
  readonly add: readonly { readonly tableId: bigint; readonly schemaId: bigint }[];
  readonly schemaChanges: readonly { readonly tableId: bigint; readonly newSchemaId: bigint }[];
}

/** The table trigger's table id (protocol.md R3). */
export const TRIGGER_TABLE = 0n;

/** Whether the event changes the roster, and so waits for its turn (protocol.md M10). */
export function changesRoster(event: BlockEvent): boolean {
  return event.drop !== undefined || event.add.length > 0 || event.schemaChanges.length > 0;
}

/** A state that says something impossible; `message` is what its sender must change. */
export class InvalidState extends WeirError {
  override readonly name = "InvalidState";

  constructor(message: string, options?: ErrorOptions) {
    super("bad-state", message, options);
  }
}

function influenceOf(tables: InfluencedTables): Influence {
  switch (tables.InfluenceType) {
    case InfluenceType.All:
      return { type: "All" };
    case InfluenceType.DB:
      return { type: "DB", schemaId: tables.SchemaID };
    case InfluenceType.Normal:
      return { type: "Normal", tableIds: new Set(tables.TableIDs) };
    default:
      throw new InvalidState(`InfluenceType ${tables.InfluenceType} is unknown: use All, DB or Normal`);
  }
}

/** The influence of a WAITING or NONE report; a syncpoint touches everybody (ticdc.md 1.5). */
function blockInfluence(state: State): Influence {
  if (!state.IsBlocked) return { type: "Normal", tableIds: new Set() };
  if (state.BlockTables === undefined) {
    if (state.IsSyncPoint) return { type: "All" };
    throw new InvalidState("BlockTables is absent: a blocking DDL must say whom it touches");
  }
  const influence = influenceOf(state.BlockTables);
  if (influence.type === "Normal" && influence.tableIds.size === 0)
    throw new InvalidState("BlockTables is Normal with no TableIDs: list the tables, or use DB or All");
  return influence;
}

function dropOf(state: State): Drop | undefined {
  if (state.NeedDroppedTables === undefined) return undefined;
  const drop = influenceOf(state.NeedDroppedTables);
  if (drop.type === "All")
    throw new InvalidState("NeedDroppedTables is All: drop by schema (DB) or by tables (Normal)");
  if (drop.type === "Normal" && drop.tableIds.size === 0) return undefined;
  if (drop.type === "Normal" && drop.tableIds.has(TRIGGER_TABLE))
    throw new InvalidState("NeedDroppedTables names table 0, the table trigger, which cannot be dropped");
  return drop;
}

/**
 * The event that a WAITING or NONE report describes (protocol.md M1a, M3, M10).
 * @throws InvalidState if it cannot be one
 */
export function eventOf(state: State): BlockEvent {
  return {
    key: { commitTs: state.BlockTs, isSyncPoint: state.IsSyncPoint },
    blocking: state.IsBlocked,
    influence: blockInfluence(state),
    drop: dropOf(state),
    add: state.NeedAddedTables.map((table) => ({ tableId: table.TableID, schemaId: table.SchemaID })),
    schemaChanges: state.UpdatedSchemas.map((change) => ({
      tableId: change.TableID,
      newSchemaId: change.NewSchemaID,
    })),
  };
}

const ascending = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);

function tablesMessage(influence: Influence | undefined) {
  if (influence === undefined) return {};
  if (influence.type === "All") return { InfluenceType: InfluenceType.All };
  if (influence.type === "DB") return { InfluenceType: InfluenceType.DB, SchemaID: influence.schemaId };
  return { InfluenceType: InfluenceType.Normal, TableIDs: [...influence.tableIds].sort(ascending) };
}

/**
 * The event as bytes, the same for equal events whatever the order of their lists was: what is stored, and what two
 * reports of one key are compared by.
 */
export function eventBytes(event: BlockEvent): Uint8Array {
  const byTable = (a: { tableId: bigint }, b: { tableId: bigint }) => ascending(a.tableId, b.tableId);
  const state = create(StateSchema, {
    IsBlocked: event.blocking,
    BlockTs: event.key.commitTs,
    IsSyncPoint: event.key.isSyncPoint,
    NeedAddedTables: [...event.add].sort(byTable).map((table) => ({
      TableID: table.tableId,
      SchemaID: table.schemaId,
    })),
    UpdatedSchemas: [...event.schemaChanges].sort(byTable).map((change) => ({
      TableID: change.tableId,
      NewSchemaID: change.newSchemaId,
    })),
    ...(event.blocking && { BlockTables: tablesMessage(event.influence) }),
    ...(event.drop && { NeedDroppedTables: tablesMessage(event.drop) }),
  });
  return toBinary(StateSchema, state);
}

/** The inverse of `eventBytes`. */
export function eventFromBytes(bytes: Uint8Array): BlockEvent {
  return eventOf(fromBinary(StateSchema, bytes));
}

/**
 * Whether an event touches a dispatcher. The table trigger belongs to every schema (protocol.md M4), any other to its
 * table's schema for events behind the rename that brought it there (R10).
 */
export function touches(
  { influence, key }: Pick<BlockEvent, "influence" | "key">,
  life: Pick<Life, "tableId" | "schemaId" | "schemaSince">,
): boolean {
  switch (influence.type) {
    case "All":
      return true;
    case "DB":
      return (
        life.tableId === TRIGGER_TABLE ||
        (life.schemaId === influence.schemaId && !isPast(life.schemaSince, key))
      );
    case "Normal":
      return influence.tableIds.has(life.tableId);
  }
}

/** Whether the table trigger takes part, and so is the writer (protocol.md M6). */
export function involvesTrigger(influence: Influence): boolean {
  return influence.type !== "Normal" || influence.tableIds.has(TRIGGER_TABLE);
}

/**
 * Whether who is at checkpoint `since` has the key behind it: checkpoint T is past the DDL at T and not past the
 * syncpoint at T (protocol.md R10).
 */
export function isPast(since: bigint, key: EventKey): boolean {
  return key.commitTs < since || (key.commitTs === since && !key.isSyncPoint);
}
