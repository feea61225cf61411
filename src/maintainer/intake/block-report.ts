import { createHash } from "node:crypto";
import { dispatcherKey } from "../../barrier/dispatcher-id.ts";
import { eventBytes, eventOf, InvalidState } from "../../barrier/event.ts";
import type { Sender } from "../../barrier/membership.ts";
import { commitTsFault, MAX_NUMBER } from "../../barrier/plausible.ts";
import { routeBytes } from "../../barrier/routes.ts";
import { type Encoding, MalformedMessage } from "../../protocol/codec.ts";
import { keyText, parseKeyText } from "../../protocol/event-key.ts";
import { decodeReports, type FoldedStatus } from "../../protocol/folded-reports.ts";
import { BlockStage, DoneAction, type State } from "../../protocol/messages.ts";
import { EVENT_SHARE, ROUTES_SHARE } from "../base/bounds.ts";
import type { Space } from "../base/space.ts";
import { spaceFor } from "./envelope.ts";
import type { Intake, IntakeSettings, Report, ReportedLife, StatusMessage } from "./input.ts";

/** The block statuses of a message (protocol.md M1). What one of them cannot mean is a fault of its own. */
export function reportsOf(
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
