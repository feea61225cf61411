import { MAX_UNREACHABLE } from "../base/bounds.ts";
import type { ActionMessage } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import type { Slice } from "../base/slice.ts";
import type { SpaceInput } from "../intake/input.ts";
import type { Session } from "../session/session.ts";

/** Something that is to be told and could not be sent now. */
export interface Unsent {
  /** Empty: it was to be handed over to other invocations. */
  readonly queue: string;
  readonly type: ActionMessage["type"] | "Slice";
  /** The barriers (`keyText`) that it is about. */
  readonly about: readonly string[];
}

/**
 * Sends what the session has to tell. What went wrong with one queue keeps nothing from another.
 * @returns what could not be sent, and may be later
 */
export function* flush(session: Session): Program<readonly Unsent[]> {
  const { observer } = session;
  const space = session.space.text;
  const unsent: Unsent[] = [];
  const slices = session.outbox.handOver(session.settings.sendsAtOnce);
  if (slices.length > 0)
    try {
      yield* ask("handOver", slices);
      observer.note({ what: "wave-handed-over", space, count: slices.length });
    } catch (error) {
      unsent.push(notHandedOver(slices));
      observer.note({ what: "action-unsent", space, count: slices.length, detail: String(error) });
    }
  for (let messages = session.outbox.take(); messages.length > 0; messages = session.outbox.take())
    for (const [index, result] of (yield* ask("send", messages)).entries()) {
      const { queue, type, about } = messages[index]!;
      if (result === "no-such-queue") yield* noteUnreachable(session, messages[index]!);
      else if (result === "failed") {
        unsent.push({ queue, type, about });
        observer.note({ what: "action-unsent", space, count: 1, detail: queue });
      }
    }
  if (unsent.length === 0 && session.settledKept.size > 0) {
    yield* ask("dropKept", session.space, [...session.settledKept]);
    session.settledKept.clear();
  }
  return unsent;
}

function notHandedOver(slices: readonly Slice[]): Unsent {
  return { queue: "", type: "Slice", about: [...new Set(slices.map((slice) => slice.key))] };
}

/** A queue is gone for good: the barrier shows who cannot be reached, and nobody waits for it (protocol.md R9b). */
function* noteUnreachable(session: Session, { queue, about, type }: ActionMessage): Program<void> {
  session.observer.note({ what: "queue-missing", space: session.space.text, detail: queue });
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

/**
 * A message whose actions cannot be sent comes again, until its delivery of this number: a queue that refuses for hours
 * makes no dead letter of a report that is right (decisions/0032). What is owed by then is owed by the state, which every
 * sweep tells again; answers are asked for again by who misses them.
 */
export const DELIVERIES_FOR_ACTIONS = 3;

/**
 * Which inputs must come again because of what could not be sent: those that caused it, and of those that may have, as few
 * as can be told.
 */
export function causesOf(
  unsent: readonly Unsent[],
  inputs: readonly SpaceInput[],
  session: Session,
): ReadonlySet<SpaceInput> {
  const causes = new Set<SpaceInput>();
  for (const one of unsent)
    for (const input of mayHaveCaused(one, inputs, session))
      if (input.message.receiveCount < DELIVERIES_FOR_ACTIONS) causes.add(input);
  return causes;
}

function mayHaveCaused(
  { queue, about, type }: Unsent,
  inputs: readonly SpaceInput[],
  session: Session,
): readonly SpaceInput[] {
  const own = inputs.filter(
    (input) =>
      input.reports.some((report) => about.includes(report.key)) ||
      (input.slice !== undefined && (input.slice.kind === "ack" || about.includes(input.slice.key))) ||
      (queue !== "" && asks(session, input, queue)),
  );
  if (own.length > 0) return own;
  // Who comes again goes on with whatever was left half done.
  const again = inputs.filter((input) => input.message.receiveCount > 1);
  if (again.length > 0) return again;
  // A change of the roster brings any barrier on, as a rule; a dispatcher is created or removed by an event.
  const changes = inputs.filter(
    (input) => (type === "ScheduleDispatcherRequest") === input.reports.length > 0,
  );
  return changes.length > 0 ? changes : inputs;
}

/** Whether a queue is where an input is answered. */
function asks(session: Session, { replyQueue, reports, membership }: SpaceInput, queue: string): boolean {
  if (replyQueue === queue) return true;
  const { roster } = session.memory;
  const sender = membership?.sender ?? reports[0]?.sender;
  if (sender !== undefined && roster?.nodes.get(sender.node)?.nodeQueue === queue) return true;
  return reports.some(({ lives }) =>
    lives.some(({ id }) => {
      const life = roster?.find(id)?.life;
      return life?.queue === queue && life.node === sender?.node;
    }),
  );
}
