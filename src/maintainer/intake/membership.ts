import { dispatcherKey } from "../../barrier/dispatcher-id.ts";
import { InvalidState } from "../../barrier/event.ts";
import type { RegisteredSpan, Registration, Sender } from "../../barrier/membership.ts";
import { MAX_PARTS } from "../../barrier/opening.ts";
import { commitTsFault, MAX_NUMBER, NO_CHECKPOINT } from "../../barrier/plausible.ts";
import { type Encoding, MalformedMessage } from "../../protocol/codec.ts";
import {
  type BootstrapTableSpan,
  ComponentState,
  type DispatcherID,
  type HeartBeatRequest,
  type MaintainerBootstrapResponse,
  type MaintainerPostBootstrapRequest,
  type SchemaInfo,
} from "../../protocol/messages.ts";
import { MAX_KEYSPACE } from "../../protocol/span.ts";
import type { Space } from "../base/space.ts";
import { lifeFault, refuseRedoSyncpoint, refuseTooLarge, registeredReport } from "./block-report.ts";
import { binds, numberAttribute, spaceFor } from "./envelope.ts";
import type { Intake, IntakeSettings, Report, SpaceInput, StatusMessage } from "./input.ts";

const MODES = [0n, 1n] as const;

/** protocol.md R2, R5: component states; each mode is a space of its own. */
export function statusChanges(message: StatusMessage, sender: Sender, request: HeartBeatRequest): Intake {
  const faults: string[] = [];
  const inputs: SpaceInput[] = [];
  const failure = failureOf(request);
  for (const [index, { mode }] of request.statuses.entries())
    if (!isMode(mode)) faults.push(`statuses[${index}]: ${modeFault(mode)}`);
  for (const mode of MODES) {
    const space = spaceFor(request.changefeedID, mode);
    const statuses = [];
    for (const [index, status] of request.statuses.entries()) {
      if (status.mode !== mode) continue;
      const fault = dispatcherFault(status.ID, status.life, sender) ?? componentFault(status.componentStatus);
      if (fault) faults.push(`statuses[${index}]: ${fault}`);
      else if (status.checkpointTs !== NO_CHECKPOINT && status.checkpointTs > MAX_NUMBER)
        faults.push(`statuses[${index}]: ${commitTsFault(status.checkpointTs, "checkpoint_ts")}`);
      else
        statuses.push({
          id: dispatcherKey(status.ID!),
          life: status.life,
          state: status.componentStatus,
          checkpointTs: status.checkpointTs,
        });
    }
    const saysFailure = failure !== "" && mode === request.mode && request.statuses.length === 0;
    if (statuses.length > 0 || saysFailure)
      inputs.push({
        space,
        message,
        epoch: undefined,
        membership: { kind: "status", sender, statuses, failure },
        reports: [],
        replyQueue: "",
      });
  }
  if (request.leaving) {
    if (sender.start === 0n) faults.push("leaving: only a node that sends start says that it leaves");
    else if (!isMode(request.mode)) faults.push(`leaving: ${modeFault(request.mode)}`);
    else
      inputs.push({
        space: spaceFor(request.changefeedID, request.mode),
        message,
        epoch: undefined,
        membership: { kind: "leaving", sender },
        reports: [],
        replyQueue: "",
      });
  }
  return { inputs, faults };
}

