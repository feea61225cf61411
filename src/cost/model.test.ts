import { describe, expect, it } from "vitest";
import { costOfDeployment } from "./deployment.ts";
import { costOf, monthly, sum, type Used } from "./model.ts";

const nothing: Used = {
  writeUnits: 0,
  readUnits: 0,
  sqsBilled: 0,
  invocations: 0,
  invocationMs: 0,
  logLines: 0,
};

describe("costs", () => {
  it("are list prices times what was used", () => {
    const million = 1_000_000;
    expect(costOf({ ...nothing, writeUnits: million }).dynamodb).toBeCloseTo(0.625, 9);
    expect(costOf({ ...nothing, readUnits: million }).dynamodb).toBeCloseTo(0.125, 9);
    expect(costOf({ ...nothing, sqsBilled: million }).sqs).toBeCloseTo(0.4, 9);
    // A million invocations of 100 ms with half a gigabyte: 0.20 and 50,000 GB-seconds.
    const lambda = { ...nothing, invocations: million, invocationMs: 100 * million };
    expect(costOf(lambda).lambda).toBeCloseTo(0.2 + 50_000 * 0.0000133334, 6);
    expect(sum(costOf(nothing))).toBe(0);
  });

  it("of a month have the idle part apart: five polls of the status queue, one of each action queue, a sweep a minute", () => {
    const sweep = { ...nothing, invocations: 1 };
    const idle = { sweep, storedBytes: 1024 ** 3, polledQueues: 3 };
    const month = monthly(idle, { ...nothing, writeUnits: 1_000 }, 0);
    const poll = 730 * 180 * 0.4e-6;
    expect(month.idle.statusQueue).toBeCloseTo(5 * poll, 9);
    expect(month.idle.actionQueues).toBeCloseTo(3 * poll, 9);
    expect(month.idle.sweeper).toBeCloseTo(730 * 60 * sum(costOf(sweep)), 9);
    expect(month.idle.storage).toBeCloseTo(0.45, 9);
    expect([month.barriers.dynamodb, month.metrics]).toEqual([0, 0]);
    expect(monthly(idle, { ...nothing, writeUnits: 1_000 }, 10).barriers.dynamodb).toBeCloseTo(
      7_300 * 0.000625,
      9,
    );
  });

  it("of a deployment are those of a barrier and a sweep as they are counted", async () => {
    const deployment = { dispatchers: 1_000, nodes: 10, barriersPerHour: 60, queues: "node" } as const;
    const { barrier, idle, month } = await costOfDeployment(deployment);
    expect(barrier.requests).toEqual({ UpdateItem: 26, GetItem: 1 });
    // A sweep of a quiet changefeed asks who there is, for the root, and for what is kept.
    expect(idle.sweep.readUnits).toBe(3);
    expect(idle.polledQueues).toBe(10);
    const barriers = month.barriers;
    expect(barriers.sqs).toBeCloseTo(barrier.sqsBilled * 0.4e-6 * 60 * 730, 9);
    const parts =
      Object.values(month.idle).reduce((all, one) => all + one, 0) + sum(barriers) + month.metrics;
    expect(month.total).toBeCloseTo(parts, 9);
  });
});
