/** An error belongs to the message that causes it (invariants.md I10, decisions/0032). */
import { describe, expect, it } from "vitest";
import { dispatcherKey } from "../barrier/dispatcher-id.ts";
import { keyText } from "../protocol/event-key.ts";
import { ComponentState } from "../protocol/messages.ts";
import { StrictStore } from "../storage/testing/strict-store.ts";
import { KEPT_BYTES } from "./intake/early-limits.ts";
import type { StatusMessage } from "./intake/input.ts";
import { again, d, ddl, everybody, idsOf, node, normal, oldNode, World } from "./testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const n3 = node("n3");
const T = d(1);
const K = ddl(100n);
const L = ddl(200n);
/** Ids as nodes draw them: 16 random bytes. */
const random = (number: number) =>
  dispatcherKey({ high: 2n ** 63n + BigInt(number) * 7_919n, low: 2n ** 62n + BigInt(number) });
const unknown = (count: number) => Array.from({ length: count }, (_, index) => random(index));

async function opened(): Promise<World> {
  const world = new World(new StrictStore());
  await world.handle(
    world.opening(
      n1,
      T,
      [10n, 20n, 30n].map((id) => ({ id, schema: 1n })),
    ),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
    ]),
    world.registration(n2, [{ id: d(20), table: 20n }]),
    world.registration(n3, [{ id: d(30), table: 30n }]),
  );
  world.queues.clear();
  return world;
}

/** A heartbeat of so many dispatchers that nobody knows. */
function heartbeat(world: World, count: number): StatusMessage {
  const message = world.status(n3, random(0), 1n, ComponentState.Working);
  const body = JSON.parse(message.body) as { statuses: Record<string, unknown>[] };
  const [one] = body.statuses;
  body.statuses = Array.from({ length: count }, (_, index) => ({
    ...one,
    ID: { high: String(2n ** 63n + BigInt(index)), low: String(2n ** 62n + BigInt(index)) },
    life: "1",
    checkpointTs: "449991234567890123",
  }));
  return { ...message, body: JSON.stringify(body) };
}

/** One status for each dispatcher. */
function statuses(world: World, ids: readonly string[], from = n3): StatusMessage {
  const message = world.waiting(from, [ids[0]!], L, { BlockTables: everybody });
  const body = JSON.parse(message.body) as { blockStatuses: Record<string, unknown>[] };
  const whole = world.waiting(from, ids, L, { BlockTables: everybody });
  const all = (JSON.parse(whole.body) as { blockStatuses: { dispatcherIDs: unknown[] }[] }).blockStatuses[0]!;
  const [one] = body.blockStatuses;
  body.blockStatuses = all.dispatcherIDs.map((id) => ({ ...one, dispatcherIDs: [id] }));
  return { ...message, body: JSON.stringify(body) };
}

const last = (world: World) => world.waiting(n1, [d(10)], K, { BlockTables: normal(10n) });
const ids = (failed: readonly { messageId: string }[]) => failed.map((one) => one.messageId);

describe("what a message is too large for", () => {
  it("an 880 KB heartbeat of dispatchers that nobody knows is kept in items that fit, and holds up nobody", async () => {
    const world = await opened();
    const large = heartbeat(world, 8_000);
    expect(large.body.length).toBeGreaterThan(880_000);
    const result = await world.handle(large, last(world));
    expect(result.failed).toEqual([]);
    expect(idsOf(world.told(n1), "write", K)).toEqual([d(10)]);
    expect(world.store.kept.size).toBeLessThan(12);
    // The same of the same dispatchers, further on, takes no second place.
    world.now += 1_000;
    const later = heartbeat(world, 8_000);
    await world.handle({ ...later, body: later.body.replaceAll("449991234567890123", "449991234567899999") });
    expect(world.store.kept.size).toBeLessThan(12);
  });

  it("an event that no item holds is refused with the reason, and its batch is served", async () => {
    const world = await opened();
    const tables = Array.from({ length: 60_000 }, (_, index) => 2n ** 60n + BigInt(index));
    const large = world.waiting(n3, [d(30)], L, { BlockTables: normal(...tables) });
    expect((await world.handle(large, last(world))).failed).toEqual([]);
    expect(world.deadLetters.map((one) => one.reason)).toEqual([
      expect.stringMatching(/lists too many tables/),
    ]);
    expect(idsOf(world.told(n1), "write", K)).toEqual([d(10)]);
  });
});

