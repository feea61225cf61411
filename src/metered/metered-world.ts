/**
 * A deployment on a clock of its own: capture nodes that obey, an event source with so many environments, the maintainer
 * and the adapters that ship, on stand-ins that count. Nothing in it depends on the machine.
 */
import { dispatcherKey } from "../barrier/dispatcher-id.ts";
import { Dice } from "../chance/dice.ts";
import type { Port } from "../maintainer/base/port.ts";
import { run } from "../maintainer/base/program.ts";
import { forgetBarriers, handleBatch, type Memory, newMemory } from "../maintainer/batch.ts";
import type { StatusMessage } from "../maintainer/intake/input.ts";
import { DEFAULT_SETTINGS, type Settings } from "../maintainer/session/session.ts";
import { sweep } from "../maintainer/sweep.ts";
import { pauseLimit } from "../messaging/actions.ts";
import { createPort } from "../messaging/aws-port.ts";
import { attribute, sizeOf } from "../messaging/limits.ts";
import { decode } from "../protocol/codec.ts";
import type { EventKey } from "../protocol/event-key.ts";
import { Action } from "../protocol/messages.ts";
import type { DynamoStore } from "../storage/dynamodb/store.ts";
import { attributesOf, FIRST_TS, Fleet, type FleetNode, PREFIX, requestId, type Shape, T0 } from "./fleet.ts";
import { Clock } from "./standin/clock.ts";
import { type Answered, StandInDynamo } from "./standin/dynamodb.ts";
import { copy, nothing, since, type Usage } from "./standin/meter.ts";
import { queueUrl, StandInQueues } from "./standin/sqs.ts";

/** How messages reach the maintainer. */
export interface Source {
  /** Messages of one invocation, at most. */
  readonly batch: number;
  /** Execution environments at work at the same time. */
  readonly environments: number;
  /** In which order messages come: as nodes sent them, or mixed. Default: as sent. */
  readonly order?: "sent" | "mixed";
}

/** Each message in an invocation of its own, one after the other: the most requests without a race. */
export const ONE_BY_ONE: Source = { batch: 1, environments: 1 };

/** Milliseconds of one request. */
export interface Latency {
  readonly dynamodb: number;
  readonly sqs: number;
}

/** Inside of a region, about what both services show at their median. */
export const REGION: Latency = { dynamodb: 4, sqs: 8 };
/** Round trips instead of milliseconds. */
export const ROUND_TRIPS: Latency = { dynamodb: 1, sqs: 1 };
/** Milliseconds for which a node collects what it has to do and to report. */
const FOLD_MS = 10;
/** Milliseconds for which an invocation is billed beside its requests. */
const OWN_MS = 2;
/** Milliseconds after which a message that an invocation gave back comes again: the visibility timeout. */
const AGAIN_MS = 120_000;
const STATUS_QUEUE = "weir-status";

export interface BarrierRun {
  readonly usage: Usage;
  /** Messages with Write or Pass, and dispatchers that they named. */
  readonly actionMessages: number;
  readonly actions: number;
  /** Messages to the status queue. */
  readonly statusMessages: number;
  /** By the clock: from the last invocation with a WAITING to Write in its queue; from the last with a DONE to closed. */
  readonly waitingToWrite: number;
  readonly doneToClosed: number;
  readonly totalMs: number;
  /** Write units of the partition key that took most; a partition takes a thousand a second. */
  readonly hottest: number;
  /** How often an invocation lost a race and tried again. */
  readonly retries: number;
  /** By the clock: when the DONE of Write was handed over to an invocation, and when the last Pass was in its queue. */
  readonly writtenAt: number;
  readonly lastPassAt: number;
  /** Slices of waves that were handed over, and the most messages that one invocation sent. */
  readonly slices: number;
  readonly mostSends: number;
}

interface Seen {
  retries: number;
  writtenAt: number;
  lastPassAt: number;
  slices: number;
  mostSends: number;
  actionMessages: number;
  actions: number;
  statusMessages: number;
  lastWaitingAt: number;
  writeAt: number;
  lastDoneAt: number;
  closedAt: number;
}

const NOTHING_SEEN: Seen = {
  retries: 0,
  writtenAt: 0,
  lastPassAt: 0,
  slices: 0,
  mostSends: 0,
  actionMessages: 0,
  actions: 0,
  statusMessages: 0,
  lastWaitingAt: 0,
  writeAt: 0,
  lastDoneAt: 0,
  closedAt: 0,
};

