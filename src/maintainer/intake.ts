import { createHash } from "node:crypto";
import { dispatcherKey } from "../barrier/dispatcherid.ts";
import { type BlockEvent, eventBytes, eventOf, InvalidState } from "../barrier/event.ts";
import type { MembershipChange, Sender } from "../barrier/membership.ts";
import { commitTsFault, MAX_NUMBER } from "../barrier/plausible.ts";
import { routeBytes } from "../barrier/routes.ts";
import { decode, type Encoding, MalformedMessage, parseEncoding } from "../protocol/codec.ts";
import { keyText, parseKeyText } from "../protocol/eventkey.ts";
import { decodeReports, type FoldedStatus } from "../protocol/foldedreports.ts";
import { BlockStage, type ChangefeedID, DoneAction, type State } from "../protocol/messages.ts";
import { EVENT_SHARE, ROUTES_SHARE } from "./bounds.ts";
import { openingChanges, registrationChanges, statusChanges } from "./intakemembership.ts";
import { parseSlice, SLICE_TYPE, type Slice } from "./slice.ts";
import { MAX_SPACE, type Space, spaceOf } from "./space.ts";

/** A message of the status queue, as the maintainer gets it. */
export interface StatusMessage {
  readonly messageId: string;
  readonly body: string;
  /** The message attributes (all of DataType String). */
  readonly attributes: Readonly<Record<string, string>>;
  /** `SentTimestamp`, milliseconds since 1970. */
  readonly sentAt: number;
  /** `ApproximateReceiveCount`. Above 1: an earlier invocation may have died on it. */
  readonly receiveCount: number;
  /** `SenderId`; of a role, what stands before the colon. Empty where the queue names none. */
  readonly principal: string;
}

/** One dispatcher and the life that a report names; 0 if it names none (an old node). */
export interface ReportedLife {
  readonly id: string;
  readonly life: bigint;
}

/** One block status, of one or many dispatchers. */
export interface Report {
  readonly key: string;
  /** `writing` and `written` come with registrations only: the block state WRITING and DONE (protocol.md M14). */
  readonly stage: "none" | "waiting" | "writing" | "written" | "done";
  readonly done: "write" | "pass" | "unspecified";
  readonly lives: readonly ReportedLife[];
  /** Absent for DONE. */
  readonly event: BlockEvent | undefined;
  readonly bytes: Uint8Array;
  /** Says the same for equal events; routes are not part of it, for only the table trigger reports them. */
  readonly digest: string;
  /** Route changes (`routeBytes`); empty: none. */
  readonly routes: Uint8Array;
  readonly sender: Sender;
  /** The message it came in, where in it, and whether that was delivered before. */
  readonly message: StatusMessage;
  readonly index: number;
  readonly redelivered: boolean;
  /** It is the block state of a registration: it counts with the life that this registered, and is never kept. */
  readonly registered: boolean;
}

/** What a message asks of one space. */
export interface SpaceInput {
  readonly space: Space;
  readonly message: StatusMessage;
  /** Registrations and openings name an epoch (0 counts as 1); undefined: the present one. */
  readonly epoch: bigint | undefined;
  readonly membership: MembershipChange | undefined;
  readonly reports: readonly Report[];
  /** What another invocation handed over. */
  readonly slice?: Slice;
  /** Where a registration, an opening and a refusal are answered; empty: the node's queue. */
  readonly replyQueue: string;
}

/** A message taken apart. `faults`: what in it cannot be understood; the rest of it counts. */
export interface Intake {
  readonly inputs: readonly SpaceInput[];
  readonly faults: readonly string[];
}

export interface IntakeSettings {
  /** Names of action queues start with it (protocol.md R2). */
  readonly actionQueuePrefix: string;
  /** Principals that may bring a dead letter back in the name of its sender: the coordinator's own and operators'. */
  readonly redrivers?: readonly string[];
  /** Bytes that an item may have: an event that takes too much of it is refused (docs/bounds.md). */
  readonly itemBytes: number;
}

/** On a dead letter: the principal that sent it first. Only the coordinator writes it (decisions/0016). */
export const SENDER_ATTRIBUTE = "sender";

/**
 * Whose message it is: what `SenderId` says, or, if a dead letter was brought back, who sent it first (protocol.md R7).
 */
export function principalOf(message: StatusMessage, { redrivers }: IntakeSettings): string {
  const first = message.attributes[SENDER_ATTRIBUTE];
  return first && redrivers?.includes(message.principal) ? first : message.principal;
}

/**
 * Whether a node's id is bound to the principal of its registration. A redriver that names no first sender brings back
 * what SQS itself took for dead: whose that is nobody knows, and the redriver's it is not (decisions/0046).
 */
