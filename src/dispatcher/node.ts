import { create } from "@bufbuild/protobuf";
import { type DispatcherKey, dispatcherId, dispatcherKey } from "../barrier/dispatcherid.ts";
import {
  decode,
  type Encoding,
  encode,
  MalformedMessage,
  type MessageOf,
  type MessageType,
  parseEncoding,
} from "../protocol/codec.ts";
import {
  Action,
  BlockStage,
  type ChangefeedID,
  ComponentState,
  type DispatcherStatus,
  HeartBeatRequestSchema,
  type HeartBeatResponse,
  MaintainerBootstrapResponseSchema,
  MaintainerPostBootstrapRequestSchema,
  type ScheduleDispatcherRequest,
} from "../protocol/messages.ts";
import { Dispatcher, type DispatcherConfig, isInfluenced } from "./dispatcher.ts";
import { Mailbox } from "./mailbox.ts";
import { type Clock, type QueueClient, type ReceivedMessage, systemClock } from "./ports.ts";
import { RegistrationRefused, Registrations, removedBefore } from "./registrations.ts";
import { Reporter } from "./reporter.ts";

export interface CaptureNodeOptions {
  /** Names the node; letters, digits, - and _. */
  readonly id: string;
  readonly changefeed: ChangefeedID;
  /** 0 default, 1 redo. */
  readonly mode?: bigint;
  /** Which life of the changefeed this is; a higher one starts empty (protocol.md R1). Default: 1. */
  readonly epoch?: bigint;
  readonly statusQueueUrl: string;
  readonly actionQueuePrefix: string;
  readonly queues: QueueClient;
  readonly clock?: Clock;
  /** One queue for the node (default), or one for each dispatcher. */
  readonly layout?: "node" | "dispatcher";
  readonly encoding?: Encoding;
  /** How long reports are collected to go out together, in ms. Default: 10. */
  readonly foldMs?: number;
  /** Largest body in bytes. Default: 255 KiB, which leaves room for the attributes. */
  readonly messageLimit?: number;
  /** The coordinator wants a dispatcher created or removed. The message comes again until this resolves. */
  readonly onSchedule?: (request: ScheduleDispatcherRequest) => Promise<void>;
  /** Something failed and is tried again. */
  readonly onError?: (error: unknown, dispatcher?: Dispatcher) => void;
}

/** A schema with its tables, for the opening. */
export interface OpeningSchema {
  readonly schemaId: bigint;
  readonly name: string;
  readonly tables: readonly { readonly tableId: bigint; readonly name: string }[];
}

