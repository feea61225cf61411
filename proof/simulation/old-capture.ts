/**
 * An old node of a simulation: TiCDC's dispatcher manager (`maintainer/testing/old-node.ts`) with the sinks that ship, its queue, and the
 * bridge between them, which sends until a message is in the queue and deletes what the node has done (docs/ticdc-integration.md).
 */

import { create } from "@bufbuild/protobuf";
import { dispatcherId, dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import { openingOf } from "../../src/dispatcher/announcements.ts";
import type { DispatcherState } from "../../src/dispatcher/changefeed.ts";
import type { DispatcherConfig } from "../../src/dispatcher/config.ts";
import { DispatcherClosed } from "../../src/dispatcher/errors.ts";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { OpeningSchema } from "../../src/dispatcher/options.ts";
import type { Clock, QueueClient } from "../../src/dispatcher/ports.ts";
import type { ScheduleRequest } from "../../src/dispatcher/schedule.ts";
import {
  fromScheduleRequest,
  toAddedTable,
  toComponentState,
  toInfluencedTables,
  toSchemaChange,
} from "../../src/dispatcher/wire.ts";
import { type Effect, OldDispatcherManager, type Output } from "../../src/maintainer/testing/old-node.ts";
import { decode, type Encoding, encode, type MessageOf, type MessageType } from "../../src/protocol/codec.ts";
import {
  type ChangefeedID,
  HeartBeatRequestSchema,
  ScheduleAction,
  type ScheduleDispatcherRequest,
} from "../../src/protocol/messages.ts";
import { tableRange } from "../../src/protocol/span.ts";
import type { Capture, Streamed } from "./capture.ts";
import { ACTION_PREFIX, ROLE, STATUS_QUEUE } from "./fixed.ts";
import { OldGate } from "./old-gate.ts";
import type { Stored } from "./queues.ts";

/** How often its bridge sends heartbeats that say nothing, and the complete one, in ms. */
const EMPTY_EVERY = 200;
const COMPLETE_EVERY = 10_000;
/** So many of those that say nothing come from each node: what they cost is known then. */
const EMPTY = 10;
const TICK = 500;

interface OldCaptureOptions {
  readonly id: string;
  readonly changefeed: ChangefeedID;
  readonly epoch: bigint;
  readonly encoding: Encoding;
  readonly queues: QueueClient;
  readonly clock: Clock;
  /** Whether the bridge lets only those actions through that are of the event at which a dispatcher waits. */
  readonly gated: boolean;
  readonly onSchedule: (request: ScheduleRequest) => void;
}

/** A dispatcher of the old node with its sink: it meets one event at a time. */
class OldStreamed implements Streamed {
  readonly life = 0n;
  readonly config: DispatcherConfig;
  readonly #node: OldCapture;
  finishedTs: bigint;
  /** The event that it meets, and who waits until it is done with it. */
  met: { readonly event: CaptureEvent; readonly done: PromiseWithResolvers<void> } | undefined;
  over = false;
  /** Of its reports, those that are not in the queue yet; and what its sink is at, but for events. */
  sending = 0;
  busy = 0;

  constructor(config: DispatcherConfig, node: OldCapture) {
    this.config = config;
    this.#node = node;
    this.finishedTs = config.checkpointTs;
  }

  get blockedAt(): Streamed["blockedAt"] {
    return this.met && { event: this.met.event, stage: "at an old node" };
  }

  get checkpointCap(): bigint | undefined {
    return this.#node.capOf(this.config.id);
  }

  get outstanding(): boolean {
    return this.checkpointCap !== undefined || this.sending > 0;
  }

  async write(rows: readonly unknown[]): Promise<void> {
    this.#refuse();
    const { sink, commitTsOf } = this.config;
    const wanted = rows.filter((row) => this.#node.takesRow(this.config.id, commitTsOf!(row)));
    await this.#working(() => sink.write(wanted));
  }

  async flush(resolvedTs = 0n): Promise<void> {
    this.#refuse();
    const key = { commitTs: 0n, isSyncPoint: false };
    await this.#working(() => this.config.sink.flushBeforeBlock({ key, payload: undefined }));
    if (!this.over) this.#node.resolved(this.config.id, resolvedTs);
  }

  /** Flushes, then gives the event to the dispatcher (TD8). */
  async handle(event: CaptureEvent): Promise<void> {
    this.#refuse();
    await this.#working(() => this.config.sink.flushBeforeBlock(event));
    this.#refuse();
    this.met = { event, done: Promise.withResolvers() };
    const { promise } = this.met.done;
    this.#node.meets(this.config.id, event);
    await promise;
  }

  async #working(work: () => Promise<void>): Promise<void> {
    this.busy++;
    await work().finally(() => {
      this.busy--;
    });
  }

  #refuse(): void {
    if (this.over) throw new DispatcherClosed(this.config.id);
  }
}