describe("an error in a batch", () => {
  it("is of the message that causes it: the others are handled, each by itself", async () => {
    const world = await opened();
    const culprit = world.waiting(n3, [random(1)], L, { BlockTables: everybody });
    const poisoned: Parameters<World["handleHooked"]>[0] = (when, method) => {
      if (when === "before" && method === "keep") throw new Error("no room");
    };
    const batch = [culprit, last(world), world.waiting(n2, [d(20)], ddl(90n), { BlockTables: normal(20n) })];
    for (const [round, messages] of [batch, batch.map(again)].entries()) {
      const { failed } = await world.handleHooked(poisoned, ...messages);
      expect(ids(failed)).toEqual([culprit.messageId]);
      expect(failed[0]!.reason).toBe("no room");
      if (round === 0) {
        expect(idsOf(world.told(n1), "write", K)).toEqual([d(10)]);
        expect(idsOf(world.told(n2), "write", ddl(90n))).toEqual([d(20)]);
      }
    }
  });

  it("is of all of them where what was begun together cannot be gone on with", async () => {
    const world = await opened();
    let reads = 0;
    const away: Parameters<World["handleHooked"]>[0] = (when, method) => {
      if (when === "before" && method === "readRoot" && ++reads > 0) throw new Error("no answer");
    };
    const batch = [last(world), world.waiting(n2, [d(20)], ddl(90n), { BlockTables: normal(20n) })];
    expect(ids((await world.handleHooked(away, ...batch)).failed)).toEqual(ids(batch));
    // Once for the batch, once for all that follows: not once for each message.
    expect(reads).toBe(2);
    expect((await world.handle(...batch.map(again))).failed).toEqual([]);
    expect(idsOf(world.told(n1), "write", K)).toEqual([d(10)]);
  });
});

describe("a queue that refuses", () => {
  it("holds up the report that caused its action for a few deliveries, and no other", async () => {
    const world = await opened();
    world.failingQueues.add(n2.queue);
    const both = { BlockTables: normal(20n, 30n) };
    await world.handle(world.waiting(n2, [d(20)], L, both));
    await world.handle(world.waiting(n3, [d(30)], L, both));
    expect(idsOf(world.told(n3), "write", L)).toEqual([d(30)]);
    // Its DONE causes a Pass for n2, whose queue refuses; K is n1's own.
    let cause = world.done(n3, [d(30)], L, "write");
    const healthy = last(world);
    const { failed } = await world.handle(healthy, cause);
    expect(ids(failed)).toEqual([cause.messageId]);
    const [root] = world.store.roots.values();
    expect(root!.steps.get(keyText(L))!.phase).toBe("passing");
    const writes = () => idsOf(world.told(n1), "write", K).length;
    expect(writes()).toBe(1);
    let deliveries = 1;
    for (; deliveries < 20; deliveries++) {
      world.now += 120_000;
      cause = again(cause);
      if ((await world.handle(cause)).failed.length === 0) break;
    }
    expect(deliveries).toBe(2);
    expect(world.deadLetters).toEqual([]);
    // Hours later it takes again: the sweep tells what is owed.
    world.now += 4 * 3_600_000;
    world.failingQueues.clear();
    expect((await world.sweep()).failed).toEqual([]);
    expect(idsOf(world.told(n2), "pass", L)).toEqual([d(20)]);
  });

  it("makes no message fail that is about neither it nor its barrier, also when others come again", async () => {
    const world = await opened();
    world.failingQueues.add(n2.queue);
    const cause = world.waiting(n2, [d(20)], L, { BlockTables: normal(20n) });
    expect(ids((await world.handle(cause)).failed)).toEqual([cause.messageId]);
    const healthy = [last(world), world.status(n3, d(30), 1n, ComponentState.Working)];
    expect(ids((await world.handle(...healthy, again(cause))).failed)).toEqual([cause.messageId]);
  });

  it("lets actions to other queues go out although a wave cannot be handed over", async () => {
    const world = await opened();
    world.settings = { ...world.settings, sendsAtOnce: 1 };
    const refusing: Parameters<World["handleHooked"]>[0] = (when, method) => {
      if (when === "before" && method === "handOver") throw new Error("not now");
    };
    const both = { BlockTables: normal(20n, 30n) };
    await world.handle(world.waiting(n2, [d(20)], L, both));
    const waits = world.waiting(n3, [d(30)], L, both);
    const { failed } = await world.handleHookedWarm(refusing, waits, last(world));
    expect(idsOf(world.told(n3), "write", L)).toEqual([d(30)]);
    expect(idsOf(world.told(n1), "write", K)).toEqual([d(10)]);
    expect(ids(failed)).toContain(waits.messageId);
  });
});

