/** A barrier of many dispatchers on one node: the shipped node against what `weir local` runs, each in a process of its own. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { type DispatcherKey, dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { Dispatcher } from "../../src/dispatcher/hosted.ts";
import { CaptureNode } from "../../src/dispatcher/node.ts";
import type { QueueClient, QueueMessage } from "../../src/dispatcher/ports.ts";
import type { ScheduleRequest } from "../../src/dispatcher/schedule.ts";
import { SqsQueues } from "../../src/dispatcher/sqs-queues.ts";
import type { Endpoints } from "../../src/local/deployment.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { DynamoStore } from "../../src/storage/dynamodb/store.ts";
import type { LocalReport } from "./local-server.ts";

const SCHEMA = 1n;
const NEW_TABLES = 1_000_000n;
const TRIGGER = idOf(0n);
const START = 1_000n;
const POLL_MS = 20;
const PATIENCE_MS = 300_000;

/** Milliseconds from the moment at which the event comes to the first dispatcher. */
export interface BarrierTimes {
  /** The writer begins to write. */
  readonly write: number;
  /** The last DONE is in the status queue. */
  readonly lastDone: number;
  /** The coordinator has no such barrier any more. */
  readonly closed: number;
}

/** What was done in a piece of a run. */
export interface Work {
  /** Seconds of processor time. */
  readonly nodeCpu: number;
  readonly enginesCpu: number;
  readonly functionsCpu: number | undefined;
  /** Messages to the coordinator, and messages that came from it. */
  readonly sent: number;
  readonly received: number;
  readonly polls: number;
  readonly invocations: number;
  readonly dynamodb: number;
  /** Requests of SQS, of everybody. */
  readonly sqs: number;
}

interface Barrier extends BarrierTimes, Work {
  readonly began: number;
}

export interface OneNodeRow {
  readonly dispatchers: number;
  readonly truncate: Barrier;
  /** ms from the same moment until every Remove and Create that TRUNCATE asks for is obeyed, and accepted. */
  readonly obeyed: number;
  readonly obeying: Work;
  readonly syncpoint: Barrier;
}

/** Counts what a node asks of its queues. */
class Counted implements QueueClient {
  readonly sent = new Map<string, number>();
  lastReportAt = 0;
  received = 0;
  polls = 0;
  readonly #queues: QueueClient;

  constructor(queues: QueueClient) {
    this.#queues = queues;
  }

  get allSent(): number {
    return this.sent.values().reduce((sum, one) => sum + one, 0);
  }

  createQueue(name: string, signal?: AbortSignal) {
    return this.#queues.createQueue(name, signal);
  }
  deleteQueue(url: string, signal?: AbortSignal) {
    return this.#queues.deleteQueue(url, signal);
  }
  async send(url: string, message: QueueMessage, signal?: AbortSignal) {
    await this.#queues.send(url, message, signal);
    const type = message.attributes["type"] ?? "";
    this.sent.set(type, (this.sent.get(type) ?? 0) + 1);
    if (type === "BlockStatusRequest") this.lastReportAt = performance.now();
  }
  async receive(url: string, waitSeconds: number, signal: AbortSignal) {
    this.polls++;
    const messages = await this.#queues.receive(url, waitSeconds, signal);
    this.received += messages.length;
    return messages;
  }
  delete(url: string, receipts: readonly string[], signal?: AbortSignal) {
    return this.#queues.delete(url, receipts, signal);
  }
  extend(url: string, receipts: readonly string[], seconds: number, signal?: AbortSignal) {
    return this.#queues.extend(url, receipts, seconds, signal);
  }
}

/** TRUNCATE of a table with a partition for each dispatcher, then a syncpoint over all: both on one node. */
export async function measureOneNode(dispatchers: number): Promise<OneNodeRow> {
  const server = fork(fileURLToPath(new URL("./local-server.ts", import.meta.url)));
  try {
    const [endpoints] = (await once(server, "message")) as [Endpoints];
    const run = new OneNode(server, endpoints, dispatchers);
    try {
      return await run.measure();
    } finally {
      await run.stop();
    }
  } finally {
    server.disconnect();
    await once(server, "exit");
  }
}

class OneNode {
  readonly #server: ChildProcess;
  readonly #count: number;
  readonly #sqs: SqsQueues;
  readonly #queues: Counted;
  readonly #dynamodb: DynamoDBClient;
  readonly #store: DynamoStore;
  readonly #node: CaptureNode;
  readonly #obeyed = Promise.withResolvers<void>();
  readonly #toObey = new Set<DispatcherKey | bigint>();
  #writing = 0;
  readonly errors: unknown[] = [];

