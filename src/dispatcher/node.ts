import type { DispatcherKey } from "../barrier/dispatcher-key.ts";
import { WeirError } from "../error/weir-error.ts";
import { BlockStage, type MaintainerPostBootstrapRequest } from "../protocol/messages.ts";
import { ActionQueues } from "./action-queues.ts";
import { leavingOf, openingOf, registrationOf, type Speaker, sameOpening } from "./announcements.ts";
import { Answers } from "./answers.ts";
import type { DispatcherState } from "./changefeed.ts";
import { ComponentStates } from "./component-states.ts";
import type { DispatcherConfig } from "./config.ts";
import { withDeadlines } from "./deadlines.ts";
import { HostedDispatcher } from "./dispatcher.ts";
import { isOver, NodeStopped, RegistrationRefused, StillBusy } from "./errors.ts";
import { EventPool } from "./event-pool.ts";
import type { Dispatcher } from "./hosted.ts";
import type { CaptureNodeOptions, OpeningSchema } from "./options.ts";
import { type Clock, systemClock } from "./ports.ts";
import { Positions } from "./positions.ts";
import { Registrations, removedBefore } from "./registrations.ts";
import { Reporter } from "./reporter.ts";
import { Starts } from "./starts.ts";
import { StatusQueue } from "./status-queue.ts";
import { toFit } from "./to-fit.ts";
import { toChangefeedId, toComponentState, toMode } from "./wire.ts";

const HEARTBEAT_MS = 60_000;
const ANSWER_MS = 10_000;
/** The longest that SQS lets a poll wait. */
const POLL_SECONDS = 20;
/** 255 KiB leave room for the attributes in a queue that takes 256. */
const BODY_BYTES = 255 * 1024;
/** How long `stop` and `removeDispatcher` wait for what has begun, unless they are told otherwise. */
const STOP_MS = 10_000;
const REMOVE_MS = 60_000;
/** Entries of an event that a registration of one who waits there may list: so few that it stays about as long as it is without. */
const REGISTERED_ENTRIES = 64;
/** How long `stop` waits for what it has given up. */
const GIVEN_UP_MS = 1_000;

/**
 * A capture node: hosts dispatchers of one changefeed and speaks for them with the coordinator (docs/protocol.md, as a
 * new node: with `start` and lives).
 *
 * Create it, `start` it, `open` the changefeed on the node of the table trigger, create dispatchers; then feed each
 * dispatcher its rows and block events in the order of its stream.
 *
 * @example
 * ```ts
 * import { CaptureNode, type CaptureNodeOptions, dispatcherKey, type Sink } from "@weir-cdc/weir";
 *
 * export async function run(options: CaptureNodeOptions, sink: Sink<string, string>) {
 *   await using node = new CaptureNode(options);
 *   await node.start();
 *   const trigger = dispatcherKey({ high: 0n, low: 1n });
 *   await node.open(trigger, [{ schemaId: 3n, name: "shop", tables: [{ tableId: 100n, name: "orders" }] }]);
 *   const checkpointTs = 449779372969249700n;
 *   const ddls = await node.createDispatcher({ id: trigger, tableId: 0n, schemaId: 0n, checkpointTs, sink });
 *   const key = { commitTs: 449779372969249750n, isSyncPoint: true };
 *   await ddls.handle({ key, blockTables: { type: "all" }, payload: "" });
 * }
 * ```
 */
