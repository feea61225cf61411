import { dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import {
  type CaptureEvent,
  CaptureNode,
  type CaptureNodeOptions,
  type Dispatcher,
  type InfluencedTables,
  type OpeningSchema,
  type QueueClient,
  type ScheduleRequest,
  type Sink,
  SqsQueues,
} from "../../src/dispatcher/index.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { spanRange } from "../../src/replay/spans.ts";
import { clientConfig, output, type Target } from "./target.ts";
import { within } from "./until.ts";

/** What a sink was told, in the order in which the sinks of a world were told. */
export interface Entry {
  readonly dispatcher: Dispatcher["config"]["id"];
  readonly what: "flush" | "write" | "pass";
  readonly key: string;
}

export interface WorldOptions extends Partial<Pick<CaptureNodeOptions, "layout" | "encoding">> {
  /** Names the changefeed and the nodes: one of its kind in the run. */
  readonly name: string;
  readonly nodes: number;
  readonly schemas: readonly OpeningSchema[];
  /** Stands between the nodes and the queues. */
  readonly queues?: (real: QueueClient) => QueueClient;
}

const TRIGGER = dispatcherKey({ high: 0n, low: 1n });
const STARTS_AT = 100n;

/** A changefeed: real capture nodes with sinks that keep a journal, against the deployed coordinator. */
export class World implements AsyncDisposable {
  readonly changefeed;
  readonly journal: Entry[] = [];
  /** What the nodes told, but for connections that LocalStack reset, as it does on a loaded machine: the node asks anew. */
  readonly errors: unknown[] = [];
  readonly nodes: readonly CaptureNode[];
  /** What the coordinator asked for, `create 103` or `remove 101`, each once. */
  readonly scheduled = new Set<string>();
  /** A write of this key waits until its promise is kept. */
  readonly gates = new Map<string, Promise<void>>();
  trigger!: Dispatcher;
  readonly #queues: SqsQueues;
  readonly #client: QueueClient;
  readonly #actionPrefix: string;
  #lastDispatcher = 1n;

  constructor(target: Target, options: WorldOptions) {
    const { name, nodes, layout, encoding } = options;
    this.#queues = new SqsQueues(clientConfig(target.endpoint));
    this.#client = options.queues?.(this.#queues) ?? this.#queues;
    this.#actionPrefix = output(target, "ActionQueuePrefix");
    this.changefeed = { high: 7n, low: 9n, name, keyspace: "default" };
    this.nodes = Array.from(
      { length: nodes },
      (_, index) =>
        new CaptureNode({
          id: `${name}-n${index + 1}`,
          changefeed: this.changefeed,
          statusQueueUrl: output(target, "StatusQueueUrl"),
          actionQueuePrefix: this.#actionPrefix,
          queues: this.#client,
          onSchedule: (request) => this.#schedule(request),
          onError: (error) => {
            if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") this.errors.push(error);
          },
          ...(layout && { layout }),
          ...(encoding && { encoding }),
        }),
    );
  }

  /** Starts the nodes, opens the changefeed on the first one and creates its table trigger. */
  static async start(target: Target, options: WorldOptions): Promise<World> {
    const world = new World(target, options);
    const [first] = world.nodes as [CaptureNode];
    await within("the queues of the nodes", Promise.all(world.nodes.map((node) => node.start())));
    await within("the opening in the status queue", first.open(TRIGGER, options.schemas));
    world.trigger = await world.create(first, 0n, 0n, {}, TRIGGER);
    return world;
  }

  /** Creates a table's dispatchers, each with a span, on one node after the other. */
  table(tableId: bigint, schemaId: bigint, spans = 1): Promise<Dispatcher[]> {
    return Promise.all(
      Array.from({ length: spans }, (_, span) => {
        const node = this.nodes[(Number(tableId) + span) % this.nodes.length]!;
        return this.create(node, tableId, schemaId, spans > 1 ? spanRange(span, spans) : {});
      }),
    );
  }

  /** Gives an event to dispatchers, as their streams would, and waits until all of them may go on. */
  async meet(event: CaptureEvent, dispatchers: readonly Dispatcher[]): Promise<void> {
    const all = Promise.all(dispatchers.map((dispatcher) => dispatcher.handle(event)));
    await within(`${keyText(event.key)} of ${this.changefeed.name} to be over`, all);
  }

  /** What was done about an event, in order. */
  about(event: CaptureEvent): Entry[] {
    return this.journal.filter((entry) => entry.key === keyText(event.key));
  }

  /** Stops the nodes and deletes what they made. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop({ deleteQueues: true })));
    this.#queues.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async remove(dispatcher: Dispatcher): Promise<void> {
    const { id } = dispatcher.config;
    const node = this.nodes.find((one) => one.dispatcher(id) === dispatcher)!;
    await within(`the leaving of ${id}`, node.removeDispatcher(id));
  }

  /** Creates a dispatcher. Resolves when the coordinator has accepted it. */
  create(
    node: CaptureNode,
    tableId: bigint,
    schemaId: bigint,
    range: { start?: Uint8Array; end?: Uint8Array },
    id = dispatcherKey({ high: tableId, low: ++this.#lastDispatcher }),
  ): Promise<Dispatcher> {
    const created = node.createDispatcher({
      id,
      tableId,
      schemaId,
      ...range,
      checkpointTs: STARTS_AT,
      sink: this.#sink(id),
    });
    return within(`the registration of ${id} on ${node.id}`, created);
  }

  async #schedule({ action, dispatcher }: ScheduleRequest): Promise<void> {
    this.scheduled.add(`${action} ${dispatcher.tableId}`);
  }

  #sink(dispatcher: string): Sink {
    const note = async (what: Entry["what"], event: CaptureEvent) => {
      if (what === "write") await this.gates.get(keyText(event.key));
      this.journal.push({ dispatcher, what, key: keyText(event.key) });
    };
    return {
      write: async () => undefined,
      flushBeforeBlock: (event) => note("flush", event),
      writeBlockEvent: (event) => note("write", event),
      passBlockEvent: (event) => note("pass", event),
    };
  }
}

/** A DDL or a syncpoint by whom it touches. */
export function event(
  commitTs: bigint,
  influence: { tables: readonly bigint[] } | { schema: bigint } | "all",
  more: Partial<CaptureEvent> & { readonly isSyncPoint?: boolean } = {},
): CaptureEvent {
  const { isSyncPoint = false, ...rest } = more;
  const blockTables: InfluencedTables =
    influence === "all"
      ? { type: "all" }
      : "schema" in influence
        ? { type: "schema", schemaId: influence.schema }
        : { type: "tables", tableIds: [...influence.tables] };
  return { key: { commitTs, isSyncPoint }, blockTables, payload: undefined, ...rest };
}