export class OldCapture implements Capture {
  readonly #options: OldCaptureOptions;
  readonly #effects: Effect[] = [];
  readonly #manager: OldDispatcherManager;
  readonly #gate = new OldGate();
  readonly #dispatchers = new Map<string, OldStreamed>();
  /** What Weir has asked for and the scheduler has not begun yet. */
  readonly #asked = new Map<string, ScheduleDispatcherRequest>();
  #epoch: bigint;
  /** What is being sent. */
  #tail: Promise<void> = Promise.resolve();

  constructor(options: OldCaptureOptions) {
    this.#options = options;
    this.#epoch = options.epoch;
    this.#manager = new OldDispatcherManager(options.changefeed, this.#effects, true);
    this.#manager.follow(options.epoch);
  }

  get #queue(): string {
    return `${ACTION_PREFIX}${this.#options.id}`;
  }

  async start(): Promise<void> {
    await this.#options.queues.createQueue(this.#queue);
    await this.#register();
    void this.#listen();
    void this.#every(TICK, () => this.#manager.tick(this.#options.clock.now()));
    void this.#every(COMPLETE_EVERY, () => this.#manager.heartbeat());
    for (let count = 1; count <= EMPTY; count++)
      this.#options.clock.after(count * EMPTY_EVERY, () => {
        const { changefeed } = this.#options;
        void this.#send("HeartBeatRequest", create(HeartBeatRequestSchema, { changefeedID: changefeed }));
      });
  }

  async open(trigger: string, schemas: readonly OpeningSchema[]): Promise<void> {
    const { changefeed } = this.#options;
    const at = this.#dispatchers.get(trigger)?.finishedTs ?? 0n;
    const [opening] = openingOf({ changefeed, mode: 0n }, this.#epoch, trigger, schemas, at);
    await this.#send("MaintainerPostBootstrapRequest", opening!, { replyQueue: this.#queue });
  }

  async follow(epoch: bigint): Promise<void> {
    this.#epoch = epoch;
    this.#manager.follow(epoch);
    await this.#register();
  }

  async createDispatcher(config: DispatcherConfig): Promise<Streamed> {
    const { id, tableId, schemaId, checkpointTs, skipDmlAsStartTs: skipDMLAsStartTs = false } = config;
    // One of this id that is being closed has the place until it is.
    while (this.#dispatchers.has(id)) await this.#sleep(20);
    const dispatcher = new OldStreamed(config, this);
    this.#dispatchers.set(id, dispatcher);
    const asked = this.#asked.get(id);
    if (asked) {
      this.#manager.schedule(asked);
      void this.#goOn();
      return dispatcher;
    }
    const whole = tableRange(tableId);
    const { start = whole.start, end = whole.end } = config;
    const complete = config.start === undefined && config.end === undefined;
    const span = tableId === 0n ? { start: new Uint8Array(), end: new Uint8Array() } : { start, end };
    this.#manager.create({
      id: dispatcherId(id),
      tableId,
      schemaId,
      ...span,
      startTs: checkpointTs,
      skipDMLAsStartTs,
      complete,
    });
    await this.#register();
    return dispatcher;
  }

  async removeDispatcher(id: string): Promise<void> {
    const dispatcher = this.#dispatchers.get(id);
    if (dispatcher === undefined) return;
    while (dispatcher.sending > 0 || dispatcher.busy > 0 || !this.#manager.mayClose(dispatcherId(id)))
      await this.#sleep(20);
    if (dispatcher.over) return;
    dispatcher.over = true;
    dispatcher.met?.done.reject(new DispatcherClosed(id));
    dispatcher.met?.done.promise.catch(() => undefined);
    this.#gate.forget(id);
    this.#manager.remove(dispatcherId(id));
    await this.#goOn();
    this.#dispatchers.delete(id);
  }

  async setState({ config }: Streamed, state: DispatcherState, checkpointTs = 0n): Promise<void> {
    const componentStatus = toComponentState(state);
    const statuses = [{ ID: dispatcherId(config.id), componentStatus, checkpointTs }];
    const { changefeed } = this.#options;
    await this.#send(
      "HeartBeatRequest",
      create(HeartBeatRequestSchema, { changefeedID: changefeed, statuses }),
    );
  }

  capOf(id: string): bigint | undefined {
    return this.#manager.cap(dispatcherId(id));
  }

  /** Whether a row is not one that is there already. */
  takesRow(id: string, ts: bigint): boolean {
    const before = this.#effects.length;
    this.#manager.feed(dispatcherId(id), { kind: "row", ts });
    return this.#effects.splice(before).length > 0;
  }

  resolved(id: string, ts: bigint): void {
    if (ts > 0n) this.#manager.feed(dispatcherId(id), { kind: "resolved", ts });
    void this.#goOn();
  }

  meets(id: string, { key, ...event }: CaptureEvent): void {
    this.#manager.feed(dispatcherId(id), {
      kind: "event",
      state: {
        BlockTs: key.commitTs,
        IsSyncPoint: key.isSyncPoint,
        ...(event.blockTables && { BlockTables: toInfluencedTables(event.blockTables) }),
        ...(event.needDroppedTables && { NeedDroppedTables: toInfluencedTables(event.needDroppedTables) }),
        NeedAddedTables: (event.needAddedTables ?? []).map(toAddedTable),
        UpdatedSchemas: (event.updatedSchemas ?? []).map(toSchemaChange),
      },
    });
    void this.#goOn();
  }

  /** Sends what the manager has to say, and has sinks do what it has begun. */
  async #goOn(): Promise<void> {
    const effects = this.#effects.splice(0);
    const said = this.#manager.take().map((output) => this.#say(output));
    await Promise.all([...said, ...effects.map((effect) => this.#execute(effect))]);
  }

  async #execute({ did, id: text }: Effect): Promise<void> {
    const [high, low] = text.split("/").map(BigInt) as [bigint, bigint];
    const dispatcher = this.#dispatchers.get(dispatcherKey({ high, low }));
    const { met, config } = dispatcher!;
    if (met === undefined) return;
    for (;;)
      try {
        if (did === "write") await config.sink.writeBlockEvent(met.event);
        else await config.sink.passBlockEvent(met.event);
        break;
      } catch {
        await this.#sleep(500);
      }
    dispatcher!.met = undefined;
    dispatcher!.finishedTs = met.event.key.commitTs;
    this.#manager.executed({ high, low });
    const rest = this.#goOn();
    met.done.resolve();
    await rest;
  }

  async #say({ type, body }: Output): Promise<void> {
    if (type === "HeartBeatRequest") return this.#send(type, body);
    this.#gate.reported(body);
    const speakers = body.blockStatuses.flatMap(({ ID }) => this.#dispatchers.get(dispatcherKey(ID!)) ?? []);
    for (const one of speakers) one.sending++;
    await this.#send(type, body);
    for (const one of speakers) one.sending--;
  }

  async #register(): Promise<void> {
    const body = { ...this.#manager.bootstrap(), maintainerEpoch: this.#epoch };
    this.#gate.registered(body);
    await this.#send("MaintainerBootstrapResponse", body, { replyQueue: this.#queue });
  }

  /** Until it is in the queue. */
  async #send<T extends MessageType>(
    type: T,
    body: MessageOf<T>,
    more: Record<string, string> = {},
  ): Promise<void> {
    const { id, encoding, queues } = this.#options;
    const message = {
      body: encode(type, encoding, body),
      attributes: { type, from: id, encoding, ...more },
    };
    // One after the other: what a registration says must not come behind a `Stopped` that was said later.
    this.#tail = this.#tail.then(() => this.#sendUntilThere(queues, message));
    return this.#tail;
  }

  async #sendUntilThere(
    queues: QueueClient,
    message: { body: string; attributes: Record<string, string> },
  ): Promise<void> {
    for (;;)
      try {
        return await queues.send(STATUS_QUEUE, message);
      } catch {
        await this.#sleep(1_000);
      }
  }

  async #listen(): Promise<void> {
    const { queues } = this.#options;
    const { signal } = new AbortController();
    for (;;)
      try {
        for (const message of await queues.receive(this.#queue, 20, signal))
          void this.#obey(message as never);
      } catch {
        await this.#sleep(1_000);
      }
  }

  /** Deletes a message when what it causes is done and told. */
  async #obey({ receipt, body, attributes, principal }: Stored): Promise<void> {
    const { queues, gated, onSchedule } = this.#options;
    const encoding = attributes["encoding"] as Encoding;
    // TiCDC knows no sender. Its bridge obeys the coordinator only (`Config.Coordinators` of clients/go; protocol.md D12).
    if (principal !== ROLE) {
      // Deleted, and nothing else.
    } else if (attributes["type"] === "HeartBeatResponse") {
      const response = decode("HeartBeatResponse", encoding, body);
      // Of an epoch that is over: it must not count as handed over.
      if ((response.maintainerEpoch || 1n) < this.#epoch) response.dispatcherStatuses = [];
      this.#manager.respond(gated ? this.#gate.passing(response) : response);
      await this.#goOn();
    } else if (attributes["type"] === "ScheduleDispatcherRequest") {
      const request = decode("ScheduleDispatcherRequest", encoding, body);
      const id = dispatcherKey(request.config!.dispatcherID!);
      if ((request.maintainerEpoch || 1n) >= this.#epoch) {
        if (request.scheduleAction === ScheduleAction.Create) this.#asked.set(id, request);
        onSchedule(fromScheduleRequest(request));
        this.#asked.delete(id);
      }
    }
    await queues.delete(this.#queue, [receipt]).catch(() => undefined);
  }

  async #every(ms: number, work: () => void): Promise<void> {
    for (;;) {
      await this.#sleep(ms);
      work();
      void this.#goOn();
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }
}
