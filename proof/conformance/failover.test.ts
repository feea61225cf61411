/**
 * A coordinator that knows nothing takes over at every moment of a changefeed: a higher epoch, while reports and actions of
 * the former one are on their way (docs/conformance.md, integration scenarios). Nodes and maintainer are those that ship.
 */
import { expect, it } from "vitest";
import { isOver } from "../../src/dispatcher/errors.ts";
import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import { CaptureNode } from "../../src/dispatcher/node.ts";
import { ManualClock } from "../../src/dispatcher/testing/capture.ts";
import { everybody, MemoryQueues, normal, schema } from "../../src/dispatcher/testing/doubles.ts";
import { type Deed, faultsOf } from "../../src/maintainer/testing/actors.ts";
import { CHANGEFEED, d, ddl, PREFIX, syncpoint, World } from "../../src/maintainer/testing/world.ts";
import { keyText } from "../../src/protocol/event-key.ts";

const T = d(1);
const drop = ddl(120n);
const events: CaptureEvent[] = [
  { key: ddl(100n), blockTables: normal(20n), payload: undefined },
  { key: ddl(110n), blockTables: schema(1n), payload: undefined },
  { key: syncpoint(110n), blockTables: everybody, payload: undefined },
  { key: drop, blockTables: normal(0n, 10n), needDroppedTables: normal(10n), payload: undefined },
  { key: syncpoint(130n), blockTables: everybody, payload: undefined },
];
const [alter, ofSchema, sync, dropped, last] = events as [CaptureEvent, ...CaptureEvent[]] & CaptureEvent[];

interface Stream {
  readonly id: string;
  readonly node: "n1" | "n2";
  readonly tableId: bigint;
  readonly start?: string;
  readonly end?: string;
  readonly events: readonly CaptureEvent[];
}
const streams: readonly Stream[] = [
  { id: T, node: "n1", tableId: 0n, events: [ofSchema!, sync!, dropped!, last!] },
  { id: d(10), node: "n2", tableId: 10n, events: [ofSchema!, sync!, dropped!] },
  { id: d(21), node: "n1", tableId: 20n, end: "m", events: [alter, ofSchema!, sync!, last!] },
  { id: d(22), node: "n2", tableId: 20n, start: "m", events: [alter, ofSchema!, sync!, last!] },
];

/** Two nodes and the maintainer, joined by queues, in steps of a millisecond. */
class Changefeed {
  readonly world = new World();
  readonly queues = new MemoryQueues();
  readonly clock = new ManualClock();
  readonly deeds: Deed[] = [];
  readonly nodes: Record<Stream["node"], CaptureNode>;
  readonly finished = new Set<string>();
  /** Status messages that were handled: a queue may deliver them again. */
  readonly handled: ReturnType<World["message"]>[] = [];
  #messages = 0;

  constructor() {
    const make = (id: Stream["node"]) =>
      new CaptureNode({
        id,
        changefeed: CHANGEFEED,
        queues: this.queues,
        clock: this.clock,
        statusQueueUrl: "status",
        actionQueuePrefix: PREFIX,
        foldMs: 2,
        onSchedule: async ({ action, dispatcher }) => {
          if (action === "remove") this.#over(id, dispatcher.id);
        },
      });
    this.nodes = { n1: make("n1"), n2: make("n2") };
  }

  async start(): Promise<void> {
    for (const node of Object.values(this.nodes)) await node.start();
    this.nodes.n1.open(T, this.#tables()).catch(unlessOver);
    for (const stream of streams) this.#run(stream).catch(unlessOver);
  }

  /** The tables as the table trigger has them where it stands. */
  #tables() {
    const gone = this.nodes.n1.dispatcher(T)?.finishedTs ?? 0n;
    const tables = [20n, ...(gone >= drop.commitTs ? [] : [10n])];
    return [{ schemaId: 1n, name: "s", tables: tables.map((tableId) => ({ tableId, name: `t${tableId}` })) }];
  }

