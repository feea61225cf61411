/**
 * Microseconds of the maintainer for each status, in its pieces: decode (the body into a message), fold (take it apart, find
 * the lives, record them), coverage (judge the barrier), tell (write the answers). I/O is left out: the program that
 * ships is driven on the in-memory store, and only its own steps are timed. The best of several runs counts: what else the
 * machine does only ever adds.
 */
import { type CompleteMark, completeMark, judgePassing, judgeWaiting } from "../../src/barrier/coverage.ts";
import type { BlockEvent } from "../../src/barrier/event.ts";
import type { Roster } from "../../src/barrier/roster.ts";
import type { ActionMessage, Port } from "../../src/maintainer/base/port.ts";
import type { Program } from "../../src/maintainer/base/program.ts";
import { type BatchResult, handleBatch, type Memory, newMemory } from "../../src/maintainer/batch.ts";
import type { StatusMessage } from "../../src/maintainer/intake/input.ts";
import { Outbox } from "../../src/maintainer/session/outbox.ts";
import { DEFAULT_SETTINGS } from "../../src/maintainer/session/session.ts";
import { attributesOf, FIRST_TS, Fleet, PREFIX, requestId, type Shape, T0 } from "../../src/metered/fleet.ts";
import type { EventKey } from "../../src/protocol/event-key.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { decodeReports } from "../../src/protocol/folded-reports.ts";
import { MemoryStore } from "../../src/storage/memory.ts";

export interface CpuRow {
  readonly dispatchers: number;
  readonly influence: string;
  /** Microseconds for each status; a barrier has two of each dispatcher. */
  readonly decode: number;
  /** What `JSON.parse` alone takes for the same bodies. */
  readonly parse: number;
  readonly fold: number;
  readonly coverage: number;
  readonly tell: number;
}

const RUNS = 9;

/** Time spent in the program's own steps, in ms. */
class Stopwatch {
  ms = 0;

  async drive<T>(program: Program<T>, port: Port): Promise<T> {
    const step = <R>(work: () => R): R => {
      const from = performance.now();
      const result = work();
      this.ms += performance.now() - from;
      return result;
    };
    let next = step(() => program.next());
    while (!next.done) {
      const wanted = next.value;
      let result: unknown;
      if ("together" in wanted) {
        const all: unknown[] = [];
        for (const one of wanted.together) all.push(await this.drive(one, port));
        result = all;
      } else {
        const operation = port[wanted.method] as (...args: unknown[]) => Promise<unknown>;
        result = await operation.apply(port, wanted.args);
      }
      next = step(() => program.next(result));
    }
    return next.value;
  }
}

/** The maintainer in one environment on the in-memory store, timed. */
export class TimedMaintainer {
  readonly fleet: Fleet;
  readonly store = new MemoryStore();
  readonly watch = new Stopwatch();
  memory: Memory = newMemory();
  now = T0;
  writes = 0;
  readonly sent: ActionMessage[] = [];
  readonly #port: Port;
  #next = 0;