  constructor(server: ChildProcess, endpoints: Endpoints, dispatchers: number) {
    this.#server = server;
    this.#count = dispatchers;
    const { region, credentials, table, statusQueueUrl, actionQueuePrefix, coordinators } = endpoints;
    this.#sqs = new SqsQueues({ region, credentials: { ...credentials }, endpoint: endpoints.endpoint.sqs });
    this.#queues = new Counted(this.#sqs);
    this.#dynamodb = new DynamoDBClient({
      ...{ region, credentials: { ...credentials }, endpoint: endpoints.endpoint.dynamodb },
    });
    this.#store = new DynamoStore(this.#dynamodb, { table });
    this.#node = new CaptureNode({
      id: "one",
      changefeed: { high: 0n, low: 1n, name: "bench", keyspace: "default" },
      queues: this.#queues,
      statusQueueUrl,
      actionQueuePrefix,
      coordinators,
      onSchedule: (request) => this.#obey(request),
      onError: (error) => this.errors.push(error),
    });
  }

  async measure(): Promise<OneNodeRow> {
    const tables = Array.from({ length: this.#count }, (_, index) => BigInt(index + 1));
    await this.#begin(tables);
    const ends = tables.map((tableId) => idOf(tableId));
    const added = tables.map((tableId) => tableId + NEW_TABLES);
    for (const one of [...ends, ...added]) this.#toObey.add(one);
    // Frozen, so that nobody has to look whether they are still the same.
    const truncate: CaptureEvent = {
      key: { commitTs: 2_000n, isSyncPoint: false },
      blockTables: { type: "tables", tableIds: Object.freeze([0n, ...tables]) },
      needDroppedTables: { type: "tables", tableIds: Object.freeze(tables) },
      needAddedTables: Object.freeze(added.map((tableId) => Object.freeze({ tableId, schemaId: SCHEMA }))),
      payload: undefined,
    };
    const truncated = await this.#barrier(truncate);
    const beforeObeying = await this.#worked();
    await this.#obeyed.promise;
    const obeyed = performance.now() - truncated.began;
    const obeying = since(beforeObeying, await this.#worked());
    const synced = await this.#barrier({
      key: { commitTs: 3_000n, isSyncPoint: true },
      blockTables: { type: "all" },
      payload: undefined,
    });
    return { dispatchers: this.#count, truncate: truncated, obeyed, obeying, syncpoint: synced };
  }

  async stop(): Promise<void> {
    await this.#node.stop({ deleteQueues: true });
    this.#sqs.destroy();
    this.#dynamodb.destroy();
  }

  async #begin(tables: readonly bigint[]): Promise<void> {
    await this.#node.start();
    const named = tables.map((tableId) => ({ tableId, name: `p${tableId}` }));
    await this.#node.open(TRIGGER, [{ schemaId: SCHEMA, name: "s", tables: named }]);
    await Promise.all([0n, ...tables].map((tableId) => this.#create(idOf(tableId), tableId, START)));
  }

  #create(id: DispatcherKey, tableId: bigint, checkpointTs: bigint, life = 0n): Promise<Dispatcher> {
    const nothing = async () => undefined;
    const writeBlockEvent = async () => {
      this.#writing = performance.now();
    };
    const sink = { write: nothing, flushBeforeBlock: nothing, writeBlockEvent, passBlockEvent: nothing };
    return this.#node.createDispatcher({ id, tableId, schemaId: SCHEMA, checkpointTs, life, sink });
  }

  async #obey({ action, dispatcher }: ScheduleRequest): Promise<void> {
    const { id, tableId, checkpointTs, life } = dispatcher;
    if (action === "remove") {
      await this.#node.removeDispatcher(id);
      this.#hasObeyed(id);
    } else {
      if (!this.#node.dispatcher(id)) await this.#create(id, tableId, checkpointTs, life);
      this.#hasObeyed(tableId);
    }
  }

  #hasObeyed(what: DispatcherKey | bigint): void {
    this.#toObey.delete(what);
    if (this.#toObey.size === 0) this.#obeyed.resolve();
  }

  async #barrier(event: CaptureEvent): Promise<Barrier> {
    const { key } = event;
    const before = await this.#worked();
    const began = performance.now();
    await Promise.all([...this.#node.dispatchers].map((dispatcher) => dispatcher.handle(event)));
    const space = (await this.#store.listSpaces())[0]!;
    while ((await this.#store.readRoot(space))?.steps.has(keyText(key))) {
      if (performance.now() - began > PATIENCE_MS) throw new Error(`barrier ${keyText(key)} does not close`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const closed = performance.now() - began;
    const times = { write: this.#writing - began, lastDone: this.#queues.lastReportAt - began, closed };
    return { began, ...times, ...since(before, await this.#worked()) };
  }

  async #worked(): Promise<Work> {
    this.#server.send("report");
    const [{ counts, enginesCpu, functionsCpu }] = (await once(this.#server, "message")) as [LocalReport];
    const { user, system } = process.cpuUsage();
    const { sqs, dynamodb, invocations } = counts;
    return {
      nodeCpu: (user + system) / 1e6,
      enginesCpu,
      functionsCpu,
      sent: this.#queues.allSent,
      received: this.#queues.received,
      polls: this.#queues.polls,
      invocations: invocations.maintainer,
      dynamodb: sum(dynamodb.functions),
      sqs: sum(sqs.functions) + sum(sqs.others),
    };
  }
}

function since(before: Work, after: Work): Work {
  const of = (name: keyof Work) => (after[name] ?? 0) - (before[name] ?? 0);
  return {
    nodeCpu: of("nodeCpu"),
    enginesCpu: of("enginesCpu"),
    functionsCpu: after.functionsCpu === undefined ? undefined : of("functionsCpu"),
    sent: of("sent"),
    received: of("received"),
    polls: of("polls"),
    invocations: of("invocations"),
    dynamodb: of("dynamodb"),
    sqs: of("sqs"),
  };
}

const sum = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((total, one) => total + one, 0);

function idOf(tableId: bigint): DispatcherKey {
  return dispatcherKey({ high: 7n, low: tableId });
}