/** protocol.md R2: a registration, and the block states that come with it (M14). */
export function registrationChanges(
  message: StatusMessage,
  sender: Sender,
  encoding: Encoding,
  response: MaintainerBootstrapResponse,
  settings: IntakeSettings,
): Intake {
  const { actionQueuePrefix: prefix, itemBytes } = settings;
  const replyQueue = queueAttribute(message, "replyQueue", prefix);
  if (replyQueue === "")
    throw new MalformedMessage("attribute replyQueue is absent: name the queue that gets the answers");
  const nodeQueue = queueAttribute(message, "nodeQueue", prefix);
  const keyspace = response.spans.find(({ span }) => span && span.KeyspaceID > 0)?.span?.KeyspaceID ?? 0;
  const failure = failureOf(response);
  const faults: string[] = [];
  const inputs: SpaceInput[] = [];
  if (!isMode(response.mode)) faults.push(modeFault(response.mode));
  for (const [index, { mode }] of response.spans.entries())
    if (!isMode(mode)) faults.push(`spans[${index}]: ${modeFault(mode)}`);
  for (const mode of MODES) {
    const space = spaceFor(response.changefeedID, mode);
    const spans: RegisteredSpan[] = [];
    const unfit: NonNullable<Registration["unfit"]>[number][] = [];
    const reports: Report[] = [];
    for (const [index, span] of response.spans.entries()) {
      if (span.mode !== mode) continue;
      const { ID, life } = span;
      const fault =
        dispatcherFault(ID, life || 1n, sender) ?? componentFault(span.componentStatus) ?? keyFault(span);
      if (fault) {
        faults.push(`spans[${index}]: ${fault}`);
        // It is kept, and its node is told: it would be sent again and again.
        if (isNamed(ID)) unfit.push({ id: dispatcherKey(ID), life, reason: fault });
        continue;
      }
      spans.push(registeredSpan(span));
      try {
        reports.push(...blockReports(space, span, sender, message, index, itemBytes));
      } catch (error) {
        if (!(error instanceof MalformedMessage || error instanceof InvalidState)) throw error;
        faults.push(`spans[${index}].block_state: ${error.message}`);
      }
    }
    if (spans.length > 0 || unfit.length > 0 || (mode === response.mode && response.spans.length === 0))
      inputs.push({
        space,
        message,
        epoch: epochOf(response),
        membership: {
          kind: "registration",
          sender,
          replyQueue,
          nodeQueue,
          encoding,
          spans,
          unfit,
          keyspace,
          failure,
          ...(!binds(message, settings) && { unbound: true as const }),
        },
        reports,
        replyQueue,
      });
  }
  return { inputs, faults };
}

/** What a registered dispatcher stands at, if anything (protocol.md M14). */
function blockReports(
  space: Space,
  span: BootstrapTableSpan,
  sender: Sender,
  message: StatusMessage,
  index: number,
  itemBytes: number,
): Report[] {
  if (span.blockState === undefined) return [];
  const life = { id: dispatcherKey(span.ID!), life: span.life };
  const report = registeredReport(span.blockState, life, sender, message, index);
  if (report === undefined) return [];
  refuseRedoSyncpoint(space, report);
  refuseTooLarge(report, itemBytes);
  return [report];
}

/** protocol.md R1: one part of the opening; redo schemas open the redo space. */
export function openingChanges(
  message: StatusMessage,
  sender: Sender,
  request: MaintainerPostBootstrapRequest,
  prefix: string,
): Intake {
  const part = numberAttribute(message, "part", 1);
  const parts = numberAttribute(message, "parts", 1);
  if (part < 1 || part > parts)
    throw new MalformedMessage(`part ${part} of ${parts} makes no sense: count from 1 to parts`);
  if (parts > MAX_PARTS)
    throw new MalformedMessage(
      `parts is ${parts}: put more tables into each, ${MAX_PARTS} parts are the most`,
    );
  const trigger = request.tableTriggerEventDispatcherId;
  const inputs: SpaceInput[] = [];
  for (const [mode, schemas] of [
    [0n, request.schemas],
    [1n, request.redoSchemas],
  ] as const) {
    if (mode === 1n && schemas.length === 0) continue;
    // Only redo schemas: a node that hosts the redo dispatchers opens their space, and no other.
    if (mode === 0n && schemas.length === 0 && request.redoSchemas.length > 0) continue;
    inputs.push({
      space: spaceFor(request.changefeedID, mode),
      message,
      epoch: epochOf(request),
      membership: {
        kind: "opening",
        sender,
        part,
        parts,
        // The message names the table trigger of the default mode; redo's is the one that registers table 0.
        trigger: mode === 0n && trigger !== undefined ? dispatcherKey(trigger) : undefined,
        tables: tablesOf(schemas),
        ...(request.openedAt !== 0n && { at: request.openedAt }),
        answersEpochZero: sender.start === 0n && request.maintainerEpoch === 0n,
      },
      reports: [],
      replyQueue: queueAttribute(message, "replyQueue", prefix),
    });
  }
  return { inputs, faults: [] };
}

