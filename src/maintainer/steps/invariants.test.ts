/** The invariants of the design, each by what goes in and what comes out. What breaks a rule here breaks a test. */
import { beforeEach, describe, expect, it } from "vitest";
import { ComponentState } from "../../protocol/messages.ts";
import { run } from "../base/program.ts";
import { evict } from "../operator/evict.ts";
import {
  again,
  d,
  ddl,
  everybody,
  freezeAt,
  idsOf,
  node,
  normal,
  oldNode,
  syncpoint,
  type Told,
  World,
} from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const life = (id: string, number: bigint) => ({ id, life: number });

async function openWorld(): Promise<World> {
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
  return world;
}

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
const K = ddl(100n);
const split = { BlockTables: normal(20n) };
const told = (): Told[] => [...world.told(n1), ...world.told(n2)];
const writes = () => idsOf(told(), "write", K);

describe("I1: Write is granted on a roster in which everybody has reported in the current life", () => {
  // protocol.md M5
  it("does not count what an earlier life reported", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    await world.handle(world.registration(n2, [{ id: d(21), table: 20n, end: "m", life: 2n }]));
    await world.handle(world.waiting(n2, [d(22)], K, split));
    expect(await world.phase(K)).toBe("waiting");
    expect(writes()).toEqual([]);
    await world.handle(world.waiting(n2, [life(d(21), 2n)], K, split));
    expect(writes()).toEqual([d(21)]);
  });

  // protocol.md M5, M6a: the roster that was judged is a condition of the grant.
  it("does not grant on a roster that changed before the commit", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    const last = world.waiting(n2, [d(22)], K, split);
    // Frozen before the last operation but the sending: the commit of the grant.
    const plain = await operationsOf(last);
    world = await openWorld();
    await world.handle(world.waiting(n1, [d(21)], K, split));
    const { hook, frozen, release } = freezeAt(plain.indexOf("commitRoot"));
    const slow = world.handleHooked(hook, last);
    expect(await frozen).toBe(true);
    await world.handleCold(world.registration(n2, [{ id: d(21), table: 20n, end: "m", life: 2n }]));
    release();
    await slow;
    expect(await world.phase(K)).toBe("waiting");
    expect(writes()).toEqual([]);
  });

  it("needs the spans of a table to join, whoever reported", async () => {
    await world.handle(world.status(n2, d(22), 1n, ComponentState.Removed));
    await world.handle(world.waiting(n1, [d(21)], K, split));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.registration(n1, [{ id: d(23), table: 20n, start: "k" }]));
    await world.handle(world.waiting(n1, [d(23)], K, split));
    expect(await world.phase(K)).toBe("writing");
  });

  // protocol.md M6a
  it("repeats a Write only while the lives are those of its grant", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split), world.waiting(n2, [d(22)], K, split));
    const [writer] = writes();
    const other = writer === d(21) ? d(22) : d(21);
    const span = other === d(21) ? { end: "m" } : { start: "m" };
    await world.handle(world.registration(n2, [{ id: other, table: 20n, life: 2n, ...span }]));
    world.now += 60_000;
    const from = writer === d(21) ? n1 : n2;
    await world.handle(world.waiting(from, [writer!], K, split));
    expect(writes()).toEqual([]);
    await world.handle(world.waiting(n2, [life(other, 2n)], K, split));
    // Judged again: the same writer gets a new grant.
    expect(writes()).toEqual([writer]);
  });
});

/** The operations of an invocation that is left alone. */
async function operationsOf(...messages: Parameters<World["handleHooked"]>[1][]): Promise<string[]> {
  const seen: string[] = [];
  await world.handleHooked((when, method) => void (when === "before" && seen.push(method)), ...messages);
  return seen;
}

