import { MAX_UNREACHABLE } from "./bounds.ts";
import { evaluate } from "./evaluate.ts";
import type { SpaceInput, StatusMessage } from "./intake.ts";
import {
  mayReplay,
  principalOf,
  type Report,
  SENDER_ATTRIBUTE,
  SENT_AT_ATTRIBUTE,
  takeIn,
} from "./intake.ts";
import { readKept } from "./kept.ts";
import { handleMembership } from "./membershipturn.ts";
import { type Observation, Observer } from "./observe.ts";
import { Outbox } from "./outbox.ts";
import type { ActionMessage, DeadLetter } from "./port.ts";
import { notePositions } from "./positions.ts";
import { ask, type Program, together } from "./program.ts";
import { noteProgress } from "./progress.ts";
import { handleReports } from "./reports.ts";
import { missingTables } from "./schedule.ts";
import {
  EpochChanged,
  emptyMemory,
  MAX_ATTEMPTS,
  Session,
  type Settings,
  type SpaceMemory,
} from "./session.ts";
import { tellSlices } from "./slices.ts";
import type { Space } from "./space.ts";
import { repeatOutstanding } from "./tell.ts";

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
}

export interface BatchResult {
  /** Messages that must be delivered again. All others are dealt with for good. */
  readonly failed: readonly { readonly messageId: string; readonly reason: string }[];
  readonly observer: Observer;
}

/**
 * Handles a batch of the status queue: takes it apart, folds what belongs to one changefeed, commits, and sends what
 * follows from that. A message is done with only when all that it must cause is durable (design.md I7); what cannot be
 * understood is put aside with the reason and holds up nobody (I10).
 */