function tablesOf(schemas: readonly SchemaInfo[]) {
  return schemas.flatMap((schema) =>
    schema.Tables.map((table) => ({ tableId: table.TableID, schemaId: schema.SchemaID })),
  );
}

function registeredSpan(span: BootstrapTableSpan): RegisteredSpan {
  return {
    id: dispatcherKey(span.ID!),
    life: span.life,
    tableId: span.span?.TableID ?? 0n,
    schemaId: span.SchemaID,
    start: span.span?.StartKey ?? new Uint8Array(),
    end: span.span?.EndKey ?? new Uint8Array(),
    state: span.componentStatus,
    checkpointTs: span.checkpointTs,
  };
}

function dispatcherFault(id: DispatcherID | undefined, life: bigint, sender: Sender): string | undefined {
  return isNamed(id) ? lifeFault(life, sender) : "ID is absent: name the dispatcher";
}

function isNamed(id: DispatcherID | undefined): id is DispatcherID {
  return id !== undefined && (id.high !== 0n || id.low !== 0n);
}

/** @throws MalformedMessage if no epoch could follow it */
function epochOf({ maintainerEpoch }: { readonly maintainerEpoch: bigint }): bigint {
  if (maintainerEpoch > MAX_NUMBER)
    throw new MalformedMessage(`maintainer_epoch is ${maintainerEpoch}: use numbers below 2^63 - 1`);
  return maintainerEpoch || 1n;
}

const isMode = (mode: bigint) => MODES.some((one) => one === mode);
const modeFault = (mode: bigint) => `mode is ${mode}: use 0 (default) or 1 (redo)`;

/** A state that nobody knows would be taken for "not replicating" for ever (protocol.md R2). */
function componentFault(state: ComponentState): string | undefined {
  return ComponentState[state] === undefined
    ? `component_status ${state} is unknown: use Working to WaitingMerge`
    : undefined;
}

/** Bytes of a span's key: TiCDC's are some tens, and hundreds of them stand in one item. */
export const MAX_KEY = 4_096;

function keyFault({ span }: BootstrapTableSpan): string | undefined {
  for (const name of ["StartKey", "EndKey"] as const)
    if ((span?.[name].length ?? 0) > MAX_KEY)
      return `${name} is ${span![name].length} bytes long: use keys of at most ${MAX_KEY}`;
  const keyspace = span?.KeyspaceID ?? 0;
  if (keyspace > MAX_KEYSPACE) return `KeyspaceID is ${keyspace}: use numbers up to ${MAX_KEYSPACE}`;
  return undefined;
}

/** Bytes of what a node says went wrong: it stands in the roster, where it has this room (`nodeBytes`). */
export const MAX_FAILURE = 200;

/** What went wrong at a node, in one line; empty: nothing. */
function failureOf({ err }: Pick<MaintainerBootstrapResponse | HeartBeatRequest, "err">): string {
  if (err === undefined) return "";
  const text = [err.code, err.message].filter((one) => one !== "").join(": ") || "an error without words";
  // It is shown to people: no control characters and no ends of lines, whoever wrote it.
  let told = text.slice(0, MAX_FAILURE).replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ");
  while (Buffer.byteLength(told) > MAX_FAILURE) told = told.slice(0, -1);
  return told;
}

/** protocol.md R2: a queue outside of the deployment's prefix is never sent to. */
function queueAttribute(message: StatusMessage, name: string, prefix: string): string {
  const queue = message.attributes[name] ?? "";
  if (queue !== "" && !(queue.startsWith(prefix) && /^[A-Za-z0-9_-]{1,80}$/.test(queue)))
    throw new MalformedMessage(
      `attribute ${name} is "${queue}": use the name (not the URL) of a queue that starts with "${prefix}"`,
    );
  return queue;
}
