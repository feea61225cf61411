import { codeOf, type ErrorCode } from "../error/weir-error.ts";
import { causesOf, flush } from "./answers/flush.ts";
import { repeatOutstanding } from "./answers/repeat.ts";
import { tellSlices } from "./answers/wave.ts";
import { Observer } from "./base/observe.ts";
import { type Program, together } from "./base/program.ts";
import type { Space } from "./base/space.ts";
import type { Report, SpaceInput, StatusMessage } from "./intake/input.ts";
import { takeIn } from "./intake/intake.ts";
import { putAside } from "./intake/put-aside.ts";
import { noteProgress } from "./reports/checkpoints.ts";
import { handleKept } from "./reports/early.ts";
import { notePositions } from "./reports/positions.ts";
import { handleReports } from "./reports/reports.ts";
import { handleMembership } from "./roster/change.ts";
import { rejudgeAll } from "./session/agenda.ts";
import { MAX_ATTEMPTS } from "./session/contention.ts";
import { Outbox } from "./session/outbox.ts";
import { EpochChanged, emptyMemory, Session, type Settings, type SpaceMemory } from "./session/session.ts";
import { missingTables } from "./steps/schedule.ts";
import { settle } from "./steps/settle.ts";
import { hear } from "./upkeep/hearing.ts";

/** What one execution environment keeps between invocations. */
export interface Memory {
  readonly spaces: Map<string, SpaceMemory>;
}

/** How many changefeeds an environment remembers; the one not used for longest is forgotten. */
const MAX_SPACES = 64;

export function newMemory(): Memory {
  return { spaces: new Map() };
}

/** Forgets what is known of barriers, so that they are looked at from scratch. Rosters, known by version, stay. */
export function forgetBarriers(memory: Memory): void {
  for (const space of memory.spaces.values()) space.barriers.clear();
}

/** One invocation: its time and a name that no other invocation has. */
export interface Invocation {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly nonce: string;
  readonly settings: Settings;
  readonly memory: Memory;
  /** Of a sweep: aborted when it has to come to its end. Default: never. */
  readonly stop?: Pick<AbortSignal, "aborted">;
}

export interface BatchResult {
  /** Messages that must be delivered again. All others are dealt with for good. */
  readonly failed: readonly ({ readonly messageId: string } & Failure)[];
  readonly observer: Observer;
}

/**
 * Handles a batch of the status queue: takes it apart, folds what belongs to one changefeed, commits, and sends what
 * follows from that. A message is done with only when all that it must cause is durable (invariants.md I7); what cannot be
 * understood is put aside with the reason, and what goes wrong with one message goes wrong with no other (I10).
 */
export function* handleBatch(
  messages: readonly StatusMessage[],
  invocation: Invocation,
): Program<BatchResult> {
  const observer = new Observer();
  const failed = new Map<string, Failure>();
  const faults = new Map<StatusMessage, Set<string>>();
  const fault = (message: StatusMessage, reason: string) => {
    const reasons = faults.get(message) ?? new Set();
    faults.set(message, reasons.add(reason));
  };

  const spaces = new Map<string, SpaceInput[]>();
  for (const message of messages) {
    const intake = takeIn(message, invocation.settings);
    for (const reason of intake.faults) fault(message, reason);
    for (const input of intake.inputs) {
      const inputs = spaces.get(input.space.text) ?? [];
      inputs.push(input);
      spaces.set(input.space.text, inputs);
    }
  }

  const turn: Turn = {
    invocation,
    observer,
    fault,
    fail: ({ message }, failure) => void failed.set(message.messageId, failure),
  };
  yield* together([...spaces.values()].map((inputs) => handleGroup(inputs[0]!.space, inputs, turn)));
  yield* together(
    [...faults]
      .filter(([message]) => !failed.has(message.messageId))
      .map(([message, reasons]) => keepFaulty(message, [...reasons].join("; "), turn, failed)),
  );
  return { failed: [...failed].map(([messageId, failure]) => ({ messageId, ...failure })), observer };
}

/** It is delivered again only if it cannot be kept (I10). */
function* keepFaulty(
  message: StatusMessage,
  reason: string,
  { observer, invocation }: Turn,
  failed: Map<string, Failure>,
): Program<void> {
  try {
    yield* putAside(message, reason, "", observer, invocation.settings);
  } catch (error) {
    failed.set(message.messageId, failureOf(error));
  }
}

/** What handling a batch has in common for all of its spaces. */
interface Turn {
  readonly invocation: Invocation;
  readonly observer: Observer;
  /** A message is put aside, if it has not failed. */
  readonly fault: (message: StatusMessage, reason: string) => void;
  /** A message is to be delivered again. */
  readonly fail: (input: SpaceInput, failure: Failure) => void;
}

/** Why a message, or a changefeed, could not be dealt with. `code`: of an error of Weir's own (docs/errors.md). */
export interface Failure {
  readonly reason: string;
  readonly code?: ErrorCode;
}

export function failureOf(error: unknown): Failure {
  const code = codeOf(error);
  return { reason: error instanceof Error ? error.message : String(error), ...(code && { code }) };
}

/**
 * One space of a batch. If handling it together fails, what was committed is gone on with, and then each message is handled
 * by itself: only those fail whose own handling does (decisions/0032).
 */