const RETRY_SEND_MS = 1_000;
/** Tables in one part of an opening: about 40 bytes each, far below the message limit. */
const TABLES_PER_PART = 2_000;

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
  readonly #start: number;
  readonly #dispatchers = new Map<DispatcherKey, Dispatcher>();
  readonly #mailboxes = new Map<string, Mailbox>();
  /** Dispatchers that are being removed, or were. */
  readonly #removed = new WeakSet<Dispatcher>();
  readonly #queueOf = new Map<DispatcherKey, { name: string; url: string }>();
  readonly #reporter: Reporter;
  readonly #registrations: Registrations;
  #nodeQueue = { name: "", url: "" };
  #lastLife = 0n;
  #epochSeen = 0n;
  #epoch: bigint;
  #stopped = false;

  constructor(options: CaptureNodeOptions) {
    this.id = options.id;
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.#start = this.clock.now();
    this.#epoch = options.epoch ?? 1n;
    this.#reporter = new Reporter({
      changefeed: options.changefeed,
      mode: options.mode ?? 0n,
      encoding: options.encoding ?? "json",
      clock: this.clock,
      foldMs: options.foldMs ?? 10,
      limit: options.messageLimit ?? 255 * 1024,
      send: (body) => this.#sendBody("BlockStatusRequest", body),
    });
    this.#registrations = new Registrations({
      clock: this.clock,
      send: (queue, dispatchers) => this.#register(queue, dispatchers),
      nextLife: (above) => this.#nextLife(above),
      onSuperseded: (id, life, knownLife) => {
        const dispatcher = this.#dispatchers.get(id);
        if (dispatcher?.life !== life || this.#removed.has(dispatcher)) return;
        // What it has begun it tells in the life that was told to do it; at its next event it hears of this again.
        if (dispatcher.blockState?.stage !== BlockStage.WAITING) return;
        dispatcher.life = this.#nextLife(knownLife);
        void this.#registerAgain(dispatcher).catch((error) => this.options.onError?.(error, dispatcher));
      },
    });
  }

  /**
   * Creates the node's queue, begins to listen, and says that the node has started: what lived under an earlier start of it
   * is over, whether this one brings it back or not (protocol.md R5).
   */
  async start(): Promise<void> {
    // A node of each mode may have the same id: their messages are no business of each other's (protocol.md M17).
    const suffix = this.#mode === 1n ? "-redo" : "";
    const name = `${this.options.actionQueuePrefix}${this.id}${suffix}`;
    this.#nodeQueue = { name, url: await this.options.queues.createQueue(name) };
    this.#listen(this.#nodeQueue.url, () => true);
    // A registration without spans names no mode, and counts for the default one.
    if (this.#mode === 0n) await this.#register(this.#nodeQueue.name, []);
  }

  /** Opens the changefeed: names the table trigger and all tables (protocol.md R1). For the table trigger's node. */
  async open(trigger: DispatcherKey, schemas: readonly OpeningSchema[]): Promise<void> {
    const parts = partsOf(schemas);
    for (const [index, part] of parts.entries()) {
      const listed = part.map((schema) => ({
        SchemaID: schema.schemaId,
        SchemaName: schema.name,
        Tables: schema.tables.map((table) => ({ TableID: table.tableId, TableName: table.name })),
      }));
      // The schemas say which mode is opened: a redo changefeed without tables still needs one that says so.
      if (this.#mode === 1n && listed.length === 0) listed.push({ SchemaID: 0n, SchemaName: "", Tables: [] });
      const request = create(MaintainerPostBootstrapRequestSchema, {
        changefeedID: this.options.changefeed,
        tableTriggerEventDispatcherId: dispatcherId(trigger),
        ...(this.#mode === 1n ? { redoSchemas: listed } : { schemas: listed }),
        maintainerEpoch: this.#epoch,
      });
      await this.#send("MaintainerPostBootstrapRequest", request, {
        replyQueue: this.#nodeQueue.name,
        part: String(index + 1),
        parts: String(parts.length),
      });
    }
  }

  /**
   * Creates a dispatcher and registers it. Resolves when the coordinator has accepted it (protocol.md R2, R4).
   * @throws RegistrationRefused if it never will be: its table was dropped, or it is removed meanwhile
   */
  async createDispatcher(config: DispatcherConfig): Promise<Dispatcher> {
    const dispatcher = new Dispatcher(config, {
      life: this.#nextLife(0n),
      clock: this.clock,
      reporter: this.#reporter,
      onOutstanding: () => this.#mailboxes.get(this.#urlFor(config.id))?.wake(),
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
    // What it registers says where it stands now: an action of the epoch before must not move it behind that (D11).
    if (epoch > this.#epochSeen) this.#epochSeen = epoch;
    // Who has no queue yet is still being created: it registers with this epoch when it has one, or fails and never does.
    const staying = [...this.#dispatchers.values()].filter(
      (one) => (!this.#removed.has(one) || one.unacknowledged) && this.#urlFor(one.config.id) !== "",
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
    const queue = await this.#queueFor(dispatcher.config.id);
    if (this.#removed.has(dispatcher) && !dispatcher.unacknowledged)
      throw removedBefore(dispatcher.config.id);
    const accepted = this.#registrations.add(queue.name, dispatcher);
    this.#mailboxes.get(queue.url)?.wake();
    await accepted;
  }

  /** A dispatcher will not be accepted. */
  async #giveUp(dispatcher: Dispatcher): Promise<void> {
    if (this.#removed.has(dispatcher)) return this.#dropQueue(dispatcher.config.id);
    dispatcher.abandon();
    await this.#forget(dispatcher);
  }

  dispatcher(id: DispatcherKey): Dispatcher | undefined {
    return this.#dispatchers.get(id);
  }

  get dispatchers(): Iterable<Dispatcher> {
    return this.#dispatchers.values();
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
    await this.#dropQueue(id);
  }

  /** A dispatcher's own queue goes with it, unless another of its id has come. */
  async #dropQueue(id: DispatcherKey): Promise<void> {
    const queue = this.#queueOf.get(id);
    if (queue === undefined || this.options.layout !== "dispatcher" || this.#dispatchers.has(id)) return;
    this.#queueOf.delete(id);
    await this.#mailboxes.get(queue.url)?.stop();
    this.#mailboxes.delete(queue.url);
    await this.options.queues.deleteQueue(queue.url);
  }

  /**
   * Tells the coordinator what a dispatcher is doing (protocol.md R2).
   * @param checkpointTs what it has behind it, if known: a barrier below that is done (M15)
   */
  async setState(dispatcher: Dispatcher, state: ComponentState, checkpointTs = 0n): Promise<void> {
    const request = create(HeartBeatRequestSchema, {
      changefeedID: this.options.changefeed,
      statuses: [
        {
          ID: dispatcherId(dispatcher.config.id),
          life: dispatcher.life,
          componentStatus: state,
          checkpointTs,
          mode: this.#mode,
        },
      ],
    });
    await this.#send("HeartBeatRequest", request);
  }

  /**
   * Stops listening and sending. Dispatchers stay registered: the next start of the node ends them (R5).
   * @param deleteQueues whether the node's queues go too: it will not come back, and answers have no use any more
   */
  async stop({ deleteQueues = false } = {}): Promise<void> {
    this.#stopped = true;
    this.#registrations.stop();
    for (const dispatcher of this.#dispatchers.values()) dispatcher.abandon();
    await Promise.all([...this.#mailboxes.values()].map((mailbox) => mailbox.stop()));
    if (!deleteQueues) return;
    const urls = [...this.#mailboxes.keys()];
    this.#mailboxes.clear();
    await Promise.all(urls.map((url) => this.options.queues.deleteQueue(url)));
  }

  /** A number higher than any life that this node gave, and than `above` (protocol.md R4). */
  #nextLife(above: bigint): bigint {
    const now = BigInt(this.clock.now());
    const highest = this.#lastLife > above ? this.#lastLife : above;
    this.#lastLife = now > highest ? now : highest + 1n;
    return this.#lastLife;
  }

  /** The URL of the queue that answers for a dispatcher; empty: not yet. */
  #urlFor(id: DispatcherKey): string {
    return this.options.layout === "dispatcher" ? (this.#queueOf.get(id)?.url ?? "") : this.#nodeQueue.url;
  }

  async #queueFor(id: DispatcherKey): Promise<{ name: string; url: string }> {
    if (this.options.layout !== "dispatcher") return this.#nodeQueue;
    const known = this.#queueOf.get(id);
    if (known) return known;
    const name = `${this.options.actionQueuePrefix}${id}`;
    const queue = { name, url: await this.options.queues.createQueue(name) };
    this.#queueOf.set(id, queue);
    this.#listen(queue.url, () => {
      const dispatcher = this.#dispatchers.get(id);
      return (dispatcher?.outstanding ?? false) || this.#registrations.waitsFor(id);
    });
    return queue;
  }

  #listen(url: string, wanted: () => boolean): void {
    const mailbox = new Mailbox({
      url,
      queues: this.options.queues,
      clock: this.clock,
      wanted,
      handle: (message) => this.#receive(message),
      onError: (error) => {
        if (!this.#stopped) this.options.onError?.(error);
      },
    });
    this.#mailboxes.set(url, mailbox);
    mailbox.start();
  }

  async #register(queue: string, dispatchers: readonly Dispatcher[]): Promise<void> {
    const response = create(MaintainerBootstrapResponseSchema, {
      changefeedID: this.options.changefeed,
      maintainerEpoch: this.#epoch,
      spans: dispatchers.map(({ config, life, schemaId, finishedTs, blockState }) => ({
        ID: dispatcherId(config.id),
        SchemaID: schemaId,
        span: {
          TableID: config.tableId,
          StartKey: config.start ?? new Uint8Array(),
          EndKey: config.end ?? new Uint8Array(),
        },
        checkpointTs: finishedTs,
        ...(blockState && { blockState }),
        mode: this.#mode,
        life,
      })),
    });
    await this.#send("MaintainerBootstrapResponse", response, {
      replyQueue: queue,
      nodeQueue: this.#nodeQueue.name,
    });
  }

  /** Sends until the status queue has accepted it: what is sent here must not be lost (protocol.md D4). */
  #send<T extends MessageType>(
    type: T,
    message: MessageOf<T>,
    more: Record<string, string> = {},
  ): Promise<void> {
    return this.#sendBody(type, encode(type, this.options.encoding ?? "json", message), more);
  }

  async #sendBody(type: MessageType, body: string, more: Record<string, string> = {}): Promise<void> {
    const attributes = {
      type,
      from: this.id,
      start: String(this.#start),
      encoding: this.options.encoding ?? "json",
      ...more,
    };
    for (;;) {
      try {
        return await this.options.queues.send(this.options.statusQueueUrl, { body, attributes });
      } catch (error) {
        if (this.#stopped) throw error;
        this.options.onError?.(error);
        await new Promise<void>((resolve) => {
          this.clock.after(RETRY_SEND_MS, resolve);
        });
      }
    }
  }

  async #receive(message: ReceivedMessage): Promise<void> {
    const { type } = message.attributes;
    try {
      if (type === "RegistrationResult") this.#registrations.onResult(message.body, this.#epoch);
      else if (type === "HeartBeatResponse")
        await this.#respond(
          decode("HeartBeatResponse", parseEncoding(message.attributes["encoding"]), message.body),
        );
      else if (type === "ScheduleDispatcherRequest") {
        const encoding = parseEncoding(message.attributes["encoding"]);
        const request = decode("ScheduleDispatcherRequest", encoding, message.body);
        if (
          this.#isMine(request.changefeedID, request.config?.mode) &&
          this.#follows(request.maintainerEpoch)
        )
          await this.options.onSchedule?.(request);
      } else throw new MalformedMessage(`attribute type is "${type}": nothing is known of it`);
    } catch (error) {
      // What cannot be understood will not be understood the next time: it is told, and goes.
      if (!(error instanceof MalformedMessage)) throw error;
      this.options.onError?.(error);
    }
  }

  /** Whether a message is about this node's changefeed and mode: another's dispatchers are not its own (M17). */
  #isMine(changefeed: ChangefeedID | undefined, mode = 0n): boolean {
    const mine = this.options.changefeed;
    return (
      mode === this.#mode &&
      changefeed?.high === mine.high &&
      changefeed.low === mine.low &&
      changefeed.name === mine.name &&
      changefeed.keyspace === mine.keyspace
    );
  }

  get #mode(): bigint {
    return this.options.mode ?? 0n;
  }

  /** Whether a message is of the newest epoch that was seen: older ones are dropped (protocol.md D11). */
  #follows(epoch: bigint): boolean {
    if (epoch < this.#epochSeen) return false;
    this.#epochSeen = epoch;
    return true;
  }

  async #respond(response: HeartBeatResponse): Promise<void> {
    if (!this.#isMine(response.changefeedID, response.mode)) return;
    if (!this.#follows(response.maintainerEpoch)) return;
    const durable: Promise<void>[] = [];
    for (const status of response.dispatcherStatuses)
      for (const dispatcher of this.#addressed(status)) durable.push(this.#tell(dispatcher, status));
    await Promise.all(durable);
  }

  /** The dispatchers that a status is for; an action of another life is for nobody (protocol.md D6). */
  #addressed(status: DispatcherStatus): Dispatcher[] {
    const about = status.influencedDispatchers;
    if (about === undefined) return [];
    const named = about.DispatcherIDs.flatMap((id, index) => {
      const dispatcher = this.#dispatchers.get(dispatcherKey(id));
      const life = status.lives[index];
      return dispatcher && (life === undefined || life === dispatcher.life) ? [dispatcher] : [];
    });
    if (about.DispatcherIDs.length > 0) return named;
    return [...this.#dispatchers.values()].filter((one) =>
      isInfluenced(one, about.InfluenceType, about.SchemaID),
    );
  }

  async #tell(dispatcher: Dispatcher, { ack, ignoredBlockStatus, action }: DispatcherStatus): Promise<void> {
    if (ack) dispatcher.onAck({ commitTs: ack.CommitTs, isSyncPoint: ack.IsSyncPoint });
    if (ignoredBlockStatus)
      dispatcher.onIgnored({
        commitTs: ignoredBlockStatus.CommitTs,
        isSyncPoint: ignoredBlockStatus.IsSyncPoint,
      });
    if (action === undefined) return;
    const key = { commitTs: action.CommitTs, isSyncPoint: action.IsSyncPoint };
    if (action.action === Action.Write) await dispatcher.onAction("write", key);
    else if (action.action === Action.Pass) await dispatcher.onAction("pass", key);
    // An unknown action: told, and the event goes on waiting (protocol.md D7).
    else this.options.onError?.(new MalformedMessage(`action ${action.action} is unknown`), dispatcher);
  }
}

function partsOf(schemas: readonly OpeningSchema[]): OpeningSchema[][] {
  const parts: OpeningSchema[][] = [[]];
  let tables = 0;
  for (const schema of schemas)
    for (let from = 0; from === 0 || from < schema.tables.length; from += TABLES_PER_PART) {
      const slice = schema.tables.slice(from, from + TABLES_PER_PART);
      if (tables > 0 && tables + slice.length > TABLES_PER_PART) {
        parts.push([]);
        tables = 0;
      }
      tables += slice.length;
      parts.at(-1)!.push({ ...schema, tables: slice });
    }
  return parts;
}