export function binds(message: StatusMessage, { redrivers }: IntakeSettings): boolean {
  return !redrivers?.includes(message.principal) || !!message.attributes[SENDER_ATTRIBUTE];
}

/** On a message that is brought back: when it was sent first, in ms since 1970 (protocol.md 1.5). */
export const SENT_AT_ATTRIBUTE = "sentAt";

/** Takes a message apart. Never throws for what the message says: that goes to `faults` (invariants.md I10). */
export function takeIn(message: StatusMessage, settings: IntakeSettings): Intake {
  try {
    return takeApart(message, settings);
  } catch (error) {
    if (error instanceof MalformedMessage || error instanceof InvalidState)
      return { inputs: [], faults: [error.message] };
    throw error;
  }
}

function takeApart(message: StatusMessage, settings: IntakeSettings): Intake {
  const { attributes, body } = message;
  const encoding = parseEncoding(attributes["encoding"]);
  if (attributes["type"] === SLICE_TYPE) return sliceOf(message);
  const sender = senderOf(message, settings);
  switch (attributes["type"]) {
    case "BlockStatusRequest":
      return reportsOf(message, sender, encoding, settings);
    case "HeartBeatRequest":
      return statusChanges(message, sender, decode("HeartBeatRequest", encoding, body));
    case "MaintainerBootstrapResponse":
      return registrationChanges(
        message,
        sender,
        encoding,
        decode("MaintainerBootstrapResponse", encoding, body),
        settings,
      );
    case "MaintainerPostBootstrapRequest":
      return openingChanges(
        message,
        sender,
        decode("MaintainerPostBootstrapRequest", encoding, body),
        settings.actionQueuePrefix,
      );
    case undefined:
      throw new MalformedMessage(`attribute type is absent: ${KNOWN_TYPES}`);
    default:
      throw new MalformedMessage(`attribute type is "${attributes["type"]}": ${KNOWN_TYPES}`);
  }
}

function sliceOf(message: StatusMessage): Intake {
  const slice = parseSlice(message.body);
  const { space } = slice;
  return {
    inputs: [{ space, message, epoch: undefined, membership: undefined, reports: [], slice, replyQueue: "" }],
    faults: [],
  };
}

const KNOWN_TYPES =
  "use BlockStatusRequest, HeartBeatRequest, MaintainerBootstrapResponse or MaintainerPostBootstrapRequest";

/** Above the highest start there is none that a node could go on with (protocol.md R5). */
const MAX_START = 2 ** 52;
/** Bytes of a node's id: it stands in every item that knows the node. */
export const MAX_NODE_ID = 256;

/**
 * Who may say when a message was first sent, which for old nodes is the number of a life (protocol.md R6): redrivers. Where queues
 * name no sender nobody can be told apart, and everybody may.
 */
export function mayReplay({ principal }: StatusMessage, { redrivers }: IntakeSettings): boolean {
  return principal === "" || redrivers?.includes(principal) === true;
}

function senderOf(message: StatusMessage, settings: IntakeSettings): Sender {
  // Otherwise it would wait in a dead letter until somebody who is trusted brings it back.
  const first = message.attributes[SENDER_ATTRIBUTE];
  if (first && first !== message.principal && !settings.redrivers?.includes(message.principal))
    throw new MalformedMessage(
      `attribute ${SENDER_ATTRIBUTE} is there: only the coordinator writes it, leave it out`,
    );
  const node = message.attributes["from"];
  if (!node) throw new MalformedMessage("attribute from is absent: put the node's id there");
  if (Buffer.byteLength(node) > MAX_NODE_ID)
    throw new MalformedMessage(
      `attribute from is ${Buffer.byteLength(node)} bytes long: use an id of at most ${MAX_NODE_ID}`,
    );
  if (message.attributes[SENT_AT_ATTRIBUTE] !== undefined && !mayReplay(message, settings))
    throw new MalformedMessage(
      `attribute ${SENT_AT_ATTRIBUTE} is there: only who brings messages back may say when they were sent, leave it out or name principal ${message.principal} among the deployment's redrivers`,
    );
  // Its time would count as one of the redriver's own nodes, which has no such time (decisions/0046).
  if (message.attributes[SENT_AT_ATTRIBUTE] !== undefined && message.principal !== "" && !first)
    throw new MalformedMessage(
      `attribute ${SENT_AT_ATTRIBUTE} is there and ${SENDER_ATTRIBUTE} is not: name there the principal that sent the message at that time, ${message.principal} if you did`,
    );
  const sentAt = numberAttribute(message, SENT_AT_ATTRIBUTE, message.sentAt);
  const start = numberAttribute(message, "start", 0);
  if (start > MAX_START)
    throw new MalformedMessage(
      `attribute start is ${start}: use a number up to 2^52, as milliseconds since 1970`,
    );
  return {
    node,
    start: BigInt(start),
    principal: principalOf(message, settings),
    sentAt,
  };
}