function* handleGroup(space: Space, inputs: readonly SpaceInput[], turn: Turn): Program<void> {
  const error = yield* workOn(space, inputs, turn, "", (session) => handleSpace(session, inputs, turn.fault));
  if (error === undefined) return;
  const alone = new Set(inputs.map(({ message }) => message.messageId)).size === 1;
  // An error that is nobody's own, as of a store that does not answer, comes here too.
  const goneOn = alone ? error : yield* workOn(space, inputs, turn, "g", (session) => goOnFresh(session));
  if (goneOn !== undefined) {
    for (const input of inputs) turn.fail(input, failureOf(goneOn));
    return;
  }
  for (const [index, input] of inputs.entries()) {
    const own = yield* workOn(space, [input], turn, `a${index}-`, (session) =>
      handleAlone(session, input, turn),
    );
    if (own !== undefined) turn.fail(input, failureOf(own));
  }
}

function* goOnFresh(session: Session): Program<void> {
  yield* session.refresh();
  yield* resume(session);
}

/** A message whose batch failed: what is in memory may be from before that, what is stored was gone on with. */
function* handleAlone(session: Session, input: SpaceInput, { fault }: Turn): Program<void> {
  yield* session.refresh();
  yield* handleInputs(session, [input], fault);
}

/**
 * Runs a piece of work on a space and sends what follows from it, again if the changefeed began a new epoch meanwhile.
 * Inputs whose actions could not be sent fail here.
 * @param name tells this session's chunks from those of the other sessions of the invocation
 * @returns the error that the work ended with, if it did
 */
function* workOn(
  space: Space,
  inputs: readonly SpaceInput[],
  { invocation, observer, fail }: Turn,
  name: string,
  work: (session: Session) => Program<void>,
): Program<unknown> {
  for (let attempt = 1; ; attempt++) {
    const session = openSession(space, invocation, observer, `${name}${attempt}`);
    let error: unknown;
    try {
      yield* work(session);
    } catch (thrown) {
      error = thrown;
    }
    // What was committed is told even if something after it failed: its message may not come again soon.
    try {
      const unsent = yield* flush(session);
      if (!(error instanceof EpochChanged))
        for (const input of causesOf(unsent, inputs, session))
          fail(input, { reason: `${unsent.length} actions could not be sent`, code: "send-failed" });
    } catch (thrown) {
      error = thrown;
    }
    if (error instanceof EpochChanged && attempt < MAX_ATTEMPTS) continue;
    // What is in memory may be ahead of what was written.
    if (error !== undefined) invocation.memory.spaces.delete(space.text);
    return error;
  }
}

/** A session on a space, with what the environment remembers of it. */
export function openSession(
  space: Space,
  invocation: Invocation,
  observer: Observer,
  attempt: number | string,
): Session {
  const { spaces } = invocation.memory;
  const memory = spaces.get(space.text) ?? emptyMemory();
  spaces.delete(space.text);
  spaces.set(space.text, memory);
  for (const oldest of spaces.keys()) {
    if (spaces.size <= MAX_SPACES) break;
    spaces.delete(oldest);
  }
  return new Session({
    space,
    now: invocation.now,
    nonce: `${invocation.nonce}.${attempt}`,
    memory,
    outbox: new Outbox(space),
    settings: invocation.settings,
    observer,
    stop: invocation.stop,
  });
}

function* handleSpace(
  session: Session,
  inputs: readonly SpaceInput[],
  fault: (message: StatusMessage, reason: string) => void,
): Program<void> {
  // A slice commits nothing, and is told again by itself.
  const again = inputs.some(({ message, slice }) => message.receiveCount > 1 && slice === undefined);
  // What is in memory may be from before that.
  if (again) yield* session.refresh();
  yield* handleInputs(session, inputs, fault);
  if (again) yield* resume(session);
}

function* handleInputs(
  session: Session,
  inputs: readonly SpaceInput[],
  fault: (message: StatusMessage, reason: string) => void,
): Program<void> {
  const { changed, accepted } = yield* handleMembership(
    session,
    inputs.filter((input) => input.membership !== undefined),
    (input, reason) => fault(input.message, reason),
  );
  if (changed) yield* handleKept(session);
  yield* noteProgress(session, inputs);
  yield* notePositions(session, inputs);
  yield* handleReports(
    session,
    inputs.flatMap((input) =>
      input.reports.filter(
        ({ registered, lives }) => !registered || accepted.get(input)?.has(lives[0]!.id) === true,
      ),
    ),
    (report: Report, reason) => fault(report.message, reason),
  );
  yield* tellSlices(
    session,
    inputs.flatMap(({ slice, message }) => (slice ? [{ slice, redelivered: message.receiveCount > 1 }] : [])),
  );
  // A slice is the coordinator's own.
  if (inputs.some((input) => input.slice === undefined)) yield* hear(session);
}

/**
 * Goes on with all that an earlier delivery may have committed and died before it had its effect, on whichever barrier:
 * a message is done with only when all that it must cause is durable (invariants.md I7).
 */
function* resume(session: Session): Program<void> {
  if (session.root === undefined) return;
  yield* goOn(session, true);
  yield* missingTables(session);
}

/**
 * Judges every open barrier on what is stored, takes up what was kept, and tells again what has had no answer.
 * @param force tell it whatever the time: the invocation that should have may have died
 */
export function* goOn(session: Session, force: boolean): Program<void> {
  rejudgeAll(session, "all");
  yield* settle(session);
  yield* handleKept(session);
  for (const key of [...(session.root?.steps.keys() ?? [])].sort()) {
    if (session.stopped) return;
    yield* repeatOutstanding(session, key, force);
  }
}