  async #run({ id, node, tableId, start, end, events }: Stream): Promise<void> {
    const text = new TextEncoder();
    const did = (what: Deed["did"]) => async (event: CaptureEvent) => {
      this.deeds.push({ key: keyText(event.key), id, did: what });
      // It takes some time, in which others may notice that it executes.
      await new Promise<void>((resolve) => void this.clock.after(3, resolve));
    };
    const dispatcher = await this.nodes[node].createDispatcher({
      id,
      tableId,
      schemaId: tableId === 0n ? 0n : 1n,
      checkpointTs: 50n,
      ...(start && { start: text.encode(start) }),
      ...(end && { end: text.encode(end) }),
      sink: {
        write: async () => undefined,
        flushBeforeBlock: async () => undefined,
        writeBlockEvent: did("write"),
        passBlockEvent: did("pass"),
      },
    });
    for (const event of events) await dispatcher.handle(event);
    // Behind the drop of its table there is nothing for it.
    if (events.at(-1) === dropped) this.#over(node, id);
    else this.finished.add(id);
  }

  #over(node: Stream["node"], id: string): void {
    this.nodes[node].removeDispatcher(id).then(() => this.finished.add(id), unlessOver);
  }

  /** A millisecond: one status message is handled, its answers are on their way, and whoever can go on goes on. */
  async step(ms = 1, settle = true): Promise<void> {
    this.world.now = this.clock.now();
    const next = this.queues.queues.get("status")?.shift();
    if (next) {
      const message = {
        ...next.message,
        messageId: `s${this.#messages++}`,
        sentAt: this.world.now,
        receiveCount: 1,
        principal: "",
      };
      this.handled.push(message);
      expect((await this.world.handle(message)).failed).toEqual([]);
    }
    await this.#forward();
    if (!settle) return;
    for (let turn = 0; turn < 6; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    this.clock.advance(ms);
  }

  async #forward(): Promise<void> {
    for (const [queue, messages] of this.world.queues) {
      for (const { body, type, encoding } of messages)
        await this.queues.send(queue, { body, attributes: { type, encoding } });
      this.world.queues.delete(queue);
    }
  }

  async takeOver(epoch: bigint): Promise<void> {
    this.nodes.n1.follow(epoch).catch(unlessOver);
    await this.nodes.n1.open(T, this.#tables());
  }

  /** Until all streams are at their end, with the repeats and sweeps that this takes. */
  async finish(): Promise<void> {
    for (let round = 0; round < 400 && !this.isOver(); round++) {
      await this.step(round < 100 ? 1 : 500);
      if (round > 100 && round % 20 === 0) {
        await this.world.sweep();
        await this.#forward();
      }
    }
  }

  isOver(): boolean {
    return this.finished.size === streams.length && this.openBarriers().length === 0;
  }

  openBarriers(): string[] {
    return [...this.world.store.roots.values()].flatMap((root) => [...root.steps.keys()]);
  }

  async stop(): Promise<void> {
    let stopped = false;
    const stopping = Promise.all(Object.values(this.nodes).map((node) => node.stop({ limitMs: 0 }))).finally(
      () => {
        stopped = true;
      },
    );
    while (!stopped) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.clock.advance(1);
    }
    await stopping;
  }
}

/** A dispatcher that is removed, or whose node is stopped, says so to whoever waits for it. */
function unlessOver(error: unknown): void {
  if (!isOver(error)) throw error;
}

/** What must have come of it, whatever happened. */
function check(changefeed: Changefeed, what: string): void {
  expect(faultsOf(changefeed.deeds), what).toEqual([]);
  expect([...changefeed.finished].sort(), what).toEqual(streams.map((one) => one.id).sort());
  expect(changefeed.openBarriers(), what).toEqual([]);
  expect(
    changefeed.deeds.filter((deed) => deed.did === "write"),
    what,
  ).toHaveLength(events.length);
  expect(changefeed.world.deadLetters, what).toEqual([]);
}

/** How many steps it takes when nothing happens. */
async function stepsOf(): Promise<number> {
  const changefeed = new Changefeed();
  await changefeed.start();
  let steps = 0;
  for (; !changefeed.isOver() && steps < 1_000; steps++) await changefeed.step();
  check(changefeed, "left alone");
  await changefeed.stop();
  return steps;
}

it.each([
  ["both nodes follow at once", 0, false],
  ["the other node follows some milliseconds later", 7, false],
  ["everything that was reported before comes once more", 3, true],
])(
  "writes each event once when a coordinator takes over after any millisecond: %s",
  async (_, later, twice) => {
    const steps = await stepsOf();
    expect(steps).toBeGreaterThan(60);
    for (let at = 1; at < steps; at++) {
      const changefeed = new Changefeed();
      await changefeed.start();
      for (let step = 0; step < at; step++) await changefeed.step();
      // What was just answered has reached the queues, and nobody has read it yet.
      await changefeed.step(1, false);
      await changefeed.takeOver(2n);
      for (let step = 0; step < later; step++) await changefeed.step();
      changefeed.nodes.n2.follow(2n).catch(unlessOver);
      if (twice)
        for (const { body, attributes } of [...changefeed.handled])
          await changefeed.queues.send("status", { body, attributes });
      await changefeed.finish();
      check(changefeed, `taken over after step ${at} of ${steps}`);
      await changefeed.stop();
    }
  },
);