/** @throws MalformedMessage if the attribute is there and no whole number below 2^53 */
export function numberAttribute(message: StatusMessage, name: string, otherwise: number): number {
  const text = message.attributes[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new MalformedMessage(`attribute ${name} is "${text}": use a whole number below 2^53`);
  return value;
}

/** @throws MalformedMessage if the message names no changefeed */
export function spaceFor(changefeed: ChangefeedID | undefined, mode: bigint): Space {
  if (changefeed === undefined || (changefeed.name === "" && changefeed.high === 0n && changefeed.low === 0n))
    throw new MalformedMessage("changefeedID is absent: name the changefeed");
  if (mode !== 0n && mode !== 1n) throw new MalformedMessage(`mode is ${mode}: use 0 (default) or 1 (redo)`);
  const space = spaceOf(changefeed, mode);
  if (space.text.length > MAX_SPACE)
    throw new MalformedMessage(
      `changefeedID is ${space.text.length} bytes long, with its name and keyspace encoded as in a URL: use shorter ones, of at most ${MAX_SPACE} together`,
    );
  return space;
}

function reportsOf(
  message: StatusMessage,
  sender: Sender,
  encoding: Encoding,
  { itemBytes }: IntakeSettings,
): Intake {
  const request = decodeReports(encoding, message.body);
  const space = spaceFor(request.changefeedID, request.mode);
  const reports: Report[] = [];
  const faults: string[] = [];
  const seen = new Map<string, Set<string>>();
  for (const [index, status] of request.statuses.entries()) {
    try {
      const report = reportOf(status, sender, message, index);
      refuseRedoSyncpoint(space, report);
      refuseTooLarge(report, itemBytes);
      const lives = request.statuses.length === 1 ? report.lives : firstTime(report, seen);
      if (lives.length > 0) reports.push({ ...report, lives });
    } catch (error) {
      if (!(error instanceof MalformedMessage || error instanceof InvalidState)) throw error;
      faults.push(`blockStatuses[${index}]: ${error.message}`);
    }
  }
  return {
    inputs: [{ space, message, epoch: undefined, membership: undefined, reports, replyQueue: "" }],
    faults,
  };
}

/** Lives that have not reported the same in an earlier status of the request (protocol.md M1a). */
function firstTime(report: Report, seen: Map<string, Set<string>>): readonly ReportedLife[] {
  const same = `${report.key}/${report.stage}/${report.done}/${report.digest}`;
  const before = seen.get(same) ?? new Set<string>();
  seen.set(same, before);
  return report.lives.filter(({ id, life }) => {
    const one = `${id}/${life}`;
    return !before.has(one) && before.add(one);
  });
}

/** protocol.md M17. @throws MalformedMessage */
export function refuseRedoSyncpoint(space: Space, report: Report): void {
  if (space.mode === 1n && parseKeyText(report.key).isSyncPoint)
    throw new MalformedMessage("IsSyncPoint in redo mode: redo has no syncpoints, report it in mode 0 only");
}

/**
 * An event for which its barrier's item has no room: it would be refused with every report, and take others' with it.
 * @throws MalformedMessage
 */
export function refuseTooLarge({ bytes, routes }: Report, itemBytes: number): void {
  if (bytes.length > EVENT_SHARE * itemBytes)
    throw new MalformedMessage(
      `the event takes ${bytes.length} bytes of the ${Math.floor(EVENT_SHARE * itemBytes)} that it may: it lists too many tables, report it with influence DB or All`,
    );
  if (routes.length > ROUTES_SHARE * itemBytes)
    throw new MalformedMessage(
      `RouteTableAdmissions take ${routes.length} bytes of the ${Math.floor(ROUTES_SHARE * itemBytes)} that they may: admit fewer tables with one event`,
    );
}

/** Digest of an event's bytes: short enough for the root, long enough that no two events of one key share it. */
export function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url").slice(0, 16);
}

/** @throws MalformedMessage if no event can be there */
function checkBlockTs({ BlockTs }: State): void {
  if (BlockTs === 0n) throw new MalformedMessage("BlockTs is 0: name the event's commitTs");
  const fault = commitTsFault(BlockTs, "BlockTs");
  if (fault !== undefined) throw new MalformedMessage(fault);
}

