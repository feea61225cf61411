/** I6: a crash between any two steps of any invocation loses nothing. All of them are tried. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { ComponentState } from "../protocol/messages.ts";
import { newMemory } from "./batch.ts";
import type { StatusMessage } from "./intake/input.ts";
import { type ActorEvent, Actors, faultsOf } from "./testing/actors.ts";
import { again, d, ddl, everybody, node, normal, syncpoint, World } from "./testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);

const CREATE: ActorEvent = { key: ddl(90n), none: { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] } };
const TRUNCATE: ActorEvent = {
  key: ddl(100n),
  state: {
    BlockTables: normal(0n, 10n),
    NeedDroppedTables: normal(10n),
    NeedAddedTables: [{ TableID: 11n, SchemaID: 1n }],
  },
};
const ALTER: ActorEvent = { key: ddl(110n), state: { BlockTables: normal(20n) } };
const SYNC: ActorEvent = { key: syncpoint(110n), state: { BlockTables: everybody } };

/** A changefeed whose log is: create 40, truncate 10 into 11, alter the split table 20, a syncpoint at the same time. */
async function start(): Promise<Actors> {
  const world = new World();
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
      { id: d(21), table: 20n, end: "m" },
    ]),
    world.registration(n2, [{ id: d(22), table: 20n, start: "m" }]),
  );
  world.queues.clear();
  const actor = (id: string, on: typeof n1, events: ActorEvent[]) => ({ id, node: on, life: 1n, events });
  return new Actors(world, [
    actor(T, n1, [CREATE, TRUNCATE, SYNC]),
    actor(d(10), n1, [TRUNCATE]),
    actor(d(21), n1, [ALTER, SYNC]),
    actor(d(22), n2, [ALTER, SYNC]),
  ]);
}

/** Tables that are added get a dispatcher when somebody is asked for it, once. */
function createAsked(actors: Actors, created: Set<bigint>): StatusMessage[] {
  const { world } = actors;
  const messages: StatusMessage[] = [];
  for (const on of [n1, n2])
    for (const request of world.take(on, "ScheduleDispatcherRequest") as {
      scheduleAction: number;
      config: { span: { TableID: bigint }; startTs: bigint };
    }[]) {
      const table = request.config.span.TableID;
      if (request.scheduleAction !== 0 || created.has(table)) continue;
      created.add(table);
      const id = d(Number(table));
      messages.push(world.registration(on, [{ id, table, checkpoint: request.config.startTs }]));
      actors.actors.push({ id, node: on, life: 1n, events: [SYNC], at: 0, acked: false, gone: false });
      messages.push(world.waiting(on, [{ id, life: 1n }], SYNC.key, SYNC.state!));
    }
  return messages;
}

class Crash extends Error {}

/** Runs to the end, one message an invocation, the environment cold or warm; `crashAt` counts operations of them all. */
async function runWith(crashAt: number, when: "before" | "after", cold: boolean): Promise<number> {
  const actors = await start();
  const { world } = actors;
  const created = new Set<bigint>();
  let operations = 0;
  let crashed = false;
  actors.report();
  for (
    let round = 0;
    round < 12 && !(actors.finished && actors.outbox.length === 0 && created.size === 2);
    round++
  ) {
    for (let guard = 0; actors.outbox.length > 0 && guard < 400; guard++) {
      const message = actors.outbox.shift()!;
      let dead = false;
      const hook = (moment: "before" | "after") => {
        if (dead) throw new Crash();
        if (moment === "before") operations++;
        if (!crashed && operations - 1 === crashAt && moment === when) {
          crashed = true;
          dead = true;
          throw new Crash();
        }
      };
      if (cold) world.memory = newMemory();
      const result = await world.handleHookedWarm(hook, message);
      // A process that died loses what it remembered, and its message comes again.
      if (dead) world.memory = newMemory();
      if (dead || result.failed.length > 0) actors.outbox.push(again(message));
      actors.obey();
      actors.outbox.push(...createAsked(actors, created));
    }
    if (actors.finished && created.size === 2) break;
    world.now += 15_000;
    actors.report();
    if (round > 2) await world.sweep();
    actors.obey();
    actors.outbox.push(...createAsked(actors, created));
  }
  const where = `crash ${when} operation ${crashAt}, ${cold ? "cold" : "warm"}`;
  expect(faultsOf(actors.deeds), where).toEqual([]);
  expect(actors.finished, `${where}: everybody gets to the end of its stream`).toBe(true);
  await settle(actors);
  const [root] = world.store.roots.values();
  expect([...root!.steps.keys()], `${where}: every barrier closes`).toEqual([]);
  expect(root!.pending, where).toEqual([]);
  expect(
    actors.deeds.filter((deed) => deed.did === "write").map((deed) => deed.key),
    where,
  ).toHaveLength(3);
  expect(world.deadLetters, where).toEqual([]);
  return operations;
}

/** The last DONEs, and sweeps for what a crash left half done. */
async function settle(actors: Actors): Promise<void> {
  const { world } = actors;
  for (let round = 0; round < 4; round++) {
    while (actors.outbox.length > 0) await world.handle(actors.outbox.shift()!);
    world.now += 60_000;
    await world.sweep();
    actors.obey();
  }
}

