import { type DispatcherKey, dispatcherKey } from "../barrier/dispatcher-id.ts";
import { MalformedMessage } from "../protocol/codec.ts";
import type { HostedDispatcher } from "./dispatcher.ts";
import { RegistrationRefused } from "./errors.ts";
import type { Clock } from "./ports.ts";

interface RegistrationsOptions {
  readonly clock: Clock;
  /** Sends a registration of dispatchers that are answered through one queue. Resolves when it is durable. */
  readonly send: (queue: string, dispatchers: readonly HostedDispatcher[]) => Promise<void>;
  /** The present start of the node. */
  readonly start: () => number;
  /** A life higher than a known one. */
  readonly nextLife: (above: bigint) => bigint;
  /** A life that was accepted before does not stand any more: a higher one has ended it. */
  readonly onSuperseded: (id: DispatcherKey, life: bigint, knownLife: bigint) => void;
  /** Dispatchers were accepted. */
  readonly onAccepted: () => void;
  /** A life was accepted of a dispatcher that does not wait for that. */
  readonly onUnexpected: (id: DispatcherKey, life: bigint) => void;
  /** A message with this start of the node was refused: a higher one is known. */
  readonly onStartRefused: (start: bigint, known: bigint) => void;
  /** The changefeed is in this epoch, which is above the one that the node follows. */
  readonly onHigherEpoch: (epoch: bigint) => void;
}

/** The body of a `RegistrationResult` (protocol.md R9a, D14). */
interface RegistrationResult {
  readonly accepted: readonly { readonly id: WireId; readonly life: string }[];
  readonly refused: readonly {
    readonly id: WireId;
    readonly life: string;
    readonly knownLife: string;
    readonly reason: string;
  }[];
  /** The epoch that answers; 0 counts as 1 (protocol.md R1, R9a). */
  readonly maintainerEpoch?: string;
  /** The `start` of the message that it answers. */
  readonly start?: string;
  /** The message was refused because this higher one is known of its node. */
  readonly knownStart?: string;
}
type WireId = { readonly high: string; readonly low: string };

interface Waiting {
  readonly dispatcher: HostedDispatcher;
  readonly queue: string;
  readonly accepted: PromiseWithResolvers<void>;
  /** Since when it is to be registered, in ms. */
  readonly since: number;
  /** The life with which a registration is under way: it is not sent a second time beside that. */
  underWay: bigint | undefined;
  /** The life with which it was sent, and when: before it is repeated an answer has time to come. */
  sent: { readonly life: bigint; readonly at: number } | undefined;
}

export function removedBefore(id: DispatcherKey): RegistrationRefused {
  return new RegistrationRefused(`dispatcher ${id} was removed before it was accepted`);
}

const COLLECT_MS = 10;
/**
 * So long those who come after a registration wait at most for its answer, and are then registered together: each message is a
 * change of the roster, and who comes while that is made would only wait behind it.
 */
const HOLD_MS = 250;
const REPEAT_MS = 5_000;
const SPANS_PER_MESSAGE = 500;

