/** What a node tells of itself and its dispatchers, as messages: its opening, registrations and states. */
import { create, equals } from "@bufbuild/protobuf";
import { type DispatcherKey, dispatcherId } from "../barrier/dispatcher-id.ts";
import {
  type ChangefeedID,
  type HeartBeatRequest,
  HeartBeatRequestSchema,
  type MaintainerBootstrapResponse,
  MaintainerBootstrapResponseSchema,
  type MaintainerPostBootstrapRequest,
  MaintainerPostBootstrapRequestSchema,
} from "../protocol/messages.ts";
import type { ComponentStatus } from "./component-states.ts";
import type { HostedDispatcher } from "./dispatcher.ts";
import type { OpeningSchema } from "./options.ts";

/** Tables in one part of an opening: about 40 bytes each, far below the message limit. */
const TABLES_PER_PART = 2_000;

/** Who speaks. */
export interface Speaker {
  readonly changefeed: ChangefeedID;
  readonly mode: bigint;
}

/**
 * The parts of an opening (protocol.md R1).
 * @param at the tables are as they are behind all events up to this commitTs; 0: not known
 */
export function openingOf(
  { changefeed, mode }: Speaker,
  epoch: bigint,
  trigger: DispatcherKey,
  schemas: readonly OpeningSchema[],
  at: bigint,
  tablesPerPart = TABLES_PER_PART,
): MaintainerPostBootstrapRequest[] {
  return partsOf(schemas, tablesPerPart).map((part) => {
    const listed = part.map((schema) => ({
      SchemaID: schema.schemaId,
      SchemaName: schema.name,
      Tables: schema.tables.map((table) => ({ TableID: table.tableId, TableName: table.name })),
    }));
    // The schemas say which mode is opened: a redo changefeed without tables still needs one that says so.
    if (mode === 1n && listed.length === 0) listed.push({ SchemaID: 0n, SchemaName: "", Tables: [] });
    return create(MaintainerPostBootstrapRequestSchema, {
      changefeedID: changefeed,
      tableTriggerEventDispatcherId: dispatcherId(trigger),
      ...(mode === 1n ? { redoSchemas: listed } : { schemas: listed }),
      maintainerEpoch: epoch,
      openedAt: at,
    });
  });
}

/** Whether two openings are of the same tables, in the same parts, with the same table trigger, wherever that stands. */
export function sameOpening(
  one: readonly MaintainerPostBootstrapRequest[],
  other: readonly MaintainerPostBootstrapRequest[],
): boolean {
  return (
    one.length === other.length &&
    one.every((part, index) => {
      const { openedAt } = part;
      return equals(MaintainerPostBootstrapRequestSchema, part, { ...other[index]!, openedAt });
    })
  );
}

/** A registration of dispatchers as they stand; of nobody: the node has started (protocol.md R2, R5). */
export function registrationOf(
  { changefeed, mode }: Speaker,
  epoch: bigint,
  dispatchers: readonly HostedDispatcher[],
): MaintainerBootstrapResponse {
  return create(MaintainerBootstrapResponseSchema, {
    changefeedID: changefeed,
    maintainerEpoch: epoch,
    mode,
    spans: dispatchers.map(({ config, life, schemaId, registeredTs, blockState }) => ({
      ID: dispatcherId(config.id),
      SchemaID: schemaId,
      span: {
        TableID: config.tableId,
        StartKey: config.start ?? new Uint8Array(),
        EndKey: config.end ?? new Uint8Array(),
      },
      checkpointTs: registeredTs,
      ...(blockState && { blockState }),
      mode,
      life,
    })),
  });
}

/** What dispatchers are doing, and what they have behind them (protocol.md R2, M15). */
export function statusOf(
  { changefeed, mode }: Speaker,
  statuses: readonly ComponentStatus[],
): HeartBeatRequest {
  return create(HeartBeatRequestSchema, {
    changefeedID: changefeed,
    statuses: statuses.map(({ id, life, state, checkpointTs }) => ({
      ID: dispatcherId(id),
      life,
      componentStatus: state,
      checkpointTs,
      mode,
    })),
  });
}

/** The node goes for good, and its queues with it. */
export function leavingOf({ changefeed, mode }: Speaker): HeartBeatRequest {
  return create(HeartBeatRequestSchema, { changefeedID: changefeed, leaving: true, mode });
}

function partsOf(schemas: readonly OpeningSchema[], most: number): OpeningSchema[][] {
  const parts: OpeningSchema[][] = [[]];
  let tables = 0;
  for (const schema of schemas)
    for (let from = 0; from === 0 || from < schema.tables.length; from += most) {
      const slice = schema.tables.slice(from, from + most);
      if (tables > 0 && tables + slice.length > most) {
        parts.push([]);
        tables = 0;
      }
      tables += slice.length;
      parts.at(-1)!.push({ ...schema, tables: slice });
    }
  return parts;
}
