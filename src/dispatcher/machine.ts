import { WeirError } from "../error/weir-error.ts";
import { compareKeys, type EventKey, keyText } from "../protocol/event-key.ts";
import {
  blocks,
  type CaptureEvent,
  type DispatcherIdentity,
  isOfItsTable,
  isTrigger,
  needsReport,
} from "./event.ts";
import type { Standing } from "./hosted.ts";

/** ms between repeats of a NONE, and of a WAITING that has no ACK yet (protocol.md D4). */
export const REPEAT_MS = 5_000;
/** ms between repeats of a WAITING after its ACK: one brings back an answer that was lost (protocol.md D4). */
export const SLOW_REPEAT_MS = 15_000;

export type ActionKind = "write" | "pass";

/** What a machine wants done. Commands of one call are carried out in their order. */
export type Command =
  /** Make everything before the event durable, then call `flushed`. */
  | { readonly do: "flush"; readonly event: CaptureEvent }
  /** Flush and write an event that blocks nobody, then call `wroteLocally` or `failedLocally`. */
  | { readonly do: "write-locally"; readonly event: CaptureEvent }
  /** Write or pass the event in the sink, then call `executed` or `failed`. */
  | { readonly do: "execute"; readonly action: ActionKind; readonly event: CaptureEvent }
  | { readonly do: "report"; readonly stage: "waiting" | "none"; readonly event: CaptureEvent }
  | { readonly do: "done"; readonly key: EventKey; readonly action: ActionKind }
  /** The event stream may go on behind the event. */
  | { readonly do: "resume"; readonly event: CaptureEvent };

interface Pending {
  readonly event: CaptureEvent;
  stage: "flushing" | "waiting" | "writing";
  repeatAt: number;
  acked: boolean;
}

interface Unacked {
  readonly event: CaptureEvent;
  /** Infinity until it is written here: only then it is reported. */
  repeatAt: number;
}

/** The whole state of a machine, as a value. Events are shared: they never change. */
export interface SavedMachine {
  readonly pending: Readonly<Pending> | undefined;
  readonly held: CaptureEvent | undefined;
  readonly unacked: readonly Readonly<Unacked>[];
  readonly finished: EventKey;
}

/**
 * One dispatcher between its event stream and the coordinator (protocol.md D1 to D10, D13; invariants.md I4). It has no I/O and no clock: what
 * it wants done comes back as commands, and `now` is milliseconds of a clock that only grows.
 */
export class DispatcherMachine {
  readonly identity: DispatcherIdentity;
  #pending: Pending | undefined;
  #held: CaptureEvent | undefined;
  readonly #unacked = new Map<string, Unacked>();
  /** Everything up to this key is behind this life: what it started from, then what it finished. */
  #finished: EventKey;
  /** The last event of the stream. */
  #arrived: EventKey | undefined;

  /** @param checkpointTs where this life starts: past the DDL at it, not past the syncpoint at it (protocol.md R10) */
  constructor(identity: DispatcherIdentity, checkpointTs: bigint) {
    this.identity = identity;
    this.#finished = { commitTs: checkpointTs, isSyncPoint: false };
  }

  /** A machine that goes on where another one was saved: whoever tries all that can happen goes back this way. */
  static restore(identity: DispatcherIdentity, saved: SavedMachine): DispatcherMachine {
    const machine = new DispatcherMachine(identity, 0n);
    machine.#pending = saved.pending && { ...saved.pending };
    machine.#held = saved.held;
    for (const one of saved.unacked) machine.#unacked.set(keyText(one.event.key), { ...one });
    machine.#finished = saved.finished;
    return machine;
  }