/** Registers dispatchers, again and again until each is accepted, with a higher life where one is refused (R4). */
export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #waiting = new Map<DispatcherKey, Waiting>();
  #scheduled: (() => void) | undefined;
  #soon = false;
  #stopped: Error | undefined;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /**
   * Registers a dispatcher. Resolves when it is accepted; rejects with `RegistrationRefused` if it never will be, or with what
   * `stop` was told.
   */
  add(queue: string, dispatcher: HostedDispatcher): Promise<void> {
    if (this.#stopped) return Promise.reject(this.#stopped);
    const known = this.#waiting.get(dispatcher.config.id);
    // It is registered anew before it was accepted: who waited for that waits for this.
    const accepted = known?.dispatcher === dispatcher ? known.accepted : Promise.withResolvers<void>();
    const since = this.#options.clock.now();
    const waiting: Waiting = { dispatcher, queue, accepted, since, underWay: undefined, sent: undefined };
    this.#waiting.set(dispatcher.config.id, waiting);
    this.#sendIn(COLLECT_MS);
    return waiting.accepted.promise;
  }

  waitsFor(id: DispatcherKey): boolean {
    return this.#waiting.has(id);
  }

  /** A dispatcher is removed: it is registered no more, and gets no other life. */
  forget(id: DispatcherKey): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.accepted.reject(removedBefore(id));
  }

  stop(reason: Error): void {
    this.#stopped = reason;
    this.#scheduled?.();
    for (const { accepted } of this.#waiting.values()) {
      // Who does not wait for it is told by whoever stops.
      accepted.promise.catch(() => undefined);
      accepted.reject(reason);
    }
    this.#waiting.clear();
  }

  /**
   * @param epoch which this node follows: a lower one has accepted nobody for it
   * @throws MalformedMessage if the body is none
   */
  onResult(body: string, epoch: bigint): void {
    const result = parse(body);
    if (result.epoch < epoch) return;
    if (result.epoch > epoch) this.#options.onHigherEpoch(result.epoch);
    if (result.start !== undefined) {
      this.#options.onStartRefused(result.start, result.knownStart);
      // What an earlier start had accepted is over (R5), also where both name the life that the coordinator asked for.
      if (result.start !== BigInt(this.#options.start())) return;
    }
    for (const { id, life } of result.accepted) {
      const waiting = this.#waiting.get(keyOf(id));
      if (waiting === undefined) this.#options.onUnexpected(keyOf(id), BigInt(life));
      if (waiting?.dispatcher.life !== BigInt(life)) continue;
      this.#waiting.delete(keyOf(id));
      waiting.dispatcher.accepted = true;
      this.#options.onAccepted();
      waiting.accepted.resolve();
    }
    for (const { id, life, knownLife, reason } of result.refused) {
      const waiting = this.#waiting.get(keyOf(id));
      if (waiting === undefined && BigInt(knownLife) >= BigInt(life))
        this.#options.onSuperseded(keyOf(id), BigInt(life), BigInt(knownLife));
      if (waiting?.dispatcher.life !== BigInt(life)) continue;
      if (BigInt(knownLife) < BigInt(life) || waiting.dispatcher.isAskedFor) {
        // Either a higher life would be refused as well, again and again; or it is another node's by now (protocol.md R11).
        this.#waiting.delete(keyOf(id));
        waiting.accepted.reject(new RegistrationRefused(`dispatcher ${keyOf(id)} is refused: ${reason}`));
        continue;
      }
      waiting.dispatcher.life = this.#options.nextLife(BigInt(knownLife));
      this.#sendIn(COLLECT_MS);
    }
  }

  /** All who wait are registered again at once. */
  again(): void {
    for (const waiting of this.#waiting.values()) {
      waiting.underWay = undefined;
      waiting.sent = undefined;
    }
    if (this.#waiting.size > 0) this.#sendIn(COLLECT_MS);
  }

  /** An earlier sending stands in for a later one. */
  #sendIn(ms: number): void {
    if (this.#stopped || this.#soon) return;
    this.#soon = ms === COLLECT_MS;
    this.#scheduled?.();
    this.#scheduled = this.#options.clock.after(ms, () => {
      this.#soon = false;
      const again = this.#sendDue();
      if (this.#waiting.size > 0) this.#sendIn(again);
    });
  }

  /** Sends what is due. @returns in how many ms to look again */
  #sendDue(): number {
    let next = REPEAT_MS;
    for (const [queue, waiting] of Map.groupBy(this.#waiting.values(), (one) => one.queue)) {
      const { due, inMs } = dueOf(waiting, this.#options.clock.now());
      next = Math.min(next, inMs);
      for (let from = 0; from < due.length; from += SPANS_PER_MESSAGE)
        void this.#sendSome(queue, due.slice(from, from + SPANS_PER_MESSAGE));
    }
    return next;
  }

  async #sendSome(queue: string, waiting: readonly Waiting[]): Promise<void> {
    const lives = waiting.map((one) => one.dispatcher.life);
    for (const [index, one] of waiting.entries()) one.underWay = lives[index];
    // What does not get through is sent again with the next repeat.
    await this.#options
      .send(
        queue,
        waiting.map((one) => one.dispatcher),
      )
      .catch(() => undefined);
    const at = this.#options.clock.now();
    for (const [index, one] of waiting.entries()) {
      if (one.underWay !== lives[index]) continue;
      one.underWay = undefined;
      one.sent = { life: lives[index]!, at };
    }
  }
}

/** Which of those that one queue answers for are to be registered now, and in how many ms others are. */
function dueOf(waiting: readonly Waiting[], now: number): { due: Waiting[]; inMs: number } {
  const fresh: Waiting[] = [];
  const due: Waiting[] = [];
  let answering = false;
  let inMs = REPEAT_MS;
  for (const one of waiting) {
    const { life } = one.dispatcher;
    const age = one.sent?.life === life ? now - one.sent.at : undefined;
    if (one.underWay === life) answering = true;
    else if (age === undefined) fresh.push(one);
    // The clock may have been set back: then it is due at once.
    else if (age >= REPEAT_MS || age < 0) due.push(one);
    else {
      answering ||= age < HOLD_MS;
      inMs = Math.min(inMs, REPEAT_MS - age);
    }
  }
  const mayWait = ({ since }: Waiting) => since <= now && now - since < HOLD_MS;
  const held = answering && fresh.length < SPANS_PER_MESSAGE && fresh.every(mayWait);
  if (held && fresh.length > 0) return { due, inMs: COLLECT_MS };
  due.push(...fresh);
  return { due, inMs };
}

interface Parsed extends Pick<RegistrationResult, "accepted" | "refused"> {
  readonly epoch: bigint;
  readonly start: bigint | undefined;
  readonly knownStart: bigint;
}

/** A higher one is no whole number any more that could be sent (protocol.md 1.1). */
const MOST_START = 2n ** 53n - 2n;

/** @throws MalformedMessage if it is none: then nothing of it counts */
function parse(body: string): Parsed {
  try {
    const result = JSON.parse(body) as RegistrationResult;
    const { accepted, refused, maintainerEpoch = "0" } = result;
    const start = result.start === undefined ? undefined : BigInt(result.start);
    const knownStart = BigInt(result.knownStart ?? 0);
    if (knownStart < 0n || knownStart >= MOST_START) throw new RangeError(`start ${knownStart}`);
    for (const { id, life } of accepted) check(keyOf(id), BigInt(life));
    for (const { id, life, knownLife } of refused) check(keyOf(id), BigInt(life), BigInt(knownLife));
    const epoch = BigInt(maintainerEpoch);
    if (epoch < 0n) throw new RangeError(`epoch ${epoch}`);
    return { accepted, refused, epoch: epoch || 1n, start, knownStart };
  } catch (cause) {
    throw new MalformedMessage("body is no RegistrationResult in JSON", { cause });
  }
}

/** Lives are 64 bits, and an id is two of them. */
function check(id: DispatcherKey, ...lives: readonly bigint[]): void {
  if (!/^[0-9a-f]{32}$/.test(id) || lives.some((life) => life < 0n || life >= 1n << 64n))
    throw new RangeError(`dispatcher ${id} with life ${lives.join()}`);
}

function keyOf(id: WireId): DispatcherKey {
  return dispatcherKey({ high: BigInt(id.high), low: BigInt(id.low) });
}
