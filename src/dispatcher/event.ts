import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { EventKey } from "../protocol/eventkey.ts";
import {
  BlockStage,
  type DoneAction,
  type InfluencedTablesSchema,
  InfluenceType,
  type RouteTableAdmissionSchema,
  type SchemaIDChangeSchema,
  type State,
  StateSchema,
  type TableSchema,
} from "../protocol/messages.ts";

type Tables = MessageInitShape<typeof InfluencedTablesSchema>;

/**
 * A DDL or a syncpoint as it reaches a dispatcher, which copies all of it but the payload (protocol.md D8). Lists that are frozen, with
 * their entries, are not copied: thousands of dispatchers share them without a look at each entry.
 */
export interface CaptureEvent<Payload = unknown> {
  readonly key: EventKey;
  /** Whom it touches; absent: nobody but its writer. */
  readonly blockTables?: Tables;
  readonly needDroppedTables?: Tables;
  readonly needAddedTables?: readonly MessageInitShape<typeof TableSchema>[];
  readonly updatedSchemas?: readonly MessageInitShape<typeof SchemaIDChangeSchema>[];
  /** With table routing: the routes that it admits or releases; only the table trigger reports them (ticdc.md 2.13). */
  readonly routeAdmissions?: readonly MessageInitShape<typeof RouteTableAdmissionSchema>[];
  /** What the sink needs to write it. */
  readonly payload: Payload;
}

/** Who a dispatcher is. */
export interface DispatcherIdentity {
  readonly tableId: bigint;
  /** Whether its span is the whole table. */
  readonly whole: boolean;
}

/** The table trigger is the dispatcher of table 0 (protocol.md R3). */
export function isTrigger(identity: DispatcherIdentity): boolean {
  return identity.tableId === 0n;
}

/** Whether a dispatcher must stop at an event and ask the coordinator (protocol.md D1). */
export function blocks(event: CaptureEvent, identity: DispatcherIdentity): boolean {
  if (event.key.isSyncPoint) return true;
  const tables = event.blockTables;
  if (tables === undefined) return false;
  if (tables.InfluenceType !== InfluenceType.Normal) return true;
  return (tables.TableIDs?.length ?? 0) > 1 || !identity.whole;
}

/** Whether the coordinator must hear of an event that blocks nobody: it changes tables or routes (protocol.md D1). */
export function needsReport(event: CaptureEvent): boolean {
  const dropped = event.needDroppedTables;
  const drops =
    dropped !== undefined &&
    (dropped.InfluenceType !== InfluenceType.Normal || (dropped.TableIDs?.length ?? 0) > 0);
  return drops || (event.needAddedTables?.length ?? 0) > 0 || (event.routeAdmissions?.length ?? 0) > 0;
}

/**
 * Whether an event would block if this dispatcher carried only a part of its table. Those who did and were merged into it may
 * have opened a barrier: it says once that it wrote the event, so that this ends (protocol.md D13).
 */
export function isOfItsTable(event: CaptureEvent, identity: DispatcherIdentity): boolean {
  return identity.whole && !isTrigger(identity) && blocks(event, { ...identity, whole: false });
}

/** The state that a WAITING or NONE report of a dispatcher carries. */
export function reportState(event: CaptureEvent, blocked: boolean, identity: DispatcherIdentity): State {
  return create(StateSchema, {
    IsBlocked: blocked,
    BlockTs: event.key.commitTs,
    IsSyncPoint: event.key.isSyncPoint,
    stage: blocked ? BlockStage.WAITING : BlockStage.NONE,
    ...(blocked && event.blockTables && { BlockTables: event.blockTables }),
    ...(event.needDroppedTables && { NeedDroppedTables: event.needDroppedTables }),
    ...(event.needAddedTables && { NeedAddedTables: [...event.needAddedTables] }),
    ...(blocked && event.updatedSchemas && { UpdatedSchemas: [...event.updatedSchemas] }),
    ...(isTrigger(identity) && event.routeAdmissions && { RouteTableAdmissions: [...event.routeAdmissions] }),
  });
}

/** The state that a DONE carries: the key, and the action that was executed (protocol.md D5). */
export function doneState(key: EventKey, doneAction: DoneAction): State {
  return create(StateSchema, {
    IsBlocked: true,
    BlockTs: key.commitTs,
    IsSyncPoint: key.isSyncPoint,
    stage: BlockStage.DONE,
    doneAction,
  });
}
