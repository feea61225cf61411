/** Events as the states that reports of them carry. */
import { create } from "@bufbuild/protobuf";
import type { EventKey } from "../protocol/event-key.ts";
import { BlockStage, type DoneAction, type State, StateSchema } from "../protocol/messages.ts";
import { type CaptureEvent, type DispatcherIdentity, isTrigger } from "./event.ts";
import { toAddedTable, toInfluencedTables, toRouteAdmission, toSchemaChange } from "./wire.ts";

/** The state that a WAITING or NONE report of a dispatcher carries. */
export function reportState(event: CaptureEvent, blocked: boolean, identity: DispatcherIdentity): State {
  const { blockTables, needDroppedTables, needAddedTables, updatedSchemas, routeAdmissions } = event;
  return create(StateSchema, {
    IsBlocked: blocked,
    BlockTs: event.key.commitTs,
    IsSyncPoint: event.key.isSyncPoint,
    stage: blocked ? BlockStage.WAITING : BlockStage.NONE,
    ...(blocked && blockTables && { BlockTables: toInfluencedTables(blockTables) }),
    ...(needDroppedTables && { NeedDroppedTables: toInfluencedTables(needDroppedTables) }),
    ...(needAddedTables && { NeedAddedTables: needAddedTables.map(toAddedTable) }),
    ...(blocked && updatedSchemas && { UpdatedSchemas: updatedSchemas.map(toSchemaChange) }),
    ...(isTrigger(identity) &&
      routeAdmissions && { RouteTableAdmissions: routeAdmissions.map(toRouteAdmission) }),
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