describe("I2: one writer at a time, and an action reaches only the life it was meant for", () => {
  it("grants once when two invocations see the last report at the same time", async () => {
    await Promise.all([
      world.handleCold(world.waiting(n1, [d(21)], K, split)),
      world.handleCold(world.waiting(n2, [d(22)], K, split)),
    ]);
    if ((await world.phase(K)) === "waiting") await world.handleCold(world.waiting(n1, [d(21)], K, split));
    expect(writes()).toHaveLength(1);
  });

  it("names the life, and gives the grant to the same dispatcher's next one", async () => {
    const key = syncpoint(100n);
    const all = { BlockTables: everybody };
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, all), world.waiting(n2, [d(22)], key, all));
    expect(told().find((one) => one.kind === "write")?.lives).toEqual([1n]);
    await world.handle(world.registration(n2, [{ id: T, table: 0n, life: 9n }]));
    expect(told().filter((one) => one.kind === "write")).toEqual([]);
    await world.handle(world.waiting(n2, [life(T, 9n)], key, all));
    const [write] = told().filter((one) => one.kind === "write");
    expect(write).toMatchObject({ ids: [T], lives: [9n] });
    // The life that was granted first has written too; but the Write may still be on its way (protocol.md M8).
    await world.handle(world.done(n1, [T], key, "write"));
    expect(await world.phase(key)).toBe("writing");
    await world.handle(world.done(n2, [life(T, 9n)], key, "write"));
    expect(await world.phase(key)).toBe("passing");
  });
});

describe("I3: nobody receives Pass before the DONE of Write", () => {
  it("takes neither an early DONE of Pass nor a DONE of Write by who was not granted it", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    await world.handle(world.done(n1, [d(21)], K, "pass"), world.done(n1, [d(21)], K, "write"));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.waiting(n2, [d(22)], K, split));
    const [writer] = writes();
    const other = writer === d(21) ? { id: d(22), from: n2 } : { id: d(21), from: n1 };
    await world.handle(
      world.done(other.from, [other.id], K, "write"),
      world.done(other.from, [other.id], K, "pass"),
    );
    await world.handle(world.done(writer === d(21) ? n1 : n2, [writer!], K, "pass"));
    expect(await world.phase(K)).toBe("writing");
    expect(idsOf(told(), "pass", K)).toEqual([]);
  });

  it("infers what an old node did: the writer wrote, any other passed", async () => {
    const old = oldNode("old");
    const world = new World();
    await world.handle(
      world.opening(old, T, [{ id: 20n, schema: 1n }]),
      world.registration(old, [
        { id: T, table: 0n },
        { id: d(21), table: 20n, end: "m" },
        { id: d(22), table: 20n, start: "m" },
      ]),
    );
    world.now += 1_000;
    await world.handle(world.waiting(old, [d(21), d(22)], K, split));
    const [writer] = idsOf(world.told(old), "write", K);
    const other = writer === d(21) ? d(22) : d(21);
    await world.handle(world.done(old, [other], K, "untyped"));
    expect(await world.phase(K)).toBe("writing");
    await world.handle(world.done(old, [writer!], K, "untyped"));
    expect(await world.phase(K)).toBe("passing");
    await world.handle(world.done(old, [other], K, "untyped"));
    expect(await world.phase(K)).toBeUndefined();
  });
});

describe("I5: a barrier closes when everybody of the current roster is done", () => {
  // invariants.md S2: what was complete before says nothing of a life that came after.
  it("waits for a life that came while it was passing, and not for one that left", async () => {
    const key = syncpoint(100n);
    const all = { BlockTables: everybody };
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, all), world.waiting(n2, [d(22)], key, all));
    await world.handle(world.done(n1, [T], key, "write"));
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 2n, checkpoint: 50n }]));
    await world.handle(world.done(n1, [d(21)], key, "pass"), world.done(n2, [d(22)], key, "pass"));
    expect(await world.phase(key)).toBe("passing");
    world.told(n2);
    await world.handle(world.waiting(n2, [life(d(10), 2n)], key, all));
    expect(idsOf(world.told(n2), "pass", key)).toEqual([d(10)]);
    await world.handle(world.status(n2, d(10), 2n, ComponentState.Removed));
    expect(await world.phase(key)).toBeUndefined();
  });
});

describe("I7: a message is done with only when its actions are in their queues", () => {
  it("gives a message back whose action could not be sent, and sends it when it comes again", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    told();
    world.failingQueues.add(n2.queue);
    const last = world.waiting(n2, [d(22)], K, split);
    const result = await world.handle(last);
    expect(result.failed.map((one) => one.messageId)).toEqual([last.messageId]);
    expect(await world.phase(K)).toBe("writing");
    world.failingQueues.clear();
    expect((await world.handle(again(last))).failed).toEqual([]);
    expect(writes()).toEqual([d(22)]);
  });

  it("does not wait for a queue that is gone for good, and the barrier shows it", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    world.missingQueues.add(n2.queue);
    expect((await world.handle(world.waiting(n2, [d(22)], K, split))).failed).toEqual([]);
    expect([...[...world.store.barriers.values()][0]!.unreachable]).toEqual([n2.queue]);
  });
});

