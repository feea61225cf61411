import { randomBytes } from "node:crypto";
import { type DispatcherKey, dispatcherKey } from "../barrier/dispatcher-id.ts";
import type { Dispatcher } from "../dispatcher/hosted.ts";
import { CaptureNode } from "../dispatcher/node.ts";
import type { QueueClient } from "../dispatcher/ports.ts";
import type { ScheduleRequest } from "../dispatcher/schedule.ts";
import { StorageSink, type StorageSinkOptions, writeCheckpoint } from "../dispatcher/storage-sink.ts";
import type { Plan, ReplayEvent, StreamItem, TablePlan } from "./plan.ts";
import { spanOf, spanRange } from "./spans.ts";
import type { Timings } from "./timings.ts";

export interface ReplayOptions {
  readonly nodes: number;
  readonly spans: number;
  readonly layout: "node" | "dispatcher";
  /** A folder, `file:///folder` or `s3://bucket/prefix`. */
  readonly out: string;
  readonly storage: StorageSinkOptions;
  /** Makes names of the changefeed and the nodes that no other run has. */
  readonly name: string;
  readonly statusQueueUrl: string;
  readonly actionQueuePrefix: string;
  /** Whom the nodes obey. Default: whoever may send to their queues. */
  readonly coordinators?: readonly string[];
  readonly queues: QueueClient;
  readonly onError?: (error: unknown) => void;
}

/** Rows handed to the sink at a time. */
const ROWS_AT_A_TIME = 200;

/**
 * Replays a plan with real capture nodes against a coordinator: the table trigger on the first node, every table split
 * into spans over all nodes, each dispatcher with a stream of its own.
 */
export class Replay {
  readonly #plan: Plan;
  readonly #options: ReplayOptions;
  readonly #timings: Timings;
  readonly #nodes: CaptureNode[] = [];
  readonly #streams: Promise<void>[] = [];
  readonly #known = new Set<bigint>();
  readonly #failed = Promise.withResolvers<never>();
  /** Ids name queues, too: two replays on one deployment may not share any, nor may one take up a name just deleted. */
  readonly #high = randomBytes(8).readBigUInt64BE();
  #lastDispatcher = 0n;

  constructor(plan: Plan, timings: Timings, options: ReplayOptions) {
    this.#plan = plan;
    this.#timings = timings;
    this.#options = options;
  }