  constructor(shape: Shape) {
    this.fleet = new Fleet(shape);
    const writing = new Set(["commitRoot", "touchBarrier", "touchTally", "putChunks", "keep"]);
    const counted = new Proxy(this.store, {
      get: (target, name: keyof MemoryStore) => {
        if (writing.has(name)) this.writes++;
        const member = target[name];
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    this.#port = Object.assign(Object.create(counted) as MemoryStore, {
      send: async (messages: readonly ActionMessage[]) => {
        this.sent.push(...messages);
        return messages.map(() => "sent" as const);
      },
      handOver: async () => undefined,
      deadLetter: async () => undefined,
      pause: async () => undefined,
    });
  }

  message(node: Fleet["nodes"][number], body: string): StatusMessage {
    return {
      messageId: `m${this.#next++}`,
      body,
      attributes: attributesOf(node, "BlockStatusRequest"),
      sentAt: this.now,
      receiveCount: 1,
      principal: "AROAEXAMPLEEXAMPLE",
    };
  }

  async handle(...batch: StatusMessage[]): Promise<BatchResult> {
    const settings = { ...DEFAULT_SETTINGS, actionQueuePrefix: PREFIX };
    const invocation = { now: this.now, nonce: requestId(this.#next++), settings, memory: this.memory };
    const result = await this.watch.drive(handleBatch(batch, invocation), this.#port);
    if (result.failed.length > 0) throw new Error(result.failed[0]!.reason);
    return result;
  }

  /** Everybody waiting at a key, one message of each node; but not those that are left out. */
  waiting(key: EventKey, without = new Set<string>()): StatusMessage[] {
    return this.#folded(this.fleet.waiting(key), (id) => !without.has(id));
  }

  passed(key: EventKey): StatusMessage[] {
    return this.#folded(this.fleet.done(key, "pass"), () => true);
  }

  #folded(state: Parameters<Fleet["reports"]>[1], who: (id: string) => boolean): StatusMessage[] {
    return this.fleet.nodes.flatMap((node) => {
      const members = node.members.filter((member) => this.fleet.touches(member) && who(member.key));
      return this.fleet.reports(members, state).map((body) => this.message(node, body));
    });
  }

  get roster(): Roster {
    return this.memory.spaces.get(this.fleet.space.text)!.roster!;
  }

  event(key: EventKey): BlockEvent {
    return this.memory.spaces.get(this.fleet.space.text)!.barriers.get(keyText(key))!.event!;
  }
}

export const keyAt = (index: number): EventKey => ({
  commitTs: FIRST_TS + BigInt(index) * 262_144_000n,
  isSyncPoint: false,
});

/** One barrier over folded reports of nodes, several times; of each piece the best. */
export async function cpuOf(shape: Shape): Promise<CpuRow> {
  const timed = new TimedMaintainer(shape);
  await timed.fleet.settle(timed.store);
  const best: Pieces = {
    all: Infinity,
    decode: Infinity,
    parse: Infinity,
    coverage: Infinity,
    tell: Infinity,
  };
  for (let run = 1; run <= RUNS; run++) {
    const pieces = await oneBarrier(timed, keyAt(run));
    for (const name of Object.keys(best) as (keyof Pieces)[]) best[name] = Math.min(best[name], pieces[name]);
  }
  const { all, decode, parse, coverage, tell } = best;
  const fold = Math.max(0, all - decode - coverage - tell);
  const { dispatchers, influence } = shape;
  return { dispatchers, influence, decode, parse, fold, coverage, tell };
}

/** Microseconds for each status; `all` is measured as a whole. */
interface Pieces {
  all: number;
  decode: number;
  parse: number;
  coverage: number;
  tell: number;
}

async function oneBarrier(timed: TimedMaintainer, key: EventKey): Promise<Pieces> {
  timed.now += 60_000;
  const waiting = timed.waiting(key);
  const [first, ...others] = waiting as [StatusMessage, ...StatusMessage[]];
  // The first message of an environment reads and builds the roster: that is no part of a barrier.
  if (timed.memory.spaces.size === 0)
    await timed.handle({ ...first, body: '{"changefeedID":{"name":"other"}}' });
  const telling = timeOf(Outbox.prototype, "take");
  timed.watch.ms = 0;
  await timed.handle(first);
  const event = timed.event(key);
  const { roster } = timed;
  for (const message of others) await timed.handle(message);
  const step = timed.store.roots.get(timed.fleet.space.text)!.steps.get(keyText(key))!;
  const writer = timed.fleet.nodes.find((node) =>
    node.members.some((one) => one.key === step.grants[0]!.id),
  )!;
  const member = writer.members.find((one) => one.key === step.grants[0]!.id)!;
  const [written] = timed.fleet.reports([member], timed.fleet.done(key, "write"));
  await timed.handle(timed.message(writer, written!));
  const passed = timed.passed(key);
  for (const message of passed) await timed.handle(message);
  if (timed.store.roots.get(timed.fleet.space.text)!.steps.size > 0)
    throw new Error("the barrier did not close");
  const all = timed.watch.ms;
  telling.stop();

  const statuses = 2 * (timed.fleet.shape.dispatchers + 1);
  const bodies = [...waiting, ...passed].map((message) => message.body);
  const decoding = timeOfWork(() => {
    for (const body of bodies) decodeReports("json", body);
  });
  const parsing = timeOfWork(() => {
    for (const body of bodies) JSON.parse(body);
  });
  const judging = timeOfWork(() => judgeAll(roster, event, waiting.length));
  const per = (ms: number) => (ms * 1000) / statuses;
  return {
    all: per(all),
    decode: per(decoding),
    parse: per(parsing),
    coverage: per(judging),
    tell: per(telling.ms),
  };
}

/** Judges as often as a barrier does: after each message of each phase, with the marks that have come by then. */
function judgeAll(roster: Roster, event: BlockEvent, messages: number): void {
  const marks: CompleteMark[] = roster.dispatchers.map(completeMark);
  for (let message = 1; message <= messages; message++) {
    const known = new Set(marks.slice(0, Math.floor((marks.length * message) / messages)));
    judgeWaiting(roster, event, known, false);
    judgePassing(roster, event, known, undefined);
  }
}

function timeOfWork(work: () => void): number {
  const from = performance.now();
  work();
  return performance.now() - from;
}

/** Adds up the time of a method until it is stopped. */
function timeOf<K extends string>(target: { [key in K]: (...args: never[]) => unknown }, name: K) {
  const original = target[name];
  const timing = {
    ms: 0,
    stop: () => {
      target[name] = original;
    },
  };
  target[name] = function (this: unknown, ...args: never[]) {
    const from = performance.now();
    try {
      return original.apply(this, args);
    } finally {
      timing.ms += performance.now() - from;
    }
  };
  return timing;
}

export interface StragglerRow {
  readonly dispatchers: number;
  /** Microseconds of everything for each repeated status: decode, fold, judge, answer. */
  readonly perStatus: number;
  /** Writes of one invocation at most: in the environment that knows the barrier, and in one that does not. */
  readonly writesWarm: number;
  readonly writesCold: number;
}

/** One dispatcher does not come, all others repeat their WAITING. */
export async function straggler(shape: Shape): Promise<StragglerRow> {
  const timed = new TimedMaintainer(shape);
  await timed.fleet.settle(timed.store);
  const key = keyAt(1);
  const last = timed.fleet.nodes.at(-1)!.members.at(-1)!;
  const without = new Set([last.key]);
  for (const message of timed.waiting(key, without)) await timed.handle(message);

  let writesWarm = 0;
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    timed.now += 15_000;
    const repeats = timed.waiting(key, without);
    timed.watch.ms = 0;
    for (const message of repeats) {
      timed.writes = 0;
      await timed.handle(message);
      writesWarm = Math.max(writesWarm, timed.writes);
    }
    best = Math.min(best, (timed.watch.ms * 1000) / shape.dispatchers);
  }

  let writesCold = 0;
  timed.now += 15_000;
  for (const message of timed.waiting(key, without)) {
    timed.memory = newMemory();
    timed.writes = 0;
    await timed.handle(message);
    writesCold = Math.max(writesCold, timed.writes);
  }
  return { dispatchers: shape.dispatchers, perStatus: best, writesWarm, writesCold };
}
