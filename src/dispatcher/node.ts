import type { DispatcherKey } from "../barrier/dispatcherid.ts";
import { BlockStage, ComponentState, type MaintainerPostBootstrapRequest } from "../protocol/messages.ts";
import { ActionQueues } from "./actionqueues.ts";
import {
  leavingOf,
  openingOf,
  registrationOf,
  type Speaker,
  sameOpening,
  statusOf,
} from "./announcements.ts";
import { Answers } from "./answers.ts";
import { Dispatcher, type DispatcherConfig } from "./dispatcher.ts";
import type { CaptureNodeOptions, OpeningSchema } from "./options.ts";
import { type Clock, systemClock } from "./ports.ts";
import { Positions } from "./positions.ts";
import { RegistrationRefused, Registrations, removedBefore } from "./registrations.ts";
import { Reporter } from "./reporter.ts";
import { Starts } from "./starts.ts";
import { StatusQueue } from "./statusqueue.ts";

const HEARTBEAT_MS = 60_000;

/**
 * A capture node: hosts dispatchers of one changefeed and speaks for them with the coordinator (protocol.md, as a new
 * node: with `start` and lives).
 *
 * Create it, `start` it, `open` the changefeed on the node of the table trigger, create dispatchers; then feed each
 * dispatcher its rows and block events in the order of its stream.
 */
export class CaptureNode {
  readonly id: string;
  readonly options: CaptureNodeOptions;
  readonly clock: Clock;
  readonly #speaker: Speaker;
  readonly #dispatchers = new Map<DispatcherKey, Dispatcher>();
  /** Dispatchers of which somebody said that they do not replicate. */
  readonly #notWorking = new WeakSet<Dispatcher>();
  /** Dispatchers that are being removed, or were. */
  readonly #removed = new WeakSet<Dispatcher>();
  readonly #starts: Starts;
  readonly #status: StatusQueue;
  readonly #reporter: Reporter;
  readonly #registrations: Registrations;
  readonly #queues: ActionQueues;
  readonly #answers: Answers;
  readonly #positions: Positions;
  /** The opening that it has sent, and in which epoch. */
  #opening: { readonly epoch: bigint; readonly parts: MaintainerPostBootstrapRequest[] } | undefined;
  /** The highest epoch that it was told of. */
  #toldEpoch = 0n;
  #lastLife = 0n;
  #epoch: bigint;
  #stopped = false;