export class MeteredWorld {
  /** The changefeeds of the deployment. */
  readonly fleets: readonly Fleet[];
  readonly clock = new Clock();
  readonly usage = nothing();
  readonly dynamodb: StandInDynamo;
  /** Told of every DynamoDB request. */
  onRequest: ((request: Answered) => void) | undefined;
  readonly queues: StandInQueues;
  readonly port: Port & { readonly store: DynamoStore };
  readonly settings: Settings = { ...DEFAULT_SETTINGS, actionQueuePrefix: PREFIX };
  readonly #source: Source;
  readonly #free: Memory[];
  readonly #status: StatusMessage[] = [];
  readonly #fleetOf = new Map<FleetNode, Fleet>();
  readonly #nodeOfQueue = new Map<string, FleetNode>();
  readonly #woken = new Map<FleetNode, Set<string>>();
  #invocations = 1;
  #messages = 0;
  #barriers = 0;
  readonly #dice = new Dice(1, "pauses");
  /** Messages that an invocation gave back, until now. */
  cameAgain = 0;
  #key: EventKey = { commitTs: FIRST_TS, isSyncPoint: false };
  #seen: Seen = { ...NOTHING_SEEN };

  constructor(shape: Shape, source: Source, latency: Latency = REGION, changefeeds = 1) {
    this.fleets = Array.from({ length: changefeeds }, (_, index) => new Fleet(shape, index + 1));
    this.#source = source;
    const common = { clock: this.clock, usage: this.usage };
    this.dynamodb = new StandInDynamo({
      ...common,
      latency: latency.dynamodb,
      onRequest: (request: Answered) => this.onRequest?.(request),
    });
    this.queues = new StandInQueues({
      ...common,
      latency: latency.sqs,
      onMessage: (queue) => this.#told(queue),
    });
    const port = createPort(
      { dynamodb: this.dynamodb.client, sqs: this.queues.client },
      {
        table: "weir",
        actionQueuePrefix: PREFIX,
        deadLetterQueueUrl: queueUrl("weir-dead"),
        statusQueueUrl: queueUrl(STATUS_QUEUE),
        now: () => this.now,
      },
    );
    this.port = {
      ...port,
      send: (messages) => {
        this.#seen.mostSends = Math.max(this.#seen.mostSends, messages.length);
        return port.send(messages);
      },
      handOver: (slices) => {
        this.#seen.slices += slices.length;
        return port.handOver(slices);
      },
      pause: (attempt) => {
        this.#seen.retries++;
        return this.clock.after(Math.ceil(this.#dice.next() * pauseLimit(attempt)));
      },
      commitRoot: async (space, conditions, changes) => {
        const result = await port.commitRoot(space, conditions, changes);
        if (result.committed && changes.step?.step.phase === "closed") this.#seen.closedAt = this.clock.now;
        return result;
      },
    };
    this.#free = Array.from({ length: source.environments }, newMemory);
    for (const fleet of this.fleets)
      for (const node of fleet.nodes) {
        this.#fleetOf.set(node, fleet);
        for (const member of node.members) this.#nodeOfQueue.set(member.queue, node);
      }
  }

  /** How often an invocation lost a race since the last barrier began. */
  get retries(): number {
    return this.#seen.retries;
  }

  /** Milliseconds since 1970. */
  get now(): number {
    return T0 + this.clock.now;
  }

  /** A changefeed that runs: every environment has met its roster, and a barrier has come and gone. */
  static async running(
    shape: Shape,
    source: Source,
    latency: Latency = REGION,
    changefeeds = 1,
  ): Promise<MeteredWorld> {
    const simulation = new MeteredWorld(shape, source, latency, changefeeds);
    for (const fleet of simulation.fleets) await fleet.settle(simulation.port.store);
    await simulation.remember();
    await simulation.barrier();
    return simulation;
  }

  /** Makes every environment read the roster, as the first message that it gets does. */
  async remember(): Promise<void> {
    const messages = this.fleets.map((fleet) => {
      const [body] = fleet.reports([fleet.trigger], fleet.done(this.#key, "pass"));
      return this.message(fleet.nodes[0]!, "BlockStatusRequest", body!);
    });
    const failed = await Promise.all(this.#free.map((memory) => this.invoke(memory, messages)));
    if (failed.some(({ size }) => size > 0))
      throw new Error("a DONE that is late would have to be delivered again");
  }

  /** One barrier from the first WAITING until nothing is left to do. */
  async barrier(): Promise<BarrierRun> {
    this.#barriers++;
    this.#key = { commitTs: FIRST_TS + BigInt(this.#barriers) * 262_144_000n, isSyncPoint: false };
    this.#seen = { ...NOTHING_SEEN };
    const before = copy(this.usage);
    this.dynamodb.hottest();
    const startedAt = this.clock.now;
    const reports = this.fleets.flatMap((fleet) => {
      const waiting = fleet.waiting(this.#key);
      return fleet.nodes.flatMap((node) => {
        const members = node.members.filter((member) => fleet.touches(member));
        return fleet.reports(members, waiting).map((body) => ({ node, body }));
      });
    });
    for (const { node, body } of this.#source.order === "mixed" ? mixed(reports) : reports)
      this.report(node, body);
    const given = this.cameAgain;
    await this.clock.idle();
    // Nothing in a barrier is a reason for it.
    if (this.cameAgain > given) throw new Error("a message would have to be delivered again");
    const usage = since(before, this.usage);
    for (const { space } of this.fleets)
      if ((await this.port.store.readRoot(space))!.steps.size > 0) throw new Error("a barrier did not close");
    const {
      retries,
      writtenAt,
      lastPassAt,
      slices,
      mostSends,
      actionMessages,
      actions,
      statusMessages,
      lastWaitingAt,
      writeAt,
      lastDoneAt,
      closedAt,
    } = this.#seen;
    return {
      usage,
      actionMessages,
      actions,
      statusMessages,
      waitingToWrite: writeAt - lastWaitingAt,
      doneToClosed: closedAt - lastDoneAt,
      totalMs: closedAt - startedAt,
      hottest: this.dynamodb.hottest(),
      retries,
      writtenAt,
      lastPassAt,
      slices,
      mostSends,
    };
  }

  /** One sweep of an environment that knows the rosters. @returns what it took */
  async sweep(memory: Memory): Promise<Usage> {
    const before = copy(this.usage);
    const nonce = requestId(this.#invocations++);
    forgetBarriers(memory);
    await run(sweep({ now: this.now, nonce, settings: this.settings, memory }), this.port);
    return since(before, this.usage);
  }

  /** A message as the event source hands it over. */
  message(node: FleetNode, type: string, body: string, more: Record<string, string> = {}): StatusMessage {
    return {
      messageId: `m${this.#messages++}`,
      body,
      attributes: { ...attributesOf(node, type), ...more },
      sentAt: this.now,
      receiveCount: 1,
      principal: "AROAEXAMPLEEXAMPLE",
    };
  }

  /** A node puts a report into the status queue. */
  report(node: FleetNode, body: string): void {
    this.deliver(this.message(node, "BlockStatusRequest", body));
  }

  /** Puts a message into the status queue. */
  deliver(message: StatusMessage): void {
    const bytes = bytesOf(message);
    this.queues.bill("SendMessage", bytes);
    this.usage.messages++;
    this.usage.messageBytes += bytes;
    this.#seen.statusMessages++;
    this.#queue(message);
  }

  #queue(message: StatusMessage): void {
    this.#status.push(message);
    // Taken when everybody has sent what is to be sent now.
    if (this.#status.length === 1) void this.clock.after(1).then(() => this.#feed());
  }

  /** The event source: as many invocations as there are messages and free environments. */
  #feed(): void {
    while (this.#status.length > 0 && this.#free.length > 0) {
      const memory = this.#free.shift()!;
      const batch = this.#status.splice(0, this.#source.batch);
      this.queues.bill(
        "ReceiveMessage",
        batch.reduce((sum, message) => sum + bytesOf(message), 0),
      );
      void this.invoke(memory, batch).then((failed) => {
        this.queues.bill("DeleteMessageBatch", 0);
        this.#again(batch.filter(({ messageId }) => failed.has(messageId)));
        this.#free.push(memory);
        this.#feed();
      });
    }
  }

  /** What was given back comes again after the visibility timeout. */
  #again(messages: readonly StatusMessage[]): void {
    if (messages.length === 0) return;
    this.cameAgain += messages.length;
    void this.clock.after(AGAIN_MS).then(() => {
      for (const message of messages) this.#queue({ ...message, receiveCount: message.receiveCount + 1 });
    });
  }

  /** One invocation. @returns the messages that have to be delivered again, by id */
  async invoke(memory: Memory, batch: readonly StatusMessage[]): Promise<Set<string>> {
    const startedAt = this.clock.now;
    if (batch.some(({ body }) => body.includes('"WAITING"'))) this.#seen.lastWaitingAt = startedAt;
    if (batch.some(({ body }) => body.includes('"DONE"'))) this.#seen.lastDoneAt = startedAt;
    if (batch.some(({ body }) => body.includes('"WRITE_DONE"'))) this.#seen.writtenAt = startedAt;
    const nonce = requestId(this.#invocations++);
    const invocation = { now: this.now, nonce, settings: this.settings, memory };
    const { failed, observer } = await run(handleBatch(batch, invocation), this.port);
    this.usage.invocations++;
    // A line for each observation, and one with the metrics of all.
    this.usage.logLines += observer.seen.length + (observer.seen.length > 0 ? 1 : 0);
    this.usage.invocationMs += this.clock.now - startedAt + OWN_MS;
    return new Set(failed.map(({ messageId }) => messageId));
  }

  /** Something came to an action queue: its node looks at it soon, with what else comes until then. */
  #told(queue: string): void {
    if (queue === STATUS_QUEUE) {
      // The maintainer's own: slices that it hands over.
      for (const { body, attributes } of this.queues.take(queue))
        this.#queue({
          messageId: `m${this.#messages++}`,
          body,
          attributes,
          sentAt: this.now,
          receiveCount: 1,
          principal: "",
        });
      return;
    }
    const node = this.#nodeOfQueue.get(queue);
    if (node === undefined) return;
    const queues = this.#woken.get(node) ?? new Set();
    queues.add(queue);
    if (!this.#woken.has(node)) void this.clock.after(FOLD_MS).then(() => this.#obey(node));
    this.#woken.set(node, queues);
  }

  #obey(node: FleetNode): void {
    const passes: string[] = [];
    const writes: string[] = [];
    for (const queue of this.#woken.get(node)!)
      for (const messages of tens(this.queues.take(queue))) {
        this.queues.bill(
          "ReceiveMessage",
          messages.reduce((sum, message) => sum + message.bytes, 0),
        );
        this.queues.bill("DeleteMessageBatch", 0);
        for (const { body, attributes, at } of messages)
          if (attributes["type"] === "HeartBeatResponse") this.#look(body, at, writes, passes);
      }
    this.#woken.delete(node);
    const fleet = this.#fleetOf.get(node)!;
    const members = new Map(node.members.map((member) => [member.key, member]));
    for (const [did, keys] of [
      ["write", writes],
      ["pass", passes],
    ] as const) {
      const done = keys.map((key) => members.get(key)!);
      for (const body of fleet.reports(done, fleet.done(this.#key, did))) this.report(node, body);
    }
  }

  #look(body: string, at: number, writes: string[], passes: string[]): void {
    let named = 0;
    for (const { action, influencedDispatchers } of decode("HeartBeatResponse", "json", body)
      .dispatcherStatuses) {
      if (action === undefined) continue;
      const keys = influencedDispatchers!.DispatcherIDs.map(dispatcherKey);
      if (action.action === Action.Write) this.#seen.writeAt = at;
      else this.#seen.lastPassAt = Math.max(this.#seen.lastPassAt, at);
      (action.action === Action.Write ? writes : passes).push(...keys);
      named += keys.length;
    }
    this.#seen.actions += named;
    if (named > 0) this.#seen.actionMessages++;
  }
}

function bytesOf(message: StatusMessage): number {
  const attributes = Object.entries(message.attributes).map(([name, value]) => [name, attribute(value)]);
  return sizeOf(message.body, Object.fromEntries(attributes));
}

function* tens<T>(all: readonly T[]): Iterable<T[]> {
  for (let from = 0; from < all.length; from += 10) yield all.slice(from, from + 10);
}

/** The same members in an order that looks like chance and is the same in every run. */
export function mixed<T>(all: readonly T[]): T[] {
  const copy = [...all];
  let state = 1;
  for (let left = copy.length - 1; left > 0; left--) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    const at = (state >>> 0) % (left + 1);
    [copy[left], copy[at]] = [copy[at]!, copy[left]!];
  }
  return copy;
}
