/** What the largest barriers cost; `counts.test.ts` has the smaller ones. */
import { expect, it } from "vitest";
import { ONE_BY_ONE } from "../../src/metered/metered-world.ts";
import { countBarrier, MIXED, shape, sourceFor, TENS } from "./counts.ts";
import { countTallies } from "./testing/tallies.ts";

it("over 100,000 dispatchers on 100 nodes takes 207 DynamoDB requests, less for each than over 1,000", async () => {
  const row = await countBarrier(shape(100_000), ONE_BY_ONE);
  expect(row.requests).toBe(207);
  expect(row.units).toBeLessThanOrEqual(1_200);
  expect(row.requests / 100_000).toBeLessThan(27 / 1_000);
});

it("with one message of each of 10,000 takes a fraction of a request for each, and one send for each action", async () => {
  const of = shape(10_000, { reports: "single", queues: "dispatcher" });
  const row = await countBarrier(of, sourceFor(10_000));
  expect(row.requests / row.statusMessages).toBeLessThan(0.25);
  expect(row.actions).toBe(10_002);
  expect(row.actionMessages).toBe(10_002);
});

it.each([
  [TENS, 818, 958],
  [MIXED, 3_018, 3_525],
])(
  "ten of 4,000 in an invocation, writes the tallies that the calculation of shared ones begins with: %o",
  async (source, writes, units) => {
    const { run, row } = await countTallies(4_000, source);
    expect(run).toEqual({ writes, units });
    expect(Math.abs(row.writes / writes - 1)).toBeLessThan(0.01);
    expect(Math.abs(row.units / units - 1)).toBeLessThan(0.01);
  },
);