describe("what is kept for dispatchers that have not registered", () => {
  it("takes few items for a message of 1,500 statuses, and all of them count when they register", async () => {
    const world = await opened();
    const early = unknown(1_500);
    await world.handle(statuses(world, early));
    expect(world.store.kept.size).toBeLessThan(5);
    await world.handle(
      world.registration(n3, [
        { id: d(30), table: 30n },
        ...early.map((id) => ({ id, table: 30n, start: id, end: `${id}~` })),
      ]),
    );
    expect(world.store.kept.size).toBe(0);
    const [root] = world.store.roots.values();
    expect(root!.steps.get(keyText(L))!.phase).toBe("waiting");
    expect(idsOf(world.told(n3), "ack", L)).toHaveLength(1_500);
  });

  it("does not decode the message again for each of its statuses", async () => {
    const world = await opened();
    const early = unknown(2_000);
    const message = statuses(world, early);
    let reads = 0;
    const counted = { ...message };
    Object.defineProperty(counted, "body", {
      enumerable: true,
      get() {
        reads++;
        return message.body;
      },
    });
    await world.handle(counted);
    expect(reads).toBeLessThan(5);
  });

  it("takes no second place for a report that comes again among others", async () => {
    const world = await opened();
    const early = unknown(40);
    for (const from of [0, 5, 10]) {
      world.now += 5_000;
      await world.handle(world.waiting(n3, early.slice(from, from + 30), L, { BlockTables: everybody }));
    }
    const names = [...world.store.kept.values()].length;
    expect(names).toBe(3);
    world.now += 5_000;
    await world.handle(world.waiting(n3, early.slice(3, 33), L, { BlockTables: everybody }));
    expect(world.store.kept.size).toBe(names);
  });

  it("keeps what is still unknown when others of its item register, once", async () => {
    const world = await opened();
    const [first, second, third] = unknown(3);
    const all = { BlockTables: normal(20n) };
    await world.handle(world.waiting(n3, [first!, second!, third!], L, all));
    for (const [index, id] of [first!, second!].entries()) {
      const half = { start: index === 0 ? "" : "g", end: index === 0 ? "g" : "m" };
      await world.handle(
        world.registration(n3, [
          { id, table: 20n, ...half },
          { id: d(30), table: 30n },
        ]),
      );
      expect(world.store.kept.size).toBe(1);
    }
    await world.handle(
      world.registration(n3, [
        { id: third!, table: 20n, start: "m" },
        { id: d(30), table: 30n },
      ]),
    );
    expect(world.store.kept.size).toBe(0);
  });

  it.each([n3, oldNode("n4")])(
    "has an end: beyond it a report is not kept, fails nobody, and is made again",
    async (from) => {
      const world = await opened();
      const bytes = () =>
        [...world.store.kept.values()].reduce((sum, { body }) => sum + (body.length * 3) / 4, 0);
      const [space] = await world.store.listSpaces();
      const filler = { type: "HeartBeatRequest" as const, node: "n0", start: 0n, principal: "", sentAt: 1 };
      for (let bytes = 500_000; bytes < KEPT_BYTES; bytes += 75_000)
        await world.store.keep(space!, { ...filler, id: `filler${bytes}`, body: "A".repeat(96_000) });
      const refused: boolean[] = [];
      for (const round of [0, 1, 2]) {
        const ids = Array.from({ length: 9_000 }, (_, index) => random(round * 10_000 + index));
        const { failed, observer } = await world.handle(
          world.waiting(from, ids, L, { BlockTables: everybody }),
          world.waiting(n1, [d(10)], ddl(1_000n + BigInt(round)), { BlockTables: normal(10n) }),
        );
        expect(failed).toEqual([]);
        refused.push(observer.seen.some((one) => one.what === "report-not-kept"));
      }
      expect(refused).toEqual([false, false, true]);
      expect(bytes()).toBeLessThan(KEPT_BYTES);
      expect(bytes()).toBeGreaterThan(KEPT_BYTES / 2);
      // Who registers is found although there is no room for more, and makes room.
      await world.handle(
        world.registration(n3, [
          { id: random(0), table: 20n, start: "m" },
          { id: d(30), table: 30n },
        ]),
      );
      expect(idsOf(world.told(n3), "ack", L)).toEqual(from === n3 ? [random(0)] : []);
    },
  );
});
