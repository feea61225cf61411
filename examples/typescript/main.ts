/**
 * A capture node with a sink of its own. It opens a changefeed with one table, meets a DDL that adds another one and a syncpoint,
 * and stops when it is asked to (SIGTERM). Against `npx weir local --json`, whose first line has what the environment needs.
 */
import { appendFile } from "node:fs/promises";
import {
  type CaptureEvent,
  CaptureNode,
  type Dispatcher,
  dispatcherKey,
  type ScheduleRequest,
  type Sink,
  SqsQueues,
} from "@weir-cdc/weir";

interface Row {
  readonly commitTs: bigint;
  readonly text: string;
}

/** Writes lines to a file of its own. What a flush has written is durable. */
class LineSink implements Sink<Row, string> {
  readonly #file: string;
  #waiting: string[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  async write(rows: readonly Row[]): Promise<void> {
    this.#waiting.push(...rows.map(({ text }) => `${text}\n`));
  }

  async flushBeforeBlock(): Promise<void> {
    await appendFile(this.#file, this.#waiting.join(""), { flush: true });
    // Only now: what could not be written is written with the next flush.
    this.#waiting = [];
  }

  async writeBlockEvent({ key, payload }: CaptureEvent<string>): Promise<void> {
    await appendFile(this.#file, `${payload} at ${key.commitTs}\n`, { flush: true });
    console.log(`wrote ${payload}`);
  }

  async passBlockEvent({ payload }: CaptureEvent<string>): Promise<void> {
    console.log(`passed ${payload}`);
  }
}

const env = (name: string) => {
  const value = process.env[name];
  if (value === undefined)
    throw new Error(`set ${name}: it is an output of the stack, and in the first line of weir local --json`);
  return value;
};

const SHOP = 3n;
const START = 449779372969249700n;
const TRIGGER = dispatcherKey({ high: 0n, low: 1n });
const added = Promise.withResolvers<Dispatcher<Row, string>>();

const queues = new SqsQueues();
const node = new CaptureNode({
  id: "example-1",
  changefeed: { high: 0n, low: 7n, name: "example", keyspace: "default" },
  statusQueueUrl: env("STATUS_QUEUE_URL"),
  actionQueuePrefix: env("ACTION_QUEUE_PREFIX"),
  queues,
  onSchedule: obey,
  onError: (error) => console.error("tried again:", error),
});

/** The coordinator wants a dispatcher created or removed. It asks again until this resolves. */
async function obey({ action, dispatcher }: ScheduleRequest): Promise<void> {
  if (action === "remove") return node.removeDispatcher(dispatcher.id);
  if (node.dispatcher(dispatcher.id)) return;
  const sink = new LineSink(`${dispatcher.id}.txt`);
  node
    .createDispatcher({ ...dispatcher, sink, commitTsOf: (row) => row.commitTs })
    .then(added.resolve, added.reject);
}

// In the place of your stream, which keeps the process alive: the node does not.
const stream = setInterval(() => undefined, 60_000);
/** What has begun is ended first, for up to 10 s. */
async function stop(): Promise<void> {
  await node.stop();
  queues.destroy();
  clearInterval(stream);
  console.log("stopped");
}
process.once("SIGTERM", stop);

await node.start();
await node.open(TRIGGER, [{ schemaId: SHOP, name: "shop", tables: [{ tableId: 100n, name: "orders" }] }]);
const create = (id: string, tableId: bigint, schemaId: bigint) =>
  node.createDispatcher({ id, tableId, schemaId, checkpointTs: START, sink: new LineSink(`${id}.txt`) });
const [ddls, orders] = await Promise.all([
  create(TRIGGER, 0n, 0n),
  create(dispatcherKey({ high: 0n, low: 2n }), 100n, SHOP),
]);

// What the streams bring, each in its order. CREATE TABLE ... LIKE touches the table trigger and the table that it looks at.
await orders.write([{ commitTs: START + 1n, text: "order 1" }]);
const like: CaptureEvent<string> = {
  key: { commitTs: START + 10n, isSyncPoint: false },
  blockTables: { type: "tables", tableIds: [0n, 100n] },
  needAddedTables: [{ tableId: 101n, schemaId: SHOP }],
  payload: "CREATE TABLE refunds LIKE orders",
};
await Promise.all([ddls.handle(like), orders.handle(like)]);
const refunds = await added.promise;

const key = { commitTs: START + 20n, isSyncPoint: true };
const syncpoint: CaptureEvent<string> = { key, blockTables: { type: "all" }, payload: "syncpoint" };
await Promise.all([ddls, orders, refunds].map((one) => one.handle(syncpoint)));
await orders.flush(START + 30n);
console.log(`orders is durable up to ${orders.checkpointTs}`);
