import { beforeEach, describe, expect, it } from "vitest";
import { d, ddl, node, normal, World } from "../testing/world.ts";
import { logFields } from "./log-fields.ts";
import { METRICS, measure, measureSweep } from "./metrics.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const K = ddl(100n);
const state = { BlockTables: normal(10n, 20n) };
const BOTH = [d(10), d(20)];

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
      { id: 30n, schema: 1n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
    ]),
    world.registration(n2, [
      { id: d(20), table: 20n },
      { id: d(30), table: 30n },
    ]),
  );
});

const measured = async (...messages: Parameters<World["handle"]>) =>
  measure((await world.handle(...messages)).observer.seen);
const swept = async () => {
  const { observer, failed } = await world.sweep();
  return { seen: observer.seen, measured: measureSweep(observer.seen, failed.length, 0) };
};
const waiting = (index: 0 | 1) => world.waiting(index === 0 ? n1 : n2, [BOTH[index]!], K, state);
const done = (index: 0 | 1, kind: "write" | "pass") =>
  world.done(index === 0 ? n1 : n2, [BOTH[index]!], K, kind);

describe("what an invocation measures", () => {
  it("is how long each part of a barrier took, each from the step before", async () => {
    expect(await measured(waiting(0))).toEqual([{ name: "BarriersOpened", value: 1 }]);
    world.now += 100;
    expect(await measured(waiting(1))).toEqual([{ name: "TimeToSelect", value: 100 }]);
    world.now += 20;
    expect(await measured(done(1, "write"))).toEqual([{ name: "WriteDuration", value: 20 }]);
    world.now += 3;
    expect(await measured(done(0, "pass"))).toEqual([
      { name: "BarriersClosed", value: 1 },
      { name: "BarrierDuration", value: 123 },
      { name: "PassDuration", value: 3 },
    ]);
  });

  it("counts lives that report again, WAITING and DONE, and no first report", async () => {
    await world.handle(waiting(0));
    expect(await measured(waiting(0))).toContainEqual({ name: "DuplicateReports", value: 1 });
    await world.handle(waiting(1));
    expect(await measured(waiting(0), waiting(1))).toContainEqual({ name: "DuplicateReports", value: 2 });
    await world.handle(done(1, "write"));
    const wide = ddl(200n);
    const three = { BlockTables: normal(10n, 20n, 30n) };
    await world.handle(
      world.waiting(n2, [d(20), d(30)], wide, three),
      world.waiting(n1, [d(10)], wide, three),
    );
    await world.handle(world.done(n1, [d(10)], wide, "write"));
    expect(await measured(world.done(n2, [d(20)], wide, "pass"))).toEqual([]);
    expect(await measured(world.done(n2, [d(20)], wide, "pass"))).toEqual([
      { name: "DuplicateReports", value: 1 },
    ]);
  });

  it("counts lives that report what is over, and messages that are refused", async () => {
    await world.handle(waiting(0), waiting(1));
    await world.handle(done(1, "write"));
    await world.handle(done(0, "pass"));
    expect(await measured(done(0, "pass"), waiting(0))).toContainEqual({ name: "StaleReports", value: 2 });
    expect(await measured(world.message(n1, "BlockStatusRequest", "{"))).toEqual([
      { name: "RejectedMessages", value: 1 },
    ]);
  });

  it("names only metrics that exist", async () => {
    const seen = (await world.handle(waiting(0))).observer.seen;
    for (const { name } of [...measure(seen), ...measureSweep(seen, 0, 0)])
      expect(METRICS).toHaveProperty(name);
  });
});

describe("what a sweep measures", () => {
  it("is nothing but zeros while nothing is open", async () => {
    expect((await swept()).measured).toEqual([
      { name: "OpenBarriers", value: 0 },
      { name: "MissingDispatchers", value: 0 },
      { name: "BarrierAge", value: 0 },
      { name: "IdleBarrierAge", value: 0 },
      { name: "ChangefeedsNotSwept", value: 0 },
      { name: "ChangefeedsNotReached", value: 0 },
    ]);
  });

  it("is the oldest barrier, by phase and of those that nobody writes, and who is missing", async () => {
    await world.handle(waiting(0), waiting(1));
    world.now += 60_000;
    const later = ddl(300n);
    await world.handle(world.waiting(n2, [d(30)], later, { BlockTables: normal(10n, 20n, 30n) }));
    world.now += 1_000;
    const { seen, measured } = await swept();
    expect(measured).toEqual([
      { name: "OpenBarriers", value: 2 },
      // The writer of the one, two who have not come to the other.
      { name: "MissingDispatchers", value: 3 },
      { name: "BarrierAge", value: 61_000 },
      { name: "IdleBarrierAge", value: 1_000 },
      { name: "ChangefeedsNotSwept", value: 0 },
      { name: "ChangefeedsNotReached", value: 0 },
      { name: "BarrierAge", value: 61_000, phase: "writing" },
      { name: "BarrierAge", value: 1_000, phase: "waiting" },
    ]);
    const lines = seen.filter((one) => one.what === "barrier-open").map(logFields);
    expect(lines).toMatchObject([
      { changefeed: expect.stringContaining("orders"), barrier: "00000000000000000100-0", phase: "writing" },
      {
        barrier: "00000000000000000300-0",
        phase: "waiting",
        node: "n1, n2",
        count: 2,
        ms: 1_000,
        detail: expect.stringMatching(/waiting since 1\.0 s: held up by .*0000000a on n1 \(table 10\)/),
      },
    ]);
  });

  it("says how many changefeeds it could not look at", async () => {
    await world.handle(waiting(0));
    world.store.readBarrier = async () => {
      throw new Error("throttled");
    };
    expect((await swept()).measured).toContainEqual({ name: "ChangefeedsNotSwept", value: 1 });
  });
});
