/** The services have accepted what the template says, and run it. */
import { CloudWatchClient, DescribeAlarmsCommand } from "@aws-sdk/client-cloudwatch";
import { DescribeTableCommand, DescribeTimeToLiveCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  DescribeRuleCommand,
  EventBridgeClient,
  ListTargetsByRuleCommand,
} from "@aws-sdk/client-eventbridge";
import {
  GetFunctionConfigurationCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
} from "@aws-sdk/client-lambda";
import { GetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Deployed } from "./deployed.ts";
import { progress } from "./progress.ts";
import { Resources } from "./resources.ts";
import { clientConfig, readTarget } from "./target.ts";

const target = readTarget();
const config = clientConfig(target.endpoint);
const deployed = new Deployed(target);
const dynamodb = new DynamoDBClient(config);
const lambda = new LambdaClient(config);
const events = new EventBridgeClient(config);
const cloudwatch = new CloudWatchClient(config);
let resources: Resources;
beforeAll(async () => {
  progress("what the services have made of the template");
  resources = await Resources.read(target);
});
afterAll(() => {
  for (const client of [dynamodb, lambda, events, cloudwatch]) client.destroy();
  deployed.close();
});

describe("the deployed stack", () => {
  it("has every resource of its template, complete", () => {
    expect(new Set(resources.all.map((one) => one.LogicalResourceId))).toEqual(
      new Set(Object.keys(resources.template)),
    );
    for (const one of resources.all) expect(one.ResourceStatus).toBe("CREATE_COMPLETE");
  });

  it("has a table on demand that forgets what is old", async () => {
    const TableName = deployed.table;
    const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName }));
    expect(Table).toMatchObject({
      TableStatus: "ACTIVE",
      BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" },
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
    });
    const { TimeToLiveDescription } = await dynamodb.send(new DescribeTimeToLiveCommand({ TableName }));
    expect(TimeToLiveDescription).toEqual({ AttributeName: "ttl", TimeToLiveStatus: "ENABLED" });
  });

  it("has a status queue that gives up to the dead-letter queue after twenty deliveries", async () => {
    const { Attributes } = await deployed.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: deployed.statusQueueUrl, AttributeNames: ["All"] }),
    );
    expect(JSON.parse(Attributes!["RedrivePolicy"]!)).toMatchObject({
      deadLetterTargetArn: await deployed.arnOf(deployed.deadLetterQueueUrl),
      maxReceiveCount: 20,
    });
    expect(Attributes!["VisibilityTimeout"]).toBe("120");
  });

  it("feeds the maintainer from the status queue, message by message to fail", async () => {
    const FunctionName = resources.idOf("AWS::Lambda::Function", "Maintainer");
    const { EventSourceMappings } = await lambda.send(new ListEventSourceMappingsCommand({ FunctionName }));
    expect(EventSourceMappings).toMatchObject([
      {
        EventSourceArn: await deployed.arnOf(deployed.statusQueueUrl),
        State: "Enabled",
        BatchSize: 10,
        FunctionResponseTypes: ["ReportBatchItemFailures"],
      },
    ]);
  });

  it("runs both functions on Node 24, with log groups of the stack", async () => {
    const names = resources.idsOf("AWS::Lambda::Function");
    const groups = new Set(resources.idsOf("AWS::Logs::LogGroup"));
    expect(names).toHaveLength(2);
    for (const FunctionName of names) {
      const one = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
      expect(one).toMatchObject({ State: "Active", Runtime: "nodejs24.x", Architectures: ["arm64"] });
      expect(groups.has(one.LoggingConfig!.LogGroup!)).toBe(true);
    }
  });

  it("lets a rule that is enabled start the sweeper every minute", async () => {
    const Name = resources.idOf("AWS::Events::Rule", "SweepSchedule").split("|").at(-1)!;
    const rule = await events.send(new DescribeRuleCommand({ Name }));
    expect(rule).toMatchObject({ State: "ENABLED", ScheduleExpression: "rate(1 minute)" });
    const { Targets } = await events.send(new ListTargetsByRuleCommand({ Rule: Name }));
    const sweeper = resources.idOf("AWS::Lambda::Function", "Sweeper");
    expect(Targets!.map((one) => one.Arn!.split(":").at(-1))).toEqual([sweeper]);
  });

  it("has every alarm of its template, on what it says", async () => {
    const AlarmNames = resources.idsOf("AWS::CloudWatch::Alarm");
    const { MetricAlarms = [] } = await cloudwatch.send(new DescribeAlarmsCommand({ AlarmNames }));
    expect(MetricAlarms.map((one) => one.AlarmName).sort()).toEqual(AlarmNames.sort());
    const wanted = Object.values(resources.template).filter((one) => one.Type === "AWS::CloudWatch::Alarm");
    const said = (one: Readonly<Record<string, unknown>>) =>
      `${one["MetricName"] ?? "expression"} ${one["ComparisonOperator"]} ${one["Threshold"]}`;
    expect(MetricAlarms.map((one) => said({ ...one })).sort()).toEqual(
      wanted.map((one) => said(one.Properties)).sort(),
    );
    expect(MetricAlarms.length).toBeGreaterThan(0);
  });
});