  save(): SavedMachine {
    return {
      pending: this.#pending && { ...this.#pending },
      held: this.#held,
      unacked: [...this.#unacked.values()].map((one) => ({ ...one })),
      finished: this.#finished,
    };
  }

  /** Whether an answer of the coordinator is awaited: only then a queue of its own is polled (invariants.md Q3). */
  get outstanding(): boolean {
    return this.#pending !== undefined || this.#held !== undefined || this.#unacked.size > 0;
  }

  /** Whether an event that it wrote by itself, or writes, has no ACK yet (protocol.md D3, D10). */
  get unacknowledged(): boolean {
    return this.#unacked.size > 0;
  }

  /** commitTs of the first event that it wrote by itself, or writes, and that has no ACK yet. */
  get unacknowledgedFrom(): bigint | undefined {
    let first: bigint | undefined;
    for (const { event } of this.#unacked.values())
      if (first === undefined || event.key.commitTs < first) first = event.key.commitTs;
    return first;
  }

  /** The event that the stream stands at, and since which stage. */
  get blockedAt(): Standing | undefined {
    if (this.#held) return { event: this.#held, stage: "held" };
    return this.#pending && { event: this.#pending.event, stage: this.#pending.stage };
  }

  /** Everything up to this key is behind this life. */
  get finished(): EventKey {
    return this.#finished;
  }

  /** The event at which it waits, or whose action it executes; during the flush nobody knows of it (ticdc.md TD8). */
  get standsAt(): { readonly event: CaptureEvent; readonly stage: "waiting" | "writing" } | undefined {
    const pending = this.#pending;
    return pending === undefined || pending.stage === "flushing"
      ? undefined
      : { event: pending.event, stage: pending.stage };
  }

  /**
   * An event of the stream. The stream waits for its `resume`.
   * @throws if it has the key of the one before it: the coordinator would take it for a repeat, and what it adds would be lost
   */
  arrive(event: CaptureEvent): Command[] {
    const { identity } = this;
    if (this.#arrived !== undefined && compareKeys(this.#arrived, event.key) === 0)
      throw new WeirError(
        "event-order",
        `two events with the key ${keyText(event.key)}: what has one commitTs is one event, give it as one`,
      );
    this.#arrived = event.key;
    if (!blocks(event, identity)) {
      // The cap on the checkpoint and the count stand before the write begins (protocol.md D10, ticdc.md T5).
      if (isTrigger(identity) && needsReport(event))
        this.#unacked.set(keyText(event.key), { event, repeatAt: Number.POSITIVE_INFINITY });
      return [{ do: "write-locally", event }];
    }
    if (isTrigger(identity) && this.#unacked.size > 0) {
      if (this.#held)
        throw new WeirError(
          "event-order",
          `event ${keyText(event.key)} came while ${keyText(this.#held.key)} is held`,
        );
      this.#held = event;
      return [];
    }
    return this.#begin(event);
  }

  /** An event that blocks nobody is in the sink. */
  wroteLocally(event: CaptureEvent, now: number): Command[] {
    this.#finish(event.key);
    const unacked = this.#unacked.get(keyText(event.key));
    if (!unacked && !isOfItsTable(event, this.identity)) return [{ do: "resume", event }];
    if (unacked) unacked.repeatAt = now + REPEAT_MS;
    return [
      { do: "report", stage: "none", event },
      { do: "resume", event },
    ];
  }

  /** An event that blocks nobody could not be written: nothing is counted for it any more (ticdc.md T16). */
  failedLocally(event: CaptureEvent): Command[] {
    this.#unacked.delete(keyText(event.key));
    // The stream gives it again.
    this.#arrived = undefined;
    return this.#releaseHeld();
  }

  /** Everything before the pending event is durable: now it waits (protocol.md D2). */
  flushed(now: number): Command[] {
    const pending = this.#pending;
    if (pending?.stage !== "flushing") return [];
    pending.stage = "waiting";
    pending.repeatAt = now + REPEAT_MS;
    return [{ do: "report", stage: "waiting", event: pending.event }];
  }

  ack(key: EventKey, now: number): Command[] {
    const pending = this.#pending;
    if (pending?.stage === "waiting" && compareKeys(pending.event.key, key) === 0) {
      pending.acked = true;
      pending.repeatAt = now + SLOW_REPEAT_MS;
    }
    const unacked = this.#unacked.get(keyText(key));
    if (!unacked || unacked.repeatAt === Number.POSITIVE_INFINITY) return [];
    this.#unacked.delete(keyText(key));
    return this.#releaseHeld();
  }

  /** The coordinator did not count a WAITING: it is repeated at once (protocol.md D4, M1). */
  ignored(key: EventKey): Command[] {
    const pending = this.#pending;
    if (pending?.stage !== "waiting" || compareKeys(pending.event.key, key) !== 0) return [];
    return [{ do: "report", stage: "waiting", event: pending.event }];
  }

  /** It is registered anew, and the coordinator does not know where it waits. */
  reportAgain(now: number): Command[] {
    const pending = this.#pending;
    if (pending?.stage !== "waiting") return [];
    pending.acked = false;
    pending.repeatAt = now + REPEAT_MS;
    return [{ do: "report", stage: "waiting", event: pending.event }];
  }

  /** An action for this life (protocol.md D5, D6). */
  act(action: ActionKind, key: EventKey): Command[] {
    const pending = this.#pending;
    if (pending && compareKeys(pending.event.key, key) === 0) {
      if (pending.stage !== "waiting") return [];
      pending.stage = "writing";
      return [{ do: "execute", action, event: pending.event }];
    }
    // Finished, or before where this life started: it was done before. Anything else is for later.
    return compareKeys(key, this.#finished) <= 0 ? [{ do: "done", key, action }] : [];
  }

  /** The sink has executed the action: the event is behind, then the stream goes on, then DONE (protocol.md D5). */
  executed(action: ActionKind): Command[] {
    const pending = this.#pending;
    if (pending?.stage !== "writing") return [];
    this.#pending = undefined;
    this.#finish(pending.event.key);
    return [
      { do: "resume", event: pending.event },
      { do: "done", key: pending.event.key, action },
    ];
  }

  /** The sink failed: the event stays pending, no DONE, and it is asked for again (protocol.md D7). */
  failed(now: number): Command[] {
    const pending = this.#pending;
    if (pending?.stage !== "writing") return [];
    pending.stage = "waiting";
    pending.repeatAt = now + REPEAT_MS;
    return [];
  }

  /** When `tick` has something to do next; undefined: not before something else happens. After a clock was set back it may say too late. */
  get nextTick(): number | undefined {
    const times = [...this.#unacked.values()].map((one) => one.repeatAt);
    if (this.#pending?.stage === "waiting") times.push(this.#pending.repeatAt);
    const next = Math.min(...times, Number.POSITIVE_INFINITY);
    return Number.isFinite(next) ? next : undefined;
  }

  /** Repeats what is due (protocol.md D4). */
  tick(now: number): Command[] {
    const commands: Command[] = [];
    for (const unacked of this.#unacked.values())
      if (isDue(unacked.repeatAt, now)) {
        unacked.repeatAt = now + REPEAT_MS;
        commands.push({ do: "report", stage: "none", event: unacked.event });
      }
    const pending = this.#pending;
    if (pending?.stage === "waiting" && isDue(pending.repeatAt, now)) {
      pending.repeatAt = now + (pending.acked ? SLOW_REPEAT_MS : REPEAT_MS);
      commands.push({ do: "report", stage: "waiting", event: pending.event });
    }
    return commands;
  }

  /** What the checkpoint may not pass: the smallest un-acknowledged event that adds tables, less one (protocol.md D10). */
  get checkpointCap(): bigint | undefined {
    let cap: bigint | undefined;
    for (const { event } of this.#unacked.values())
      if ((event.needAddedTables?.length ?? 0) > 0 && (cap === undefined || event.key.commitTs - 1n < cap))
        cap = event.key.commitTs - 1n;
    return cap;
  }

  #begin(event: CaptureEvent): Command[] {
    if (this.#pending)
      throw new WeirError(
        "event-order",
        `event ${keyText(event.key)} came while ${keyText(this.#pending.event.key)} is pending`,
      );
    this.#pending = { event, stage: "flushing", repeatAt: 0, acked: false };
    return [{ do: "flush", event }];
  }

  /** The count may have become zero after an event was held (protocol.md D3). */
  #releaseHeld(): Command[] {
    const held = this.#held;
    if (held === undefined || this.#unacked.size > 0) return [];
    this.#held = undefined;
    return this.#begin(held);
  }

  #finish(key: EventKey): void {
    if (compareKeys(key, this.#finished) > 0) this.#finished = key;
  }
}

/** Its time has come, or it is farther away than any repeat: the clock was set back since (protocol.md D4). */
function isDue(repeatAt: number, now: number): boolean {
  return repeatAt <= now || (repeatAt > now + SLOW_REPEAT_MS && repeatAt !== Number.POSITIVE_INFINITY);
}