  constructor(options: CaptureNodeOptions) {
    this.id = options.id;
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.#speaker = { changefeed: options.changefeed, mode: options.mode ?? 0n };
    this.#epoch = options.epoch ?? 1n;
    const encoding = options.encoding ?? "json";
    const onError = (error: unknown, dispatcher?: Dispatcher) => options.onError?.(error, dispatcher);
    this.#starts = new Starts({
      node: options.id,
      clock: this.clock,
      onHigher: () => this.#startAgain(),
      onError,
    });
    this.#status = new StatusQueue({
      url: options.statusQueueUrl,
      from: options.id,
      start: () => this.#starts.present,
      encoding,
      queues: options.queues,
      clock: this.clock,
      onError,
    });
    this.#reporter = new Reporter({
      ...this.#speaker,
      encoding,
      clock: this.clock,
      foldMs: options.foldMs ?? 10,
      limit: options.messageLimit ?? 255 * 1024,
      send: (body) => this.#status.sendBody("BlockStatusRequest", body),
    });
    this.#registrations = new Registrations({
      clock: this.clock,
      send: (queue, dispatchers) => this.#register(queue, dispatchers),
      nextLife: (above) => this.#nextLife(above),
      onSuperseded: (id, life, knownLife) => this.#superseded(id, life, knownLife),
      onAccepted: () => this.#starts.accepted(),
      onStartRefused: (start, known) => this.#starts.refused(start, known),
      onHigherEpoch: (epoch) => this.#hearsOf(epoch),
    });
    this.#answers = new Answers({
      ...this.#speaker,
      dispatchers: this.#dispatchers,
      onRegistrationResult: (body) => this.#registrations.onResult(body, this.#epoch),
      onSchedule: async (request) => options.onSchedule?.(request),
      onError,
    });
    this.#positions = new Positions({
      ...this.#speaker,
      clock: this.clock,
      random: options.random ?? Math.random,
      everyMs: options.heartbeatMs ?? HEARTBEAT_MS,
      replicating: () => this.dispatchers.filter((one) => this.#replicates(one)),
      send: (request) => this.#status.send("HeartBeatRequest", request),
    });
    this.#queues = new ActionQueues({
      queues: options.queues,
      clock: this.clock,
      prefix: options.actionQueuePrefix,
      layout: options.layout ?? "node",
      wanted: (id) => (this.#dispatchers.get(id)?.outstanding ?? false) || this.#registrations.waitsFor(id),
      isThere: (id) => this.#dispatchers.has(id),
      receive: (message) => this.#answers.receive(message),
      onError: (error) => {
        if (!this.#stopped) onError(error);
      },
    });
  }

  /**
   * Creates the node's queue, begins to listen, and says that the node has started: what lived under an earlier start of it
   * is over, whether this one brings it back or not (protocol.md R5).
   */
  async start(): Promise<void> {
    // A node of each mode may have the same id: their messages are no business of each other's (protocol.md M17).
    const redo = this.#speaker.mode === 1n;
    await this.#queues.open(redo ? `${this.id}-redo` : this.id);
    // A registration without spans names no mode, and counts for the default one.
    if (!redo) await this.#register(this.#queues.node.name, []);
    this.#positions.start();
  }

  /**
   * Opens the changefeed: names the table trigger and all tables (protocol.md R1). For the table trigger's node. One start of a node
   * opens an epoch with one list of tables, for its parts are known by nothing else.
   * @throws RangeError if it has opened this epoch with other tables, and either has several parts
   */
  async open(trigger: DispatcherKey, schemas: readonly OpeningSchema[]): Promise<void> {
    const parts = openingOf(this.#speaker, this.#epoch, trigger, schemas, this.options.tablesPerPart);
    const before = this.#opening?.epoch === this.#epoch ? this.#opening.parts : undefined;
    const inParts = Math.max(before?.length ?? 0, parts.length) > 1;
    if (before !== undefined && inParts && !sameOpening(before, parts))
      throw new RangeError(
        `epoch ${this.#epoch} was opened by this process with other tables or another table trigger: follow a higher epoch, and open that`,
      );
    this.#opening = { epoch: this.#epoch, parts };
    await this.#sendOpening(parts);
  }

  async #sendOpening(parts: readonly MaintainerPostBootstrapRequest[]): Promise<void> {
    for (const [index, part] of parts.entries())
      await this.#status.send("MaintainerPostBootstrapRequest", part, {
        replyQueue: this.#queues.node.name,
        part: String(index + 1),
        parts: String(parts.length),
      });
  }

  /**
   * Creates a dispatcher and registers it. Resolves when the coordinator has accepted it (protocol.md R2, R4).
   * @throws RegistrationRefused if it never will be: its table was dropped, it is removed meanwhile, or another node has been
   *   asked for it since
   */
  async createDispatcher(config: DispatcherConfig): Promise<Dispatcher> {
    const dispatcher = new Dispatcher(config, {
      life: config.life || this.#nextLife(0n),
      clock: this.clock,
      reporter: this.#reporter,
      onOutstanding: () => this.#queues.wake(config.id),
      onError: (error, one) => this.options.onError?.(error, one),
    });
    // From here on it can be removed, whatever is awaited.
    this.#dispatchers.set(config.id, dispatcher);
    try {
      await this.#accepted(dispatcher);
    } catch (error) {
      await this.#giveUp(dispatcher);
      throw error;
    }
    return dispatcher;
  }

  /**
   * Follows the changefeed into a higher epoch: registers all dispatchers again, each with what it has behind it and the
   * event at which it stands (protocol.md R1, M14). The node of the table trigger calls `open` after it. A dispatcher that is
   * not wanted any more is given up.
   */
  async follow(epoch: bigint): Promise<void> {
    if (epoch <= this.#epoch)
      throw new RangeError(`epoch ${epoch} is not above ${this.#epoch}, which this node follows already`);
    this.#epoch = epoch;
    for (const dispatcher of this.#dispatchers.values()) dispatcher.registeredIn = "new epoch";
    // What it registers says where it stands now: an action of the epoch before must not move it behind that (D11).
    this.#answers.raise(epoch);
    this.#positions.startOver();
    // Who has no queue yet is still being created: it registers with this epoch when it has one, or fails and never does.
    const staying = [...this.#dispatchers.values()].filter(
      (one) => (!this.#removed.has(one) || one.unacknowledged) && this.#queues.has(one.config.id),
    );
    await Promise.all(staying.map((dispatcher) => this.#registerAgain(dispatcher)));
  }

  /** Registers a dispatcher that was accepted before, as it stands now. Who is not wanted any more is given up. */
  async #registerAgain(dispatcher: Dispatcher): Promise<void> {
    try {
      await this.#accepted(dispatcher);
    } catch (error) {
      if (!(error instanceof RegistrationRefused)) throw error;
      await this.#giveUp(dispatcher);
      this.options.onError?.(error, dispatcher);
    }
  }

  /**
   * Registers a dispatcher as it stands. Resolves when the coordinator has accepted it.
   * @throws RegistrationRefused if it never will be, or it is removed: then nothing of it is registered any more
   */
  async #accepted(dispatcher: Dispatcher): Promise<void> {
    const queue = await this.#queues.of(dispatcher.config.id);
    if (this.#removed.has(dispatcher) && !dispatcher.unacknowledged)
      throw removedBefore(dispatcher.config.id);
    const accepted = this.#registrations.add(queue.name, dispatcher);
    this.#queues.wake(dispatcher.config.id);
    await accepted;
  }

  /** A dispatcher will not be accepted. */
  async #giveUp(dispatcher: Dispatcher): Promise<void> {
    if (this.#removed.has(dispatcher)) return this.#queues.drop(dispatcher.config.id);
    dispatcher.abandon();
    await this.#forget(dispatcher);
  }

  dispatcher(id: DispatcherKey): Dispatcher | undefined {
    return this.#dispatchers.get(id);
  }

  get dispatchers(): IteratorObject<Dispatcher> {
    return this.#dispatchers.values();
  }

  /** Whether a dispatcher replicates, in a life that the coordinator has accepted. */
  #replicates(dispatcher: Dispatcher): boolean {
    return !(
      this.#removed.has(dispatcher) ||
      this.#notWorking.has(dispatcher) ||
      this.#registrations.waitsFor(dispatcher.config.id)
    );
  }

  /**
   * Closes a dispatcher after what it has begun, and tells the coordinator (protocol.md R5, D10a). If it was not accepted
   * yet, it never will be, and its `createDispatcher` rejects.
   */
  async removeDispatcher(id: DispatcherKey): Promise<void> {
    const dispatcher = this.#dispatchers.get(id);
    if (!dispatcher) return;
    // From here on it gets no higher life: the one that ends is the last that was registered.
    this.#removed.add(dispatcher);
    // Only who is registered in the present epoch gets the ACK that it may wait for.
    if (!dispatcher.unacknowledged) this.#registrations.forget(id);
    await dispatcher.close();
    this.#registrations.forget(id);
    await this.setState(dispatcher, ComponentState.Removed);
    await this.#forget(dispatcher);
  }

  async #forget(dispatcher: Dispatcher): Promise<void> {
    const { id } = dispatcher.config;
    // Another of its id may have been created since.
    if (this.#dispatchers.get(id) !== dispatcher) return;
    this.#dispatchers.delete(id);
    await this.#queues.drop(id);
  }

  /**
   * Tells the coordinator what a dispatcher is doing (protocol.md R2).
   * @param checkpointTs what it has behind it, if known: a barrier below that is done (M15)
   */
  async setState(dispatcher: Dispatcher, state: ComponentState, checkpointTs = 0n): Promise<void> {
    if (state === ComponentState.Working) this.#notWorking.delete(dispatcher);
    else this.#notWorking.add(dispatcher);
    const status = statusOf(this.#speaker, [{ dispatcher, state, checkpointTs }]);
    await this.#status.send("HeartBeatRequest", status);
  }

  /**
   * Stops listening and sending. Dispatchers stay registered: the next start of the node ends them (R5).
   * @param deleteQueues whether the node's queues go too: it will not come back, and answers have no use any more
   */
  async stop({ deleteQueues = false } = {}): Promise<void> {
    this.#stopped = true;
    this.#registrations.stop();
    this.#starts.stop();
    this.#positions.stop();
    this.#status.stop();
    for (const dispatcher of this.#dispatchers.values()) dispatcher.abandon();
    if (deleteQueues) await this.#leave();
    await this.#queues.stop(deleteQueues);
  }

  /**
   * Says that it goes for good: others are asked for its dispatchers from then on. So nothing that they have begun may be under
   * way any more. If this is lost, the coordinator finds out that the queue is gone.
   */
  async #leave(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.idle()));
    try {
      await this.#status.send("HeartBeatRequest", leavingOf(this.#speaker));
    } catch (error) {
      this.options.onError?.(error);
    }
  }

  /** A number higher than any life that this node gave, and than `above` (protocol.md R4). */
  #nextLife(above: bigint): bigint {
    const now = BigInt(this.clock.now());
    const highest = this.#lastLife > above ? this.#lastLife : above;
    this.#lastLife = now > highest ? now : highest + 1n;
    return this.#lastLife;
  }

  async #register(queue: string, dispatchers: readonly Dispatcher[]): Promise<void> {
    const registration = registrationOf(this.#speaker, this.#epoch, dispatchers);
    await this.#status.send("MaintainerBootstrapResponse", registration, {
      replyQueue: queue,
      nodeQueue: this.#queues.node.name,
    });
  }

  /** A life that was accepted before does not stand any more: a higher one has ended it. */
  #superseded(id: DispatcherKey, life: bigint, knownLife: bigint): void {
    const dispatcher = this.#dispatchers.get(id);
    if (dispatcher?.life !== life || this.#removed.has(dispatcher)) return;
    // What it has begun it tells in the life that was told to do it; at its next event it hears of this again.
    this.#liveAgain(dispatcher, knownLife);
  }

  /** Registers a dispatcher in a higher life, unless it executes an action. */
  #liveAgain(dispatcher: Dispatcher, above: bigint): void {
    if (dispatcher.blockState?.stage === BlockStage.WRITING) return;
    dispatcher.life = this.#nextLife(above);
    dispatcher.registeredIn = "same epoch";
    void this.#registerAgain(dispatcher).catch((error) => this.options.onError?.(error, dispatcher));
  }

  /** It has a higher start now: all that it has registered is over, and what it has sent was dropped (protocol.md R5). */
  #startAgain(): void {
    if (this.#stopped) return;
    const failed = (error: unknown) => this.options.onError?.(error);
    if (this.#speaker.mode === 0n) this.#register(this.#queues.node.name, []).catch(failed);
    if (this.#opening?.epoch === this.#epoch) this.#sendOpening(this.#opening.parts).catch(failed);
    this.#registrations.again();
    for (const dispatcher of this.#dispatchers.values())
      if (
        dispatcher.accepted &&
        !this.#registrations.waitsFor(dispatcher.config.id) &&
        !this.#removed.has(dispatcher)
      )
        this.#liveAgain(dispatcher, dispatcher.life);
  }

  #hearsOf(epoch: bigint): void {
    if (epoch <= this.#toldEpoch) return;
    this.#toldEpoch = epoch;
    const { onHigherEpoch, onError } = this.options;
    if (onHigherEpoch) onHigherEpoch(epoch);
    else
      onError?.(
        new Error(
          `the changefeed is in epoch ${epoch}, and node "${this.id}" follows ${this.#epoch}: nothing of it counts before it follows`,
        ),
      );
  }
}
