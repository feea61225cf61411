import { App } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { beforeAll, describe, expect, it } from "vitest";
import { WeirStack } from "../cdk/stack.ts";
import { KEEP_SECONDS } from "../src/storage/dynamodb/store.ts";

let template: Template;
beforeAll(() => {
  template = Template.fromStack(new WeirStack(new App(), "Test", { prefix: "test" }));
});

/** The statements of the role of one function. */
function statementsOf(name: string): Record<string, unknown>[] {
  const policies = template.findResources("AWS::IAM::Policy");
  const id = Object.keys(policies).find((one) => one.includes(`${name}ServiceRole`))!;
  return policies[id]!["Properties"].PolicyDocument.Statement;
}

describe("the stack", () => {
  it("has a table on demand that can be restored and forgets what is old", () => {
    template.hasResourceProperties("AWS::DynamoDB::Table", {
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      TimeToLiveSpecification: { AttributeName: "ttl", Enabled: true },
    });
    template.hasResource("AWS::DynamoDB::Table", { DeletionPolicy: "Retain" });
  });

  it("has a status queue whose reports come back late enough, and a dead-letter queue", () => {
    const timeout = Math.max(
      ...Object.values(template.findResources("AWS::Lambda::Function")).map(
        (one) => one["Properties"].Timeout,
      ),
    );
    const queues = Object.values(template.findResources("AWS::SQS::Queue")).map((one) => one["Properties"]);
    const status = queues.find((queue) => queue.RedrivePolicy)!;
    expect(status.VisibilityTimeout).toBeGreaterThanOrEqual(6 * timeout);
    expect(status.RedrivePolicy.maxReceiveCount).toBe(20);
    // A copy of a report that comes after its tombstone is gone would open the barrier again.
    for (const queue of queues) expect(queue.MessageRetentionPeriod).toBeLessThan(KEEP_SECONDS);
  });

  it("gives the maintainer batches of ten at once, one by one to fail, and bounds its number", () => {
    template.hasResourceProperties("AWS::Lambda::EventSourceMapping", {
      BatchSize: 10,
      MaximumBatchingWindowInSeconds: Match.absent(),
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      ScalingConfig: { MaximumConcurrency: 10 },
    });
  });

  it("runs both functions on Node 24 and arm64, traced, and never stops them as a loop", () => {
    const functions = Object.values(template.findResources("AWS::Lambda::Function"));
    expect(functions).toHaveLength(2);
    for (const { Properties } of functions) {
      expect(Properties.Runtime).toBe("nodejs24.x");
      expect(Properties.Architectures).toEqual(["arm64"]);
      expect(Properties.TracingConfig).toEqual({ Mode: "Active" });
      expect(Properties.RecursiveLoop).toBe("Allow");
      expect(Object.keys(Properties.Environment.Variables)).toEqual(
        expect.arrayContaining(["WEIR_TABLE", "WEIR_DEAD_LETTER_QUEUE_URL", "WEIR_ACTION_QUEUE_PREFIX"]),
      );
    }
  });

  it("sweeps once a minute", () => {
    template.hasResourceProperties("AWS::Events::Rule", { ScheduleExpression: "rate(1 minute)" });
  });

  it.each(["Maintainer", "Sweeper"])("lets the %s do what it does and nothing else", (name) => {
    const statements = statementsOf(name);
    const actions = statements.flatMap((one) => one["Action"] as string | string[]).sort();
    const own = [
      "dynamodb:BatchGetItem",
      "dynamodb:BatchWriteItem",
      "dynamodb:DeleteItem",
      "dynamodb:GetItem",
    ];
    const both = [...own, "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];
    const sends = ["sqs:GetQueueUrl", "sqs:SendMessage", "sqs:SendMessage"];
    const traces = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"];
    const consumes = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ];
    expect(actions).toEqual(
      [...both, ...sends, ...traces, ...(name === "Maintainer" ? consumes : [])].sort(),
    );
    const sending = statements.filter((one) => [one["Action"]].flat().includes("sqs:SendMessage"));
    const resources = JSON.stringify(sending.map((one) => one["Resource"]));
    expect(resources).toContain(":test-action-*");
    expect(resources).toContain("DeadLetterQueue");
    expect(sending).toHaveLength(2);
    for (const one of statements.filter((other) =>
      [other["Action"]].flat().some((action) => String(action).startsWith("dynamodb:")),
    ))
      expect(JSON.stringify(one["Resource"])).toMatch(/Table.*Arn/);
  });

  it("says where things are", () => {
    const outputs = Object.keys(template.findOutputs("*"));
    for (const name of ["TableName", "StatusQueueUrl", "DeadLetterQueueUrl", "ActionQueuePrefix"])
      expect(outputs.some((one) => one.includes(name))).toBe(true);
  });
});
