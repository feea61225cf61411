/**
 * What a barrier costs: exact counts, and that they stay below what was promised (docs/performance.md).
 * `counts.long.test.ts` has those of the largest barriers.
 */
import { describe, expect, it } from "vitest";
import { newMemory } from "../../src/maintainer/batch.ts";
import { Fleet } from "../../src/metered/fleet.ts";
import { MeteredWorld, ONE_BY_ONE } from "../../src/metered/metered-world.ts";
import { total } from "../../src/metered/standin/meter.ts";
import { countBarrier, MIXED, roundTrips, SPREAD, shape, sourceFor, TENS } from "./counts.ts";
import { countErrors, countMove, countStart } from "./registration.ts";
import { simpleBarrier } from "./simple.ts";
import { countTallies } from "./testing/tallies.ts";

describe("a barrier, folded by node", () => {
  it.each([
    [1_000, 27, 32],
    [10_000, 27, 37],
  ])(
    "over %i dispatchers on 10 nodes takes %i DynamoDB requests and %i units",
    async (dispatchers, requests, units) => {
      for (const influence of ["All", "DB", "Normal"] as const) {
        const row = await countBarrier(shape(dispatchers, { influence }), ONE_BY_ONE);
        expect([influence, row.requests]).toEqual([influence, requests]);
        expect(row.units).toBeLessThanOrEqual(units);
        expect(row.usage.failedConditions).toBe(0);
        expect(row.usd).toBeLessThan(0.0002);
        expect(row.actions).toBe(dispatchers + (influence === "Normal" ? 1 : 2));
      }
    },
  );

  it("over 20,000 dispatchers on 20 nodes takes 47 DynamoDB requests, less for each than over 1,000", async () => {
    const row = await countBarrier(shape(20_000, { nodes: 20 }), ONE_BY_ONE);
    expect(row.requests).toBe(47);
    expect(row.requests / 20_000).toBeLessThan(27 / 1_000);
  });

  it("takes 10 requests when its messages come ten at a time, and 54 when each races with nine others", async () => {
    expect((await countBarrier(shape(10_000), TENS)).requests).toBe(10);
    const spread = await countBarrier(shape(10_000), SPREAD);
    expect([spread.requests, spread.usage.failedConditions]).toEqual([54, 0]);
  });
});

describe("a barrier with one message of each dispatcher", () => {
  it("takes a fraction of a request for each message, and one send for each action", async () => {
    const of = shape(2_000, { reports: "single", queues: "dispatcher" });
    const row = await countBarrier(of, sourceFor(2_000));
    expect(row.requests / row.statusMessages).toBeLessThan(0.25);
    expect(row.actions).toBe(2_002);
    expect(row.actionMessages).toBe(2_002);
  });

  it.each([
    [TENS, 419],
    [MIXED, 1_519],
  ])(
    "ten in an invocation, writes the tallies that the calculation of shared ones begins with: %o",
    async (source, writes) => {
      const { run, row } = await countTallies(2_000, source);
      expect(run).toEqual({ writes, units: writes });
      expect(Math.abs(row.writes / writes - 1)).toBeLessThan(0.01);
      expect(Math.abs(row.units / writes - 1)).toBeLessThan(0.01);
    },
  );
});

describe("the sweep", () => {
  it("raises the floor in few requests more, once for all that was closed, and then costs what it did", async () => {
    const simulation = await MeteredWorld.running(shape(1_000, { influence: "All" }), ONE_BY_ONE);
    for (const { space } of simulation.fleets) await simulation.port.store.registerSpace(space, "t");
    const memory = newMemory();
    await simulation.sweep(memory);
    const idle = await simulation.sweep(memory);
    await simulation.barrier();
    await simulation.barrier();
    const raising = await simulation.sweep(memory);
    const after = await simulation.sweep(memory);
    expect(after).toEqual(idle);
    // Closed barriers, positions and what expires are read; the root, and the tombstone below the former floor, are written.
    expect(total(raising.dynamodb) - total(idle.dynamodb)).toBe(5);
    expect(raising.writeUnits).toBe(2);
  });
});