export class CaptureNode {
  readonly id: string;
  readonly options: CaptureNodeOptions;
  readonly clock: Clock;
  readonly #speaker: Speaker;
  readonly #dispatchers = new Map<DispatcherKey, HostedDispatcher>();
  /** Dispatchers of which somebody said that they do not replicate. */
  readonly #notWorking = new WeakSet<Dispatcher>();
  /** Dispatchers that are being removed, or were. */
  readonly #removed = new WeakSet<Dispatcher>();
  readonly #starts: Starts;
  readonly #status: StatusQueue;
  readonly #reporter: Reporter;
  readonly #states: ComponentStates;
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
  readonly #events = new EventPool();
  /** Removals that have begun. */
  readonly #removals = new WeakMap<HostedDispatcher, Promise<void>>();
  #stopped: NodeStopped | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: CaptureNodeOptions) {
    this.id = options.id;
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.#speaker = {
      changefeed: toChangefeedId(options.changefeed),
      mode: toMode(options.mode ?? "default"),
    };
    this.#epoch = options.epoch ?? 1n;
    const encoding = options.encoding ?? "json";
    const random = options.random ?? Math.random;
    const { clock } = this;
    const queues = withDeadlines(options.queues, clock, options.answerMs ?? ANSWER_MS);
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
      queues,
      clock,
      random,
      onError,
    });
    const folding = {
      ...this.#speaker,
      encoding,
      clock,
      foldMs: options.foldMs ?? 10,
      limit: options.messageLimit ?? BODY_BYTES,
    };
    this.#reporter = new Reporter({
      ...folding,
      send: (body) => this.#status.sendBody("BlockStatusRequest", body),
    });
    this.#states = new ComponentStates({
      ...folding,
      send: (body) => this.#status.sendBody("HeartBeatRequest", body),
    });
    this.#registrations = new Registrations({
      clock,
      send: (queue, dispatchers) => this.#register(queue, dispatchers),
      nextLife: (above) => this.#nextLife(above),
      onSuperseded: (id, life, knownLife) => this.#superseded(id, life, knownLife),
      start: () => this.#starts.present,
      onAccepted: () => this.#starts.accepted(),
      onUnexpected: (id, life) => this.#acceptedTooLate(id, life),
      onStartRefused: (start, known) => this.#starts.refused(start, known),
      onHigherEpoch: (epoch) => this.#hearsOf(epoch),
    });
    this.#answers = new Answers({
      ...this.#speaker,
      dispatchers: this.#dispatchers,
      coordinators: options.coordinators,
      onRegistrationResult: (body) => this.#registrations.onResult(body, this.#epoch),
      onSchedule: async (request) => options.onSchedule?.(request),
      onError,
    });
    this.#positions = new Positions({
      ...this.#speaker,
      clock,
      random,
      everyMs: options.heartbeatMs ?? HEARTBEAT_MS,
      replicating: () => this.#dispatchers.values().filter((one) => this.#replicates(one)),
      send: (request) => this.#status.send("HeartBeatRequest", request),
    });
    this.#queues = new ActionQueues({
      queues,
      clock,
      random,
      pollSeconds: options.pollSeconds ?? POLL_SECONDS,
      prefix: options.actionQueuePrefix,
      layout: options.layout ?? "node",
      wanted: (id) => (this.#dispatchers.get(id)?.outstanding ?? false) || this.#registrations.waitsFor(id),
      isThere: (id) => this.#dispatchers.has(id),
      receive: (message) => this.#answers.receive(message),
      onRecreated: (id) => this.#recreated(id),
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
    this.#refuseStopped();
    // A node of each mode may have the same id: their messages are no business of each other's (protocol.md M17).
    const redo = this.#speaker.mode === 1n;
    await this.#queues.open(redo ? `${this.id}-redo` : this.id);
    await this.#register(this.#queues.node.name, []);
    this.#positions.start();
  }

  /**
   * Opens the changefeed: names the table trigger and all tables (protocol.md R1). For the table trigger's node. One start of a node
   * opens an epoch with one list of tables, for its parts are known by nothing else.
   * @param schemas the tables as they are behind what the table trigger has finished when this is called
   * @throws RangeError if it has opened this epoch with other tables, and either has several parts
   */
  async open(trigger: DispatcherKey, schemas: readonly OpeningSchema[]): Promise<void> {
    this.#refuseStopped();
    const at = this.#dispatchers.get(trigger)?.finishedTs ?? 0n;
    const parts = openingOf(this.#speaker, this.#epoch, trigger, schemas, at, this.options.tablesPerPart);
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
  async createDispatcher<Row, Payload>(
    config: DispatcherConfig<Row, Payload>,
  ): Promise<Dispatcher<Row, Payload>> {
    this.#refuseStopped();
    const dispatcher = new HostedDispatcher(config as DispatcherConfig, {
      life: config.life || this.#nextLife(0n),
      clock: this.clock,
      reporter: this.#reporter,
      events: this.#events,
      registeredEntries: this.options.registeredEntries ?? REGISTERED_ENTRIES,
      onOutstanding: () => this.#queues.wake(config.id),
      onError: (error, one) => this.options.onError?.(error, one),
    });
    // From here on it can be removed, whatever is awaited.
    this.#dispatchers.set(config.id, dispatcher);
    try {
      await this.#accepted(dispatcher);
    } catch (error) {
      if (!(error instanceof NodeStopped)) await this.#giveUp(dispatcher);
      throw error;
    }
    return dispatcher as Dispatcher as Dispatcher<Row, Payload>;
  }

  /**
   * Follows the changefeed into a higher epoch: registers all dispatchers again, each with what it has behind it and the
   * event at which it stands (protocol.md R1, M14). The node of the table trigger calls `open` after it. A dispatcher that is
   * not wanted any more is given up.
   */
  async follow(epoch: bigint): Promise<void> {
    this.#refuseStopped();
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
  async #registerAgain(dispatcher: HostedDispatcher): Promise<void> {
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
  async #accepted(dispatcher: HostedDispatcher): Promise<void> {
    const queue = await this.#queues.of(dispatcher.config.id);
    if (this.#removed.has(dispatcher) && !dispatcher.unacknowledged)
      throw removedBefore(dispatcher.config.id);
    const accepted = this.#registrations.add(queue.name, dispatcher);
    this.#queues.wake(dispatcher.config.id);
    await accepted;
    dispatcher.onAccepted();
  }

  /** A dispatcher will not be accepted. */
  async #giveUp(dispatcher: HostedDispatcher): Promise<void> {
    if (this.#removed.has(dispatcher)) return this.#queues.drop(dispatcher.config.id);
    dispatcher.abandon();
    await this.#forget(dispatcher);
  }

  /** One that it hosts, by its id. */
  dispatcher(id: DispatcherKey): Dispatcher | undefined {
    return this.#dispatchers.get(id);
  }

  /** All that it hosts. */
  get dispatchers(): IteratorObject<Dispatcher> {
    return this.#dispatchers.values();
  }

  /** Whether a dispatcher replicates, in a life that the coordinator has accepted. */
  #replicates(dispatcher: HostedDispatcher): boolean {
    return !(
      this.#removed.has(dispatcher) ||
      this.#notWorking.has(dispatcher) ||
      this.#registrations.waitsFor(dispatcher.config.id)
    );
  }

  /**
   * Closes a dispatcher after what it has begun, and tells the coordinator (protocol.md R5, D10a). If it was not accepted
   * yet, it never will be, and its `createDispatcher` rejects. What it is given from here on rejects with `DispatcherClosed`.
   * @throws StillBusy if it is not done in `limitMs` (default: a minute): its removal goes on; call this again to wait for it
   */
  async removeDispatcher(id: DispatcherKey, { limitMs = REMOVE_MS } = {}): Promise<void> {
    this.#refuseStopped();
    const dispatcher = this.#dispatchers.get(id);
    if (!dispatcher) return;
    let removal = this.#removals.get(dispatcher);
    if (removal === undefined) {
      removal = this.#remove(dispatcher);
      // Nobody may wait for it any more when it fails.
      removal.catch(() => undefined);
      this.#removals.set(dispatcher, removal);
    }
    if (await this.#isDone(removal, limitMs)) return;
    throw new StillBusy(`dispatcher ${id} is not removed in ${limitMs} ms: ${dispatcher.busyWith}`);
  }

  async #remove(dispatcher: HostedDispatcher): Promise<void> {
    const { id } = dispatcher.config;
    // From here on it gets no higher life: the one that ends is the last that was registered.
    this.#removed.add(dispatcher);
    // Only who is registered in the present epoch gets the ACK that it may wait for.
    if (!dispatcher.unacknowledged) this.#registrations.forget(id);
    await dispatcher.close();
    this.#registrations.forget(id);
    await this.setState(dispatcher, "removed");
    await this.#forget(dispatcher);
  }

  /** Whether something ends in so many ms. */
  async #isDone(work: Promise<unknown>, ms: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const cancel = this.clock.after(ms, () => late.resolve(false));
    try {
      return await Promise.race([work.then(() => true), late.promise]);
    } finally {
      cancel();
    }
  }

  async #forget(dispatcher: HostedDispatcher): Promise<void> {
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
  async setState(dispatcher: Dispatcher, state: DispatcherState, checkpointTs = 0n): Promise<void> {
    this.#refuseStopped();
    const componentState = toComponentState(state);
    if (state === "working") this.#notWorking.delete(dispatcher);
    else this.#notWorking.add(dispatcher);
    const { config, life } = dispatcher;
    await this.#states.tell({ id: config.id, life, state: componentState, checkpointTs });
  }

  /**
   * Stops: begins nothing new, waits for what has begun and for its reports, and then gives up the rest. What is pending rejects
   * with `NodeStopped`; an action that is not executed, or whose DONE is not durable, stays in its queue (invariants.md I7).
   * Dispatchers stay registered: the next start of the node ends them (R5). Resolves soon after the limit at the latest.
   * @param deleteQueues whether the node's queues go too: it will not come back, and answers have no use any more
   * @param limitMs how long what has begun may take. Default: 10 s. A process that is to end should have more.
   */
  stop({ deleteQueues = false, limitMs = STOP_MS } = {}): Promise<void> {
    this.#stopping ??= this.#stop(deleteQueues, limitMs);
    return this.#stopping;
  }

  /** `await using` stops it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(deleteQueues: boolean, limitMs: number): Promise<void> {
    const reason = new NodeStopped("this was not done, or it is not known to be done");
    this.#stopped = reason;
    this.#starts.stop();
    this.#positions.stop();
    this.#registrations.stop(reason);
    // Its timers keep no process alive, and while it waits the process must not end.
    const alive = setInterval(() => undefined, 1_000);
    try {
      const finishing = [...this.#dispatchers.values()].map((dispatcher) => dispatcher.finish(reason));
      const quiet = await this.#isDone(
        Promise.allSettled([...finishing, this.#queues.stop(reason), this.#states.told()]),
        limitMs,
      );
      if (deleteQueues && quiet) await this.#isDone(this.#leave(), limitMs);
      for (const dispatcher of this.#dispatchers.values()) dispatcher.abandon(reason);
      this.#status.stop(reason);
      await this.#isDone(this.#queues.stop(reason), GIVEN_UP_MS);
      if (deleteQueues) await this.#queues.deleteAll();
    } finally {
      clearInterval(alive);
    }
  }

  /** Tells a failure; that something ended with its node or dispatcher is none. */
  #tells(error: unknown, dispatcher?: Dispatcher): void {
    if (!isOver(error)) this.options.onError?.(error, dispatcher);
  }

  #refuseStopped(): void {
    if (this.#stopped) throw this.#stopped;
  }

  /** A queue that answers for dispatchers was gone, with all that was in it: they are registered as they stand. */
  #recreated(own: DispatcherKey | undefined): void {
    const { layout = "node" } = this.options;
    if (own === undefined) this.#register(this.#queues.node.name, []).catch((error) => this.#tells(error));
    for (const dispatcher of this.#dispatchers.values()) {
      const answered = layout === "node" ? own === undefined : own === dispatcher.config.id;
      if (!answered || (this.#removed.has(dispatcher) && !dispatcher.unacknowledged)) continue;
      this.#registerAgain(dispatcher).catch((error) => this.#tells(error, dispatcher));
    }
  }

  /**
   * Says that it goes for good: others are asked for its dispatchers from then on. So nothing that they have begun may be under
   * way any more. If this is lost, the coordinator finds out that the queue is gone.
   */
  async #leave(): Promise<void> {
    try {
      await this.#status.send("HeartBeatRequest", leavingOf(this.#speaker));
    } catch (error) {
      this.#tells(error);
    }
  }

  /** A number higher than any life that this node gave, and than `above` (protocol.md R4). */
  #nextLife(above: bigint): bigint {
    const now = BigInt(this.clock.now());
    const highest = this.#lastLife > above ? this.#lastLife : above;
    this.#lastLife = now > highest ? now : highest + 1n;
    return this.#lastLife;
  }

  async #register(queue: string, dispatchers: readonly HostedDispatcher[]): Promise<void> {
    const { encoding = "json", messageLimit = BODY_BYTES } = this.options;
    const parts = toFit(
      { type: "MaintainerBootstrapResponse", encoding, limit: messageLimit },
      dispatchers,
      (some) => registrationOf(this.#speaker, this.#epoch, some),
    );
    const more = { replyQueue: queue, nodeQueue: this.#queues.node.name };
    await Promise.all(
      parts.map(({ body }) => this.#status.sendBody("MaintainerBootstrapResponse", body(), more)),
    );
  }

  /** A life that was accepted before does not stand any more: a higher one has ended it. */
  #superseded(id: DispatcherKey, life: bigint, knownLife: bigint): void {
    const dispatcher = this.#dispatchers.get(id);
    if (dispatcher?.life !== life || this.#removed.has(dispatcher)) return;
    // What it has begun it tells in the life that was told to do it; at its next event it hears of this again.
    this.#liveAgain(dispatcher, knownLife);
  }

  /** A registration came behind the end of its dispatcher. What was said of that may be lost: it is said again (protocol.md R5). */
  #acceptedTooLate(id: DispatcherKey, life: bigint): void {
    if (this.#stopped || this.#dispatchers.has(id)) return;
    this.#states
      .tell({ id, life, state: toComponentState("removed"), checkpointTs: 0n })
      .catch((error) => this.#tells(error));
  }

  /** Registers a dispatcher in a higher life, unless it executes an action. */
  #liveAgain(dispatcher: HostedDispatcher, above: bigint): void {
    if (dispatcher.blockState?.stage === BlockStage.WRITING) return;
    dispatcher.life = this.#nextLife(above);
    dispatcher.registeredIn = "same epoch";
    this.#registerAgain(dispatcher).catch((error) => this.#tells(error, dispatcher));
  }

  /** It has a higher start now: all that it has registered is over, and what it has sent was dropped (protocol.md R5). */
  #startAgain(): void {
    if (this.#stopped) return;
    const failed = (error: unknown) => this.#tells(error);
    this.#register(this.#queues.node.name, []).catch(failed);
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
        new WeirError(
          "behind-the-epoch",
          `the changefeed is in epoch ${epoch}, and node "${this.id}" follows ${this.#epoch}: nothing of it counts before it follows`,
        ),
      );
  }
}
