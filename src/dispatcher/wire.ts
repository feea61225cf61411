/**
 * The edge between the plain types of the package and the messages of the protocol: nothing of protobuf goes any further, and nothing
 * plain goes to a queue. Zeros and empty texts are what an absent field of the wire means.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { dispatcherKey } from "../barrier/dispatcher-id.ts";
import { WeirError } from "../error/weir-error.ts";
import { MalformedMessage } from "../protocol/codec.ts";
import {
  type ChangefeedID,
  ChangefeedIDSchema,
  ComponentState,
  type InfluencedTablesSchema,
  InfluenceType,
  OperatorType,
  RouteTableAdmissionAction,
  type RouteTableAdmissionSchema,
  ScheduleAction,
  type ScheduleDispatcherRequest,
  type SchemaIDChangeSchema,
  type TableSchema,
} from "../protocol/messages.ts";
import type { ChangefeedId, DispatcherState, Mode } from "./changefeed.ts";
import type { AddedTable, InfluencedTables, RouteAdmission, SchemaChange } from "./event.ts";
import type { ScheduleOperator, ScheduleRequest } from "./schedule.ts";

const ROUTE_ACTIONS: Readonly<Record<RouteAdmission["action"], RouteTableAdmissionAction>> = {
  admit: RouteTableAdmissionAction.ADMIT,
  release: RouteTableAdmissionAction.RELEASE,
  "release-schema": RouteTableAdmissionAction.RELEASE_SCHEMA,
};
const STATES: Readonly<Record<DispatcherState, ComponentState>> = {
  working: ComponentState.Working,
  stopped: ComponentState.Stopped,
  removed: ComponentState.Removed,
  initializing: ComponentState.Initializing,
  preparing: ComponentState.Preparing,
  "merge-ready": ComponentState.MergeReady,
  "waiting-merge": ComponentState.WaitingMerge,
};
const OPERATORS: Readonly<Partial<Record<OperatorType, ScheduleOperator>>> = {
  [OperatorType.O_Add]: "add",
  [OperatorType.O_Remove]: "remove",
  [OperatorType.O_Move]: "move",
  [OperatorType.O_Split]: "split",
  [OperatorType.O_Merge]: "merge",
};
const MODES: Readonly<Record<Mode, bigint>> = { default: 0n, redo: 1n };

export const toMode = (mode: Mode): bigint => oneOf("mode", MODES, mode);
export const toComponentState = (state: DispatcherState): ComponentState => oneOf("state", STATES, state);

/** A copy: whoever gave it may change theirs. */
export function toChangefeedId({ high, low, name, keyspace }: ChangefeedId): ChangefeedID {
  return create(ChangefeedIDSchema, { high, low, name, keyspace });
}

export function toInfluencedTables(
  tables: InfluencedTables,
): MessageInitShape<typeof InfluencedTablesSchema> {
  switch (tables.type) {
    case "all":
      return { InfluenceType: InfluenceType.All };
    case "schema":
      return { InfluenceType: InfluenceType.DB, SchemaID: tables.schemaId };
    case "tables":
      return { InfluenceType: InfluenceType.Normal, TableIDs: [...tables.tableIds] };
  }
}

export function toAddedTable(table: AddedTable): MessageInitShape<typeof TableSchema> {
  return { TableID: table.tableId, SchemaID: table.schemaId, Splitable: table.splittable ?? false };
}

export function toSchemaChange(change: SchemaChange): MessageInitShape<typeof SchemaIDChangeSchema> {
  return { TableID: change.tableId, OldSchemaID: change.oldSchemaId, NewSchemaID: change.newSchemaId };
}

export function toRouteAdmission(route: RouteAdmission): MessageInitShape<typeof RouteTableAdmissionSchema> {
  return {
    SourceSchemaName: route.sourceSchema,
    SourceTableName: route.sourceTable ?? "",
    TargetSchemaName: route.targetSchema ?? "",
    TargetTableName: route.targetTable ?? "",
    Action: oneOf("action", ROUTE_ACTIONS, route.action),
  };
}

/** @throws MalformedMessage if it does not say which dispatcher, or what is to be done with it */
export function fromScheduleRequest(request: ScheduleDispatcherRequest): ScheduleRequest {
  const { config, scheduleAction, operatorType } = request;
  const operator = OPERATORS[operatorType];
  if (scheduleAction !== ScheduleAction.Create && scheduleAction !== ScheduleAction.Remove)
    throw new MalformedMessage(`scheduleAction is ${scheduleAction}: nothing is known of it`);
  if (config?.dispatcherID === undefined)
    throw new MalformedMessage("a ScheduleDispatcherRequest names no dispatcher in config.dispatcherID");
  return {
    action: scheduleAction === ScheduleAction.Create ? "create" : "remove",
    ...(operator && { operator }),
    dispatcher: {
      id: dispatcherKey(config.dispatcherID),
      tableId: config.span?.TableID ?? 0n,
      schemaId: config.schemaID,
      start: config.span?.StartKey ?? new Uint8Array(),
      end: config.span?.EndKey ?? new Uint8Array(),
      checkpointTs: config.startTs,
      skipDmlAsStartTs: config.skipDMLAsStartTs,
      life: config.life,
    },
  };
}

/** @throws WeirError `bad-input` if it is none of them: a program in JavaScript may give anything */
function oneOf<Name extends string, Value>(
  what: string,
  all: Readonly<Record<Name, Value>>,
  name: Name,
): Value {
  if (!Object.hasOwn(all, name))
    throw new WeirError("bad-input", `${what} is ${name}: use ${Object.keys(all).join(", ")}`);
  return all[name];
}
