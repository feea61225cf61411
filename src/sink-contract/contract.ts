import type { CaptureEvent } from "../dispatcher/event.ts";
import type { Sink } from "../dispatcher/sink.ts";
import { WeirError } from "../error/weir-error.ts";
import { compareKeys, type EventKey, keyText } from "../protocol/event-key.ts";

/**
 * What the contract needs to know of a sink. Rows are known by a number: row 2 comes behind row 1 in the stream, and all of them
 * before the events.
 *
 * @example
 * ```ts
 * import type { CaptureEvent, EventKey, Sink } from "@weir-cdc/weir";
 * import type { SinkHarness } from "@weir-cdc/weir/testing";
 *
 * // A place that keeps its lines in memory. Yours opens a real one: a new folder, table or topic.
 * export class Memory implements SinkHarness<string, string> {
 *   readonly #rows: string[] = [];
 *   readonly #events: EventKey[] = [];
 *
 *   open(): Sink<string, string> {
 *     let waiting: string[] = [];
 *     return {
 *       write: async (rows) => void waiting.push(...rows),
 *       flushBeforeBlock: async () => {
 *         this.#rows.push(...waiting);
 *         waiting = [];
 *       },
 *       writeBlockEvent: async ({ key }) => void this.#events.push(key),
 *       passBlockEvent: async () => {},
 *     };
 *   }
 *
 *   row = (n: number) => `row ${n}`;
 *   event = (key: EventKey): CaptureEvent<string> => ({ key, payload: "ALTER TABLE orders ..." });
 *   rows = () => this.#rows.map((row) => Number(row.split(" ")[1]));
 *   events = () => this.#events;
 * }
 * ```
 */
export interface SinkHarness<Row, Payload> {
  /**
   * A sink as your program makes it, on the place of this harness. A second one for the same dispatcher is the first one's program
   * after a crash: the contract gives nothing to the first one any more.
   */
  open(dispatcher: string): Sink<Row, Payload> | Promise<Sink<Row, Payload>>;
  row(n: number): Row;
  event(key: EventKey): CaptureEvent<Payload>;
  /** The numbers of the rows that are durable, read from where they went, in their order; one that is there twice comes twice. */
  rows(): readonly number[] | Promise<readonly number[]>;
  /** The keys of the events that were written, in any order. */
  events(): readonly EventKey[] | Promise<readonly EventKey[]>;
  /**
   * Makes the place fail, or work again: nothing can be made durable while it fails. Left out: the rules about failures are not
   * looked at, and they are those by which rows are lost.
   */
  fail?(fails: boolean): void | Promise<void>;
  /** Called at the end of each rule, whatever came of it. */
  close?(): void | Promise<void>;
}

/** One rule of the contract, as a test that any framework can run. */
export interface SinkRule {
  /** What a sink does, as the name of a test. */
  readonly name: string;
  /**
   * Rejects if the sink does otherwise.
   * @throws SinkContractBroken
   */
  run(): Promise<void>;
}

/** A sink breaks a rule. The message says which, and what was found. */
export class SinkContractBroken extends WeirError {
  override readonly name = "SinkContractBroken";

  constructor(rule: string, found: string) {
    super("sink-contract", `a sink ${rule}. This one does not: ${found}`);
  }
}

const DDL: EventKey = { commitTs: 449779372969249750n, isSyncPoint: false };
const SYNCPOINT: EventKey = { commitTs: DDL.commitTs, isSyncPoint: true };
const MANY = 5_000;
const to = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

/** One rule's run: a harness of its own, and what is told if the sink breaks the rule. */
class Trial<Row, Payload> {
  readonly harness: SinkHarness<Row, Payload>;
  readonly #rule: string;

  constructor(rule: string, harness: SinkHarness<Row, Payload>) {
    this.#rule = rule;
    this.harness = harness;
  }