  /** Runs to the end of the log. Resolves when every stream is at its end and everything is written. */
  async run(): Promise<void> {
    const { nodes: count, name, layout, queues, statusQueueUrl, actionQueuePrefix } = this.#options;
    const { coordinators, onError } = this.#options;
    const changefeed = { high: 0n, low: 1n, name, keyspace: "default" };
    for (let index = 1; index <= count; index++)
      this.#nodes.push(
        new CaptureNode({
          id: `${name}-n${index}`,
          changefeed,
          layout,
          queues,
          statusQueueUrl,
          actionQueuePrefix,
          ...(coordinators && { coordinators }),
          onSchedule: (request) => this.#schedule(request),
          ...(onError && { onError }),
        }),
      );
    await Promise.all(this.#nodes.map((node) => node.start()));
    const [first] = this.#nodes as [CaptureNode];
    const triggerId = this.#nextId();
    await first.open(triggerId, []);
    const trigger = await first.createDispatcher({
      id: triggerId,
      tableId: 0n,
      schemaId: 0n,
      checkpointTs: 1n,
      sink: this.#sink(triggerId),
    });
    this.#follow(this.#runTrigger(trigger));
    try {
      await Promise.race([this.#drained(), this.#failed.promise]);
      // Their last DONEs close the last barriers.
      const dispatchers = this.#nodes.flatMap((node) => [...node.dispatchers]);
      await Promise.all(dispatchers.map((dispatcher) => dispatcher.close()));
      await writeCheckpoint(this.#options.out, this.#plan.lastTs, undefined, this.#options.storage.s3);
    } finally {
      await Promise.all(this.#nodes.map((node) => node.stop({ deleteQueues: true })));
    }
  }

  /** Who stands where, for the line that says who is missing. */
  *standing(): Iterable<{ node: string; dispatcher: string; tableId: bigint; table: string; at: string }> {
    for (const node of this.#nodes)
      for (const dispatcher of node.dispatchers) {
        const blocked = dispatcher.blockedAt;
        yield {
          node: node.id,
          dispatcher: dispatcher.config.id,
          tableId: dispatcher.config.tableId,
          table: this.#plan.tables.get(dispatcher.config.tableId)?.name ?? "table trigger",
          at: blocked ? `${blocked.stage} at ${blocked.event.key.commitTs}` : "reading",
        };
      }
  }

  #follow(stream: Promise<void>): void {
    this.#streams.push(stream);
    stream.catch((error) => this.#failed.reject(error));
  }

  /** The streams grow in number while tables are added: at the end none is added any more. */
  async #drained(): Promise<void> {
    for (let index = 0; index < this.#streams.length || this.#known.size < this.#plan.tables.size; index++) {
      while (index >= this.#streams.length) await new Promise((resolve) => setTimeout(resolve, 10));
      await this.#streams[index];
    }
  }

  async #runTrigger(trigger: Dispatcher): Promise<void> {
    for (const event of this.#plan.trigger) await this.#event(trigger, event);
    while (trigger.outstanding) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** The coordinator asks for a table's dispatcher: it is created as spans on all nodes. Asking again changes nothing. */
  async #schedule({ action, dispatcher: asked }: ScheduleRequest): Promise<void> {
    const plan = this.#plan.tables.get(asked.tableId);
    // A dispatcher of a dropped table goes by itself when it has passed the event that drops it.
    if (action === "remove" || plan === undefined || this.#known.has(plan.tableId)) return;
    this.#known.add(plan.tableId);
    const { spans } = this.#options;
    for (let span = 0; span < spans; span++) {
      const node = this.#nodes[(Number(plan.tableId) + span) % this.#nodes.length]!;
      const id = this.#nextId();
      const created = node.createDispatcher({
        id,
        tableId: plan.tableId,
        schemaId: asked.schemaId,
        ...spanRange(span, spans),
        checkpointTs: asked.checkpointTs,
        sink: this.#sink(id),
      });
      this.#follow(created.then((dispatcher) => this.#runTable(node, dispatcher, plan, span)));
    }
  }

  async #runTable(node: CaptureNode, dispatcher: Dispatcher, plan: TablePlan, span: number): Promise<void> {
    const { spans } = this.#options;
    let rows: Extract<StreamItem, { kind: "row" }>[] = [];
    const write = async () => {
      if (rows.length === 0) return;
      await dispatcher.write(
        rows.map(({ change }) => ({
          schema: change.schema,
          table: change.table,
          version: change.tableVersion,
          commitTs: change.commitTs,
          text: change.text,
        })),
      );
      this.#timings.wroteRows(rows.length);
      rows = [];
    };
    for (const item of plan.items) {
      if (item.kind === "row") {
        if (spanOf(item.change.key, spans) !== span) continue;
        rows.push(item);
        if (rows.length >= ROWS_AT_A_TIME) await write();
        continue;
      }
      await write();
      await this.#event(dispatcher, item.event);
      if (!item.drops) continue;
      await node.removeDispatcher(dispatcher.config.id);
      return;
    }
    await write();
    await dispatcher.flush();
  }

  async #event(dispatcher: Dispatcher, event: ReplayEvent): Promise<void> {
    this.#timings.arrived(event, dispatcher.config.id);
    await dispatcher.handle(event);
    this.#timings.gone(event);
  }

  #nextId(): DispatcherKey {
    this.#lastDispatcher += 1n;
    return dispatcherKey({ high: this.#high, low: this.#lastDispatcher });
  }

  #sink(id: string): StorageSink {
    const timings = this.#timings;
    const { out, storage } = this.#options;
    return new (class extends StorageSink {
      override async writeBlockEvent(event: ReplayEvent): Promise<void> {
        timings.writeStarts(event);
        await super.writeBlockEvent(event);
        timings.writeEnds(event);
      }
    })(out, id, undefined, storage);
  }
}