describe("I8: a dispatcher's barriers happen in order, DDL before syncpoint", () => {
  // protocol.md M9
  it("judges nothing while an earlier event still has to change the roster", async () => {
    const truncate = ddl(90n);
    const alter = ddl(95n);
    await world.handle(
      world.waiting(n1, [T, d(10)], truncate, {
        BlockTables: normal(0n, 10n),
        NeedDroppedTables: normal(10n),
        NeedAddedTables: [{ TableID: 11n, SchemaID: 1n }],
      }),
    );
    await world.handle(world.waiting(n1, [d(21)], alter, split), world.waiting(n2, [d(22)], alter, split));
    expect(await world.phase(truncate)).toBe("writing");
    expect(await world.phase(alter)).toBe("waiting");
    await world.handle(world.done(n1, [T], truncate, "write"));
    expect(await world.phase(alter)).toBe("writing");
  });

  it("lets a syncpoint wait for the tables that events before it bring", async () => {
    const drop = ddl(80n);
    const create = ddl(90n);
    const key = syncpoint(90n);
    const all = { BlockTables: everybody };
    await world.handle(
      world.waiting(n1, [d(10)], drop, { BlockTables: normal(10n), NeedDroppedTables: normal(10n) }),
      world.none(n1, T, create, { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] }),
    );
    await world.handle(world.waiting(n1, [T, d(21)], key, all), world.waiting(n2, [d(22)], key, all));
    expect(await world.phase(create)).toBe("written");
    expect(await world.phase(key)).toBe("waiting");
    told();
    await world.handle(world.done(n1, [d(10)], drop, "write"));
    // Both are applied: table 40 starts behind its DDL, and has to stop at the syncpoint of the same commitTs.
    expect(await world.phase(key)).toBe("waiting");
    expect(idsOf(told(), "write", key)).toEqual([]);
    await world.handle(world.registration(n2, [{ id: d(40), table: 40n, checkpoint: 90n }]));
    await world.handle(world.waiting(n2, [d(40)], key, all));
    expect(await world.phase(key)).toBe("writing");
  });

  // protocol.md M10, M11
  it("applies events in commitTs order, whichever was written first", async () => {
    const first = ddl(90n);
    const second = ddl(95n);
    const drop = (table: bigint) => ({ BlockTables: normal(table), NeedDroppedTables: normal(table) });
    await world.handle(world.waiting(n1, [d(10)], first, drop(10n)));
    await world.handle(world.none(n1, T, second, { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] }));
    expect(idsOf(told(), "ack", second)).toEqual([]);
    expect(await world.phase(second)).toBe("written");
    await world.handle(world.done(n1, [d(10)], first, "write"));
    expect(await world.phase(second)).toBeUndefined();
    expect(idsOf(told(), "ack", second)).toEqual([T]);
  });
});

describe("I9: a late report finds a tombstone", () => {
  it("opens no second life of a barrier, whatever comes late", async () => {
    const state = { BlockTables: normal(10n) };
    const report = world.waiting(n1, [d(10)], K, state);
    const done = world.done(n1, [d(10)], K, "write");
    await world.handle(report);
    await world.handle(done);
    expect(await world.phase(K)).toBeUndefined();
    const before = world.store.clone();
    await world.handleCold(again(done));
    await world.handleCold(again(report));
    expect(world.store.roots).toEqual(before.roots);
    expect(world.store.barriers).toEqual(before.barriers);
  });

  it("changes nothing when an invocation wakes behind the closing that was frozen before any of its operations", async () => {
    const state = { BlockTables: normal(10n) };
    const plain = await operationsOf(world.waiting(n1, [d(10)], K, state));
    for (let at = 0; ; at++) {
      world = await openWorld();
      const report = world.waiting(n1, [d(10)], K, state);
      const { hook, frozen, release } = freezeAt(at);
      const sleeper = world.handleHooked(hook, report);
      const isFrozen = await Promise.race([frozen, sleeper.then(() => false)]);
      await world.handleCold(again(report));
      await world.handleCold(world.done(n1, [d(10)], K, "write"));
      for (let sweeps = 0; sweeps < 3; sweeps++) {
        world.now += 60_000;
        await world.sweep();
      }
      if ((await world.phase(K)) === "writing") {
        await world.handleCold(again(world.done(n1, [d(10)], K, "write")));
      }
      expect(await world.phase(K), `frozen before operation ${at}`).toBeUndefined();
      const before = world.store.clone();
      told();
      release();
      await sleeper;
      expect([...world.store.roots], `frozen before operation ${at}`).toEqual([...before.roots]);
      // What was granted and only not sent yet is sent: its dispatcher has finished the event and says so again (D6).
      if (at !== plain.indexOf("send")) expect(writes(), `frozen before operation ${at}`).toEqual([]);
      if (!isFrozen) break;
    }
  });
});