export function* handleBatch(
  messages: readonly StatusMessage[],
  invocation: Invocation,
): Program<BatchResult> {
  const observer = new Observer();
  const failed = new Map<string, string>();
  const faults = new Map<StatusMessage, string[]>();
  const fault = (message: StatusMessage, reason: string) => {
    const reasons = faults.get(message) ?? [];
    if (!reasons.includes(reason)) reasons.push(reason);
    faults.set(message, reasons);
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

  yield* together(
    [...spaces.values()].map((inputs) =>
      handleGroup(inputs[0]!.space, inputs, invocation, observer, fault, (reason) => {
        for (const { message } of inputs) failed.set(message.messageId, reason);
      }),
    ),
  );
  yield* together(
    [...faults]
      .filter(([message]) => !failed.has(message.messageId))
      .map(([message, reasons]) =>
        putAside(message, reasons.join("; "), observer, failed, invocation.settings),
      ),
  );
  return { failed: [...failed].map(([messageId, reason]) => ({ messageId, reason })), observer };
}

/** One space of a batch. An error here gives back its own messages only. */
function* handleGroup(
  space: Space,
  inputs: readonly SpaceInput[],
  invocation: Invocation,
  observer: Observer,
  fault: (message: StatusMessage, reason: string) => void,
  fail: (reason: string) => void,
): Program<void> {
  for (let attempt = 1; ; attempt++) {
    const session = openSession(space, invocation, observer, attempt);
    let error: unknown;
    try {
      yield* handleSpace(session, inputs, fault);
    } catch (thrown) {
      error = thrown;
    }
    // What was committed is told even if something after it failed: its message may not come again soon.
    let undelivered = 0;
    try {
      undelivered = yield* flush(session, observer);
    } catch (thrown) {
      error = thrown;
    }
    if (error instanceof EpochChanged && attempt < MAX_ATTEMPTS) continue;
    if (error !== undefined) {
      // What is in memory may be ahead of what was written.
      invocation.memory.spaces.delete(space.text);
      fail(error instanceof Error ? error.message : String(error));
    } else if (undelivered > 0) fail(`${undelivered} actions could not be sent`);
    return;
  }
}

/** A session on a space, with what the environment remembers of it. */
export function openSession(
  space: Space,
  invocation: Invocation,
  observer: Observer,
  attempt: number,
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
  if (again) yield* resume(session);
}

/**
 * Goes on with all that an earlier delivery may have committed and died before it had its effect, on whichever barrier:
 * a message is done with only when all that it must cause is durable (design.md I7).
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
  yield* evaluate(session, "all");
  yield* handleKept(session);
  for (const key of [...(session.root?.steps.keys() ?? [])].sort())
    yield* repeatOutstanding(session, key, force);
}

/**
 * Goes through what was kept for lives that were not known. What is still unknown keeps its place, for it is kept under
 * the same name again; the rest is dropped when what follows from it is sent
 * (`flush`): its message is gone, so nobody else would bring it again (design.md I7).
 */
function* handleKept(session: Session): Program<void> {
  const kept = yield* readKept(session);
  if (kept.length === 0) return;
  const roster = yield* session.roster();
  const due = kept.filter(({ input }) => namesKnown(input, (id) => roster.find(id) ?? roster.ended(id)));
  if (due.length === 0) return;
  const refused = new Map<StatusMessage, string>();
  const statuses = due.filter(({ input }) => input.membership !== undefined).map(({ input }) => input);
  yield* handleMembership(session, statuses, ({ message }, reason) => refused.set(message, reason));
  yield* handleReports(
    session,
    due.flatMap(({ input }) => input.reports),
    ({ message }, reason) => refused.set(message, reason),
  );
  const settled = due.filter(({ input }) => isSettled(session, input));
  if (settled.length === 0) return;
  // What is refused is put aside before it is dropped: by now its message is gone (design.md I10).
  for (const { input } of settled) {
    const reason = refused.get(input.message);
    if (reason === undefined) continue;
    yield* ask("deadLetter", deadLetter(input.message, reason, session.settings));
    session.observer.note(rejection(session.space.text, input.message, reason));
  }
  for (const { id } of settled) session.settledKept.add(id);
}

function namesKnown(input: SpaceInput, known: (id: string) => unknown): boolean {
  const { membership, reports } = input;
  const ids = membership?.kind === "status" ? membership.statuses.map((status) => status.id) : [];
  return [...ids, ...reports.flatMap((report) => report.lives.map((one) => one.id))].some(
    (id) => known(id) !== undefined,
  );
}

/** Whether no life that an input names can become known later. */
function isSettled(session: Session, input: SpaceInput): boolean {
  const roster = session.memory.roster;
  const { membership, reports } = input;
  const statuses = membership?.kind === "status" ? membership.statuses : [];
  const lives = [...statuses, ...reports.flatMap((report) => report.lives)];
  const sentAt = BigInt(input.message.sentAt);
  return lives.every(({ id, life }) => {
    const highest = roster?.find(id)?.life.life ?? roster?.ended(id)?.life;
    return (
      highest !== undefined && highest >= (life === 0n ? 0n : life) && (life !== 0n || highest <= sentAt)
    );
  });
}

/** Sends what the session has to tell. @returns how many messages may be sent later */
export function* flush(session: Session, observer: Observer): Program<number> {
  const slices = session.outbox.handOver(session.settings.sendsAtOnce);
  if (slices.length > 0) {
    observer.note({ what: "wave-handed-over", space: session.space.text, count: slices.length });
    yield* ask("handOver", slices);
  }
  const messages = session.outbox.take();
  const results = messages.length > 0 ? yield* ask("send", messages) : [];
  for (const [index, result] of results.entries())
    if (result === "no-such-queue") yield* noteUnreachable(session, observer, messages[index]!);
  const failed = results.filter((result) => result === "failed").length;
  if (failed === 0 && session.settledKept.size > 0) {
    yield* ask("dropKept", session.space, [...session.settledKept]);
    session.settledKept.clear();
  }
  return failed;
}

/** A queue is gone for good: the barrier shows who cannot be reached, and nobody waits for it (protocol.md R9b). */
function* noteUnreachable(
  session: Session,
  observer: Observer,
  { queue, about, type }: ActionMessage,
): Program<void> {
  observer.note({ what: "queue-missing", space: session.space.text, detail: queue });
  if (type === "ScheduleDispatcherRequest") session.goneQueues.add(queue);
  for (const key of about)
    if (session.step(key) !== undefined)
      yield* ask(
        "touchBarrier",
        session.name(key),
        { notClosed: true, fewerUnreachable: MAX_UNREACHABLE },
        { addUnreachable: [queue] },
      );
}

function rejection(space: string, message: StatusMessage, detail: string): Observation {
  return { what: "message-rejected", space, node: message.attributes["from"] ?? "", detail };
}

/**
 * When a message was sent, and by whom, is part of what it says and would be lost with a redrive (protocol.md, attribute
 * sentAt; decisions/0016).
 */
function deadLetter(message: StatusMessage, reason: string, settings: Settings): DeadLetter {
  const { body } = message;
  // What anybody but a redriver says of either would count when a redriver brings it back.
  const { [SENDER_ATTRIBUTE]: _, ...attributes } = message.attributes;
  const sender = principalOf(message, settings);
  const stated = message.attributes[SENT_AT_ATTRIBUTE];
  const sentAt = {
    [SENT_AT_ATTRIBUTE]: (mayReplay(message, settings) ? stated : undefined) ?? String(message.sentAt),
  };
  return {
    body,
    attributes: { ...attributes, ...sentAt, ...(sender && { [SENDER_ATTRIBUTE]: sender }) },
    reason,
  };
}

/** Keeps a message that is not understood, with the reason; it is delivered again only if that fails (I10). */
function* putAside(
  message: StatusMessage,
  reason: string,
  observer: Observer,
  failed: Map<string, string>,
  settings: Settings,
): Program<void> {
  try {
    yield* ask("deadLetter", deadLetter(message, reason, settings));
    observer.note(rejection("", message, reason));
  } catch (error) {
    failed.set(message.messageId, error instanceof Error ? error.message : String(error));
  }
}