describe("the critical path", () => {
  it("is three round trips from the last WAITING to Write and two from the last DONE to closed", async () => {
    expect(await roundTrips(shape(1_000), ONE_BY_ONE)).toEqual({ write: 3, close: 2 });
    expect(await roundTrips(shape(1_000, { reports: "single" }), { batch: 10, environments: 1 })).toEqual({
      write: 3,
      close: 2,
    });
  });

  it("is as long to Write where the last report meets an environment that does not know the barrier", async () => {
    expect(await roundTrips(shape(1_000), SPREAD)).toEqual({ write: 3, close: 3 });
    // Where chunks do not come complete in one message, the mark follows the tally's answer.
    expect(await roundTrips(shape(1_000, { reports: "single" }), TENS)).toEqual({ write: 4, close: 3 });
  });
});

describe("fifty invocations at a time on one barrier", () => {
  it.each([1, 10])("never fail on each other, with %i messages each", async (batch) => {
    for (const reports of ["folded", "single"] as const) {
      const of = shape(1_000, { nodes: 50, reports });
      const row = await countBarrier(of, { batch, environments: 50, order: "mixed" });
      expect([row.usage.failedConditions, row.retries]).toEqual([0, 0]);
    }
  });
});

describe("the start of a changefeed", () => {
  it("takes at most six requests for each message, however many dispatchers there are", async () => {
    const small = await countStart(shape(1_000), ONE_BY_ONE);
    const large = await countStart(shape(10_000), ONE_BY_ONE);
    expect([small.messages, small.requests]).toEqual([11, 65]);
    expect([large.messages, large.requests]).toEqual([23, 133]);
  });

  it("gives no message back, though ten environments race for the roster", async () => {
    const { retries, cameAgain } = await countStart(shape(10_000), SPREAD);
    expect(cameAgain).toBe(0);
    expect(retries).toBeGreaterThan(0);
  });

  it("and a move of one dispatcher takes seven", async () => {
    for (const dispatchers of [100, 1_000, 10_000])
      expect((await countMove(shape(dispatchers))).requests).toBe(7);
  });

  it("and what a node says is wrong takes six, and none within a minute after", async () => {
    for (const dispatchers of [100, 10_000]) {
      const usages = await countErrors(shape(dispatchers));
      expect(usages.map(({ dynamodb }) => total(dynamodb))).toEqual([6, 0]);
    }
  });

  it("leaves the roster that the counts of barriers begin with", async () => {
    const chunksOf = async (simulation: MeteredWorld) => {
      const [fleet] = simulation.fleets as [Fleet];
      const root = await simulation.port.readRoot(fleet.space);
      const chunks = await simulation.port.readChunks(fleet.space, root!.pointers);
      return chunks.flatMap((chunk) => (chunk?.kind === "dispatchers" ? [chunk.lives.length] : [])).sort();
    };
    const settled = new MeteredWorld(shape(5_000), ONE_BY_ONE);
    await settled.fleets[0]!.settle(settled.port.store);
    let registered: MeteredWorld | undefined;
    await countStart(shape(5_000), ONE_BY_ONE, undefined, (simulation) => {
      registered = simulation;
    });
    expect(await chunksOf(registered!)).toEqual(await chunksOf(settled));
  });
});

describe("changefeeds at the same time", () => {
  it("share nothing: each costs what it costs alone and closes as soon", async () => {
    const of = shape(100);
    const alone = await (await MeteredWorld.running(of, TENS)).barrier();
    const four = await (
      await MeteredWorld.running(of, { batch: 10, environments: 40 }, undefined, 4)
    ).barrier();
    expect(total(four.usage.dynamodb)).toBe(4 * total(alone.usage.dynamodb));
    expect([four.usage.failedConditions, four.totalMs]).toEqual([0, alone.totalMs]);
  });
});

describe("the simple design", () => {
  it("takes two requests for each dispatcher and units with the square of them", async () => {
    const [small, large] = [
      await simpleBarrier(new Fleet(shape(100))),
      await simpleBarrier(new Fleet(shape(1_000))),
    ];
    expect([small.requests, small.units]).toEqual([205, 565]);
    expect([large.requests, large.units]).toEqual([2_005, 44_248]);
  });
});
