/** What the bundled functions write to their logs: EMF that CloudWatch takes for metrics, and lines that can be queried. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateQueueCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type LocalDeployment, startLocal } from "../src/local/deployment.ts";
import { METRICS } from "../src/maintainer/base/metrics.ts";
import type { StatusMessage } from "../src/maintainer/intake/input.ts";
import { d, ddl, normal, type TestNode, World } from "../src/maintainer/testing/world.ts";

interface Emf {
  readonly _aws: {
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string;
      readonly Dimensions: readonly (readonly string[])[];
      readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[];
    }[];
  };
  readonly [name: string]: unknown;
}

const folder = mkdtempSync(join(tmpdir(), "weir-functions-"));
const logFile = join(folder, "log");
let local: LocalDeployment;
let queues: SQSClient;
beforeAll(async () => {
  local = await startLocal({ prefix: "orders", logFile, sweepIntervalMs: 3_600_000 });
  const { endpoint, region, credentials } = local;
  queues = new SQSClient({ endpoint: endpoint.sqs, region, credentials: { ...credentials } });
  const world = new World();
  const one: TestNode = { id: "n1", queue: "orders-action-n1", start: 1 };
  await queues.send(new CreateQueueCommand({ QueueName: one.queue }));
  await send(
    world.opening(
      one,
      d(1),
      [10n, 20n].map((id) => ({ id, schema: 1n })),
    ),
  );
  await send(
    world.registration(one, [
      { id: d(1), table: 0n },
      { id: d(10), table: 10n },
      { id: d(20), table: 20n },
    ]),
  );
  // Registered, or the report would be kept until it is.
  await vi.waitFor(() => expect(handled()).toBe(2), 20_000);
  await send(world.waiting(one, [d(10)], ddl(100n), { BlockTables: normal(10n, 20n) }));
  await send(world.message(one, "BlockStatusRequest", "{"));
  await vi.waitFor(() => {
    expect(lines("barrier-opened")).toHaveLength(1);
    expect(lines("message-rejected")).toHaveLength(1);
  }, 20_000);
  await local.sweep();
  await vi.waitFor(() => expect(metrics("OpenBarriers")).toHaveLength(1), 20_000);
}, 60_000);
afterAll(async () => {
  queues.destroy();
  await local.stop();
  rmSync(folder, { recursive: true });
});

const send = (message: StatusMessage) =>
  queues.send(
    new SendMessageCommand({
      QueueUrl: local.statusQueueUrl,
      MessageBody: message.body,
      MessageAttributes: Object.fromEntries(
        Object.entries(message.attributes).map(([name, StringValue]) => [
          name,
          { DataType: "String", StringValue },
        ]),
      ),
    }),
  );

function logged(): Record<string, unknown>[] {
  return readFileSync(logFile, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}
const lines = (message: string) => logged().filter((line) => line["message"] === message);
const metrics = (name: string) =>
  logged().filter(
    (line): line is Record<string, unknown> & Emf =>
      "_aws" in line &&
      (line as Emf)._aws.CloudWatchMetrics.some(({ Metrics }) =>
        Metrics.some((metric) => metric.Name === name),
      ),
  );

/** Messages that the maintainer has dealt with so far. */
const handled = () =>
  metrics("Messages")
    .flatMap((line) => line["Messages"] as number | number[])
    .reduce((sum, count) => sum + count, 0);

describe("metrics of the bundled functions", () => {
  it("are EMF with the deployment's prefix as their only dimension", () => {
    const [line] = metrics("RejectedMessages");
    expect(line!._aws.CloudWatchMetrics).toMatchObject([{ Namespace: "Weir", Dimensions: [["service"]] }]);
    expect(line).toMatchObject({ service: "orders", RejectedMessages: 1 });
    expect(metrics("BarriersOpened")).toMatchObject([{ service: "orders", BarriersOpened: 1 }]);
    expect(metrics("Messages").length).toBeGreaterThanOrEqual(1);
  });

  it("have the phase as a dimension in a line of their own, so that no other metric gets it", () => {
    const [all, byPhase, ...others] = metrics("BarrierAge").sort(
      (a, b) => Number("phase" in a) - Number("phase" in b),
    );
    expect(others).toEqual([]);
    expect(all!._aws.CloudWatchMetrics[0]).toMatchObject({
      Dimensions: [["service"]],
      Metrics: [
        "OpenBarriers",
        "MissingDispatchers",
        "BarrierAge",
        "IdleBarrierAge",
        "ChangefeedsNotSwept",
        "ChangefeedsNotReached",
      ].map((Name) => ({ Name, Unit: METRICS[Name as keyof typeof METRICS] })),
    });
    expect(all).toMatchObject({ OpenBarriers: 1, MissingDispatchers: 1, ChangefeedsNotSwept: 0 });
    expect(byPhase!._aws.CloudWatchMetrics[0]!.Dimensions.map((set) => [...set].sort())).toEqual([
      ["phase", "service"],
    ]);
    expect(byPhase!._aws.CloudWatchMetrics[0]!.Metrics).toEqual([
      { Name: "BarrierAge", Unit: "Milliseconds" },
    ]);
    expect(byPhase).toMatchObject({ service: "orders", phase: "waiting", BarrierAge: all!["BarrierAge"] });
  });
});

describe("log lines of the bundled functions", () => {
  it("carry changefeed, barrier and node, and who is missing", () => {
    const [line] = lines("barrier-open");
    expect(line).toMatchObject({
      service: "orders",
      level: "INFO",
      changefeed: expect.stringContaining("orders"),
      barrier: "00000000000000000100-0",
      phase: "waiting",
      node: "n1",
      count: 1,
      detail: expect.stringMatching(/held up by …00000014 on n1 \(table 20\)/),
    });
    expect(lines("message-rejected")).toMatchObject([
      { node: "n1", detail: expect.stringMatching(/not a BlockStatusRequest in proto3 JSON/) },
    ]);
  });

  it("hold nothing that is neither JSON nor expected", () => {
    const odd = readFileSync(logFile, "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("{"));
    expect(odd).toEqual([]);
  });
});