it("gets to the end without a crash", async () => {
  const operations = await runWith(-1, "before", false);
  expect(operations).toBeGreaterThan(40);
});

it.each([
  ["before", false],
  ["after", false],
  ["before", true],
  ["after", true],
] as const)("gets to the end with a crash %s any operation (cold: %s)", async (when, cold) => {
  const operations = await runWith(-1, when, cold);
  for (let at = 0; at < operations; at++) await runWith(at, when, cold);
});

// invariants.md I6, S4
it("gets to the end in any order, with duplicates, crashes and environments side by side", async () => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.nat({ max: 999 })), async (stream) => {
      const dice = () => stream.next().value as number;
      const actors = await start();
      const { world } = actors;
      const created = new Set<bigint>();
      actors.report();
      for (let round = 0; round < 30; round++) {
        for (let guard = 0; actors.outbox.length > 0 && guard < 300; guard++) {
          const batches = Array.from({ length: 1 + (dice() % 3) }, () =>
            Array.from(
              { length: 1 + (dice() % 3) },
              () => actors.outbox.splice(dice() % actors.outbox.length, 1)[0],
            ).filter((message) => message !== undefined),
          ).filter((batch) => batch.length > 0);
          await Promise.all(
            batches.map(async (batch) => {
              const crashAt = dice() % 12 === 0 ? dice() % 10 : -1;
              let count = 0;
              let dead = false;
              const hook = async (moment: "before" | "after") => {
                for (let turns = dice() % 4; turns > 0; turns--) await Promise.resolve();
                if (!dead && moment === "before" && count++ === crashAt) dead = true;
                if (dead) throw new Crash();
              };
              const result = await world.handleHooked(hook, ...batch);
              const failed = new Set(result.failed.map((one) => one.messageId));
              for (const message of batch)
                if (dead || failed.has(message.messageId) || dice() % 10 === 0)
                  actors.outbox.push(again(message));
            }),
          );
          actors.obey();
          actors.outbox.push(...createAsked(actors, created));
          if (dice() % 5 === 0) world.now += dice() * 10;
        }
        if (actors.finished && created.size === 2) break;
        world.now += 15_000;
        actors.report();
        if (dice() % 2 === 0) await world.sweep();
        actors.obey();
        actors.outbox.push(...createAsked(actors, created));
      }
      expect(faultsOf(actors.deeds)).toEqual([]);
      expect(actors.finished).toBe(true);
      await settle(actors);
      const [root] = world.store.roots.values();
      expect([...root!.steps.keys()]).toEqual([]);
      expect(actors.deeds.filter((deed) => deed.did === "write")).toHaveLength(3);
    }),
    { numRuns: 150 },
  );
});

// invariants.md S4, Q5: the close, the tombstone, then the entry leaves the root.
it("finishes in a sweep what a crash left between the closing and its tombstone", async () => {
  const { world } = await start();
  const key = ddl(70n);
  const state = { BlockTables: normal(10n) };
  await world.handle(world.waiting(n1, [d(10)], key, state));
  // The DONE of the only dispatcher: written, closed, then the process dies and its message is not seen again.
  await world.handleHooked(
    (when, method) => {
      if (when === "before" && method === "touchBarrier") throw new Crash();
    },
    world.done(n1, [d(10)], key, "write"),
  );
  expect(await world.phase(key)).toBe("closed");
  await world.sweep();
  expect(await world.phase(key)).toBeUndefined();
  expect([...world.store.barriers.values()].every((item) => item.tombstone !== undefined)).toBe(true);
});

// invariants.md S5
it("looks again at a report that meets a change of the roster (no lost wake-up)", async () => {
  const { world } = await start();
  const key = ddl(70n);
  const state = { BlockTables: normal(10n, 20n) };
  await world.handle(world.waiting(n1, [d(21)], key, state));
  // Another environment takes out a dispatcher of the same chunk; this one still has the roster of before in memory.
  await world.handleCold(
    world.status(n1, d(10), 1n, ComponentState.Removed),
    world.none(n1, T, ddl(60n), { NeedDroppedTables: normal(10n) }),
  );
  expect(await world.phase(key)).toBe("waiting");
  await world.handle(world.waiting(n2, [d(22)], key, state));
  expect(await world.phase(key)).toBe("writing");

  // The same where it is a tally that is touched, and no chunk became complete.
  const other = ddl(80n);
  await world.handle(world.waiting(n1, [T], other, { BlockTables: everybody }));
  await world.handleCold(world.registration(n1, [{ id: d(50), table: 50n, checkpoint: 1n }]));
  await world.handleCold(world.waiting(n2, [d(22)], other, { BlockTables: everybody }));
  await world.handleCold(world.status(n1, d(50), 1n, ComponentState.Removed));
  await world.handle(world.waiting(n1, [d(21)], other, { BlockTables: everybody }));
  expect(await world.phase(other)).toBe("writing");
});