  broken(found: string): never {
    throw new SinkContractBroken(this.#rule, found);
  }

  rowsOf(numbers: readonly number[]): Row[] {
    return numbers.map((n) => this.harness.row(n));
  }

  flush(sink: Sink<Row, Payload>): Promise<void> {
    return sink.flushBeforeBlock(this.harness.event(DDL));
  }

  /** Each of these rows is there, and the first of each in the order of the stream. */
  async expectRows(...numbers: readonly number[]): Promise<void> {
    const found = await this.harness.rows();
    const missing = numbers.filter((n) => !found.includes(n));
    if (missing.length > 0) this.broken(`rows ${list(missing)} are missing, there are ${list(found)}`);
    const firsts = [...new Set(found)];
    if (firsts.some((n, index) => index > 0 && n < firsts[index - 1]!))
      this.broken(`rows are in the order ${list(firsts)}`);
  }

  async expectEvents(...keys: readonly EventKey[]): Promise<void> {
    const found = await this.harness.events();
    for (const key of keys)
      if (!found.some((one) => compareKeys(one, key) === 0))
        this.broken(`event ${keyText(key)} is missing, there are ${list(found.map(keyText))}`);
    for (const one of found)
      if (!keys.some((key) => compareKeys(one, key) === 0)) this.broken(`event ${keyText(one)} is there`);
  }

  /** What must not succeed, for nothing can be made durable. @returns whether it failed */
  async fails(work: () => Promise<void>): Promise<boolean> {
    return work().then(
      () => false,
      () => true,
    );
  }
}

interface Rule {
  readonly name: string;
  /** Needs a harness that can fail. */
  readonly failing?: true;
  readonly run: <Row, Payload>(trial: Trial<Row, Payload>) => Promise<void>;
}

const RULES: readonly Rule[] = [
  {
    name: "has all rows durable, in their order, when a flush has resolved",
    async run(trial) {
      const sink = await trial.harness.open("a");
      await sink.write(trial.rowsOf([1, 2]));
      await sink.write(trial.rowsOf([3]));
      await trial.flush(sink);
      await trial.expectRows(1, 2, 3);
    },
  },
  {
    name: "takes an empty list, and a flush when nothing waits",
    async run(trial) {
      const sink = await trial.harness.open("a");
      await trial.flush(sink);
      await sink.write([]);
      await trial.flush(sink);
      await sink.write(trial.rowsOf([1]));
      await trial.flush(sink);
      await trial.flush(sink);
      await trial.expectRows(1);
    },
  },
  {
    name: "takes many rows",
    async run(trial) {
      const sink = await trial.harness.open("a");
      for (let from = 0; from < MANY; from += 500)
        await sink.write(trial.rowsOf(to(500).map((n) => from + n)));
      await trial.flush(sink);
      await trial.expectRows(...to(MANY));
    },
  },
  {
    name: "keeps the rows that it took, and not the list in which they came",
    async run(trial) {
      const sink = await trial.harness.open("a");
      const rows = trial.rowsOf([1, 2]);
      await sink.write(rows);
      rows.length = 0;
      await trial.flush(sink);
      await trial.expectRows(1, 2);
    },
  },
  {
    name: "has an event durable when writeBlockEvent has resolved",
    async run(trial) {
      const sink = await trial.harness.open("a");
      await sink.writeBlockEvent(trial.harness.event(DDL));
      await trial.expectEvents(DDL);
    },
  },
  {
    name: "tells a DDL from a syncpoint of its commitTs",
    async run(trial) {
      const sink = await trial.harness.open("a");
      for (const key of [DDL, SYNCPOINT]) await sink.writeBlockEvent(trial.harness.event(key));
      await trial.expectEvents(DDL, SYNCPOINT);
    },
  },
  {
    name: "writes an event again, also in another life, as if it were the first time",
    async run(trial) {
      const first = await trial.harness.open("a");
      for (const sink of [first, first, await trial.harness.open("a")])
        await sink.writeBlockEvent(trial.harness.event(DDL)).catch((error: unknown) => {
          trial.broken(`it rejects with ${error}. An answer that is lost brings the action once more`);
        });
      await trial.expectEvents(DDL);
    },
  },
  {
    name: "does not write an event that it passes",
    async run(trial) {
      const sink = await trial.harness.open("a");
      await sink.write(trial.rowsOf([1]));
      await trial.flush(sink);
      await sink.passBlockEvent(trial.harness.event(DDL));
      await trial.expectEvents();
      await trial.expectRows(1);
    },
  },
  {
    name: "goes on behind an event",
    async run(trial) {
      const sink = await trial.harness.open("a");
      await sink.write(trial.rowsOf([1]));
      await trial.flush(sink);
      await sink.writeBlockEvent(trial.harness.event(DDL));
      await sink.write(trial.rowsOf([2]));
      await trial.flush(sink);
      await trial.expectRows(1, 2);
      await trial.expectEvents(DDL);
    },
  },
  {
    name: "keeps what was flushed before a crash, and takes rows again that come again",
    async run(trial) {
      const before = await trial.harness.open("a");
      await before.write(trial.rowsOf([1, 2]));
      await trial.flush(before);
      await before.write(trial.rowsOf([3]));
      const after = await trial.harness.open("a");
      await after.write(trial.rowsOf([2, 3, 4]));
      await trial.flush(after);
      await trial.expectRows(1, 2, 3, 4);
    },
  },
  {
    name: "leaves alone what the sink of another dispatcher writes in the same place",
    async run(trial) {
      const [a, b] = [await trial.harness.open("a"), await trial.harness.open("b")];
      await a.write(trial.rowsOf([1]));
      await b.write(trial.rowsOf([2]));
      await trial.flush(a);
      await trial.flush(b);
      const found = await trial.harness.rows();
      for (const n of [1, 2]) if (!found.includes(n)) trial.broken(`row ${n} is missing`);
    },
  },
  {
    name: "rejects while rows cannot be made durable, and has them all when the calls are made again",
    failing: true,
    async run(trial) {
      const sink = await trial.harness.open("a");
      await sink.write(trial.rowsOf([1]));
      await trial.flush(sink);
      await trial.harness.fail?.(true);
      const rows = trial.rowsOf([2, 3]);
      const refused = await trial.fails(() => sink.write(rows));
      const failed = refused || (await trial.fails(() => trial.flush(sink)));
      await trial.harness.fail?.(false);
      if (!failed) trial.broken("write and flushBeforeBlock resolve while nothing can be made durable");
      if (refused) await sink.write(rows);
      await trial.flush(sink);
      await trial.expectRows(1, 2, 3);
    },
  },
  {
    name: "rejects while an event cannot be made durable, and has it when the call is made again",
    failing: true,
    async run(trial) {
      const sink = await trial.harness.open("a");
      await trial.harness.fail?.(true);
      const failed = await trial.fails(() => sink.writeBlockEvent(trial.harness.event(DDL)));
      await trial.harness.fail?.(false);
      if (!failed) trial.broken("writeBlockEvent resolves while nothing can be made durable");
      await sink.writeBlockEvent(trial.harness.event(DDL));
      await trial.expectEvents(DDL);
    },
  },
];

/**
 * What Weir asks of a sink (protocol.md D2, D5), as tests: of a sink that breaks a rule rows or DDLs are lost, and nobody is told.
 * The rules know no test framework: each has a name and a function that rejects.
 * @param newHarness a harness on a place where nothing is: each rule takes one of its own
 *
 * @example
 * ```ts
 * import { describe, it } from "node:test";
 * import { type SinkHarness, sinkContract } from "@weir-cdc/weir/testing";
 *
 * export function test(newHarness: () => SinkHarness<string, string>) {
 *   describe("my sink", () => {
 *     for (const { name, run } of sinkContract(newHarness)) it(name, run);
 *   });
 * }
 * ```
 */
export function sinkContract<Row, Payload>(
  newHarness: () => SinkHarness<Row, Payload> | Promise<SinkHarness<Row, Payload>>,
): readonly SinkRule[] {
  return RULES.map(({ name, failing, run }) => ({
    name,
    async run() {
      const harness = await newHarness();
      try {
        if (!failing || harness.fail) await run(new Trial(name, harness));
      } finally {
        await harness.close?.();
      }
    },
  }));
}

const list = (all: readonly (number | string)[]) =>
  all.length === 0 ? "none" : all.length > 20 ? `${all.slice(0, 20).join(", ")}, ...` : all.join(", ");