const DONE_KINDS = {
  [DoneAction.UNSPECIFIED]: "unspecified",
  [DoneAction.WRITE_DONE]: "write",
  [DoneAction.PASS_DONE]: "pass",
} as const;

function reportOf(status: FoldedStatus, sender: Sender, message: StatusMessage, index: number): Report {
  const { state } = status;
  if (state === undefined) throw new MalformedMessage("state is absent: say what the dispatcher is at");
  checkBlockTs(state);
  const lives = livesOf(status, sender);
  const key = keyText({ commitTs: state.BlockTs, isSyncPoint: state.IsSyncPoint });
  const redelivered = message.receiveCount > 1;
  const common = { key, lives, sender, message, index, redelivered, registered: false };
  if (state.stage === BlockStage.DONE) {
    const done = DONE_KINDS[state.doneAction];
    if (done === undefined)
      throw new MalformedMessage(`doneAction ${state.doneAction} is unknown: use WRITE_DONE or PASS_DONE`);
    const nothing = new Uint8Array();
    return { ...common, stage: "done", done, event: undefined, bytes: nothing, digest: "", routes: nothing };
  }
  // NONE with IsBlocked is what WAITING was once; WRITING is never reported, only registered (ticdc.md TM9, TM69).
  if (state.stage !== BlockStage.NONE && state.stage !== BlockStage.WAITING)
    throw new MalformedMessage(`stage ${state.stage} cannot be reported: use NONE, WAITING or DONE`);
  if (state.stage === BlockStage.WAITING && !state.IsBlocked)
    throw new MalformedMessage("stage is WAITING and IsBlocked is false: a dispatcher that waits is blocked");
  return { ...common, stage: state.IsBlocked ? "waiting" : "none", done: "unspecified", ...described(state) };
}

/** What a state says that the event is. */
function described(state: State): Pick<Report, "event" | "bytes" | "digest" | "routes"> {
  const event = eventOf(state);
  const bytes = eventBytes(event);
  return { event, bytes, digest: digestOf(bytes), routes: routeBytes(state) };
}

/**
 * The block state of a registered dispatcher as a report (protocol.md M14); undefined: it stands at no event.
 * @throws MalformedMessage, InvalidState if the state cannot be one
 */
export function registeredReport(
  state: State,
  life: ReportedLife,
  sender: Sender,
  message: StatusMessage,
  index: number,
): Report | undefined {
  if (state.stage === BlockStage.NONE && !state.IsBlocked) return undefined;
  const stage = REGISTERED_STAGES[state.stage];
  if (stage === undefined)
    throw new MalformedMessage(`stage ${state.stage} is unknown: use WAITING, WRITING or DONE`);
  if (!state.IsBlocked)
    throw new MalformedMessage(
      "IsBlocked is false: only an event that a dispatcher is blocked at is a block state",
    );
  checkBlockTs(state);
  return {
    key: keyText({ commitTs: state.BlockTs, isSyncPoint: state.IsSyncPoint }),
    stage,
    done: "unspecified",
    lives: [life],
    ...described(state),
    sender,
    message,
    index,
    redelivered: message.receiveCount > 1,
    registered: true,
  };
}

const REGISTERED_STAGES: Partial<Record<BlockStage, Report["stage"]>> = {
  // NONE and blocked is what WAITING was once (ticdc.md TM9).
  [BlockStage.NONE]: "waiting",
  [BlockStage.WAITING]: "waiting",
  [BlockStage.WRITING]: "writing",
  [BlockStage.DONE]: "written",
};

/** Why a life can be none (protocol.md R4): above the highest one there is no higher one. */
export function lifeFault(life: bigint, { start }: Sender): string | undefined {
  if (start > 0n && life === 0n)
    return "life is absent: a node that sends start names the life of each dispatcher";
  return life > MAX_NUMBER ? `life is ${life}: use numbers below 2^63 - 1` : undefined;
}

function livesOf({ ID, ids, lives, life }: FoldedStatus, sender: Sender): ReportedLife[] {
  if (ids.length > 0 && lives.length > 0 && lives.length !== ids.length)
    throw new MalformedMessage(
      `lives has ${lives.length} entries and dispatcherIDs ${ids.length}: give one for each`,
    );
  const named = ids.map((id, index) => ({ id, life: lives[index] ?? life }));
  if (ID !== undefined && (ID.high !== 0n || ID.low !== 0n)) {
    const id = dispatcherKey(ID);
    if (!ids.includes(id)) named.push({ id, life });
  }
  if (named.length === 0) throw new MalformedMessage("no dispatcher: set ID or dispatcherIDs");
  for (const one of named) {
    const fault = lifeFault(one.life, sender);
    if (fault !== undefined) throw new MalformedMessage(fault);
  }
  return named;
}