describe("I10: a message that is not understood stops nobody else and is kept", () => {
  it.each([
    [
      "no JSON",
      (w: World) => w.message(n1, "BlockStatusRequest", "{"),
      /not a BlockStatusRequest in proto3 JSON/,
    ],
    [
      "an unknown type",
      (w: World) => ({
        ...w.message(n1, "BlockStatusRequest", "{}"),
        attributes: { type: "Nonsense", from: "n1" },
      }),
      /attribute type is "Nonsense"/,
    ],
    [
      "no sender",
      (w: World) => ({
        ...w.message(n1, "BlockStatusRequest", "{}"),
        attributes: { type: "BlockStatusRequest" },
      }),
      /attribute from is absent/,
    ],
    [
      "BlockTs 0",
      (w: World) => w.waiting(n1, [d(10)], ddl(0n), { BlockTables: normal(10n) }),
      /BlockTs is 0/,
    ],
    [
      "a drop of everything",
      (w: World) => w.waiting(n1, [d(10)], ddl(7n), { BlockTables: everybody, NeedDroppedTables: everybody }),
      /NeedDroppedTables is All/,
    ],
    [
      "a queue outside of the prefix",
      (w: World) => w.registration(n1, [{ id: d(77), table: 77n }], { queue: "somebody-elses" }),
      /starts with "weir-action-"/,
    ],
    [
      "a dispatcher of another node",
      (w: World) => w.waiting(n1, [d(22)], ddl(7n), { BlockTables: normal(20n) }),
      /hosted by another node/,
    ],
  ])("%s", async (_, make, reason) => {
    const good = world.waiting(n1, [d(10)], K, { BlockTables: normal(10n) });
    const result = await world.handle(make(world), good);
    expect(result.failed).toEqual([]);
    expect(writes()).toEqual([d(10)]);
    expect(world.deadLetters.map((letter) => letter.reason)).toEqual([expect.stringMatching(reason)]);
  });

  it("gives the message back if it cannot be kept", async () => {
    const bad = world.message(n1, "BlockStatusRequest", "{");
    const result = await world.handleHooked((when, method) => {
      if (when === "before" && method === "deadLetter") throw new Error("the dead-letter queue is not there");
    }, bad);
    expect(result.failed.map((one) => one.messageId)).toEqual([bad.messageId]);
  });
});

describe("R9b: who is lost for good", () => {
  it("is evicted, and what waited for it goes on", async () => {
    const key = syncpoint(100n);
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, { BlockTables: everybody }));
    const sweep = await world.sweep();
    expect(sweep.observer.seen.find((one) => one.what === "barrier-open")).toMatchObject({
      count: 1,
      detail: expect.stringMatching(/syncpoint 100 waiting since .* held up by …00000016 on n2 \(table 20\)/),
    });
    const [space] = await world.store.listSpaces();
    const { lives } = await run(evict(space!, { node: "n2" }, world.invocation()), world.port);
    expect(lives.map((life) => life.id)).toEqual([d(22)]);
    // Its part of the table is covered by nobody now: a dispatcher that takes it over is waited for.
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.registration(n1, [{ id: d(23), table: 20n, start: "m", checkpoint: 1n }]));
    await world.handle(world.waiting(n1, [d(23)], key, { BlockTables: everybody }));
    expect(await world.phase(key)).toBe("writing");
    // A late copy of its registration does not bring it back.
    const before = world.store.clone();
    await world.handle(world.registration(n2, [{ id: d(22), table: 20n, start: "m" }]));
    expect(world.store.roots).toEqual(before.roots);
  });
});
