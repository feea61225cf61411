import { expect } from "vitest";
import { type Check, namesOf, resource, type Synthesized } from "../template.ts";

export const FUNCTIONS = ["Maintainer", "Sweeper"] as const;

const each = (all: Synthesized, check: (properties: Record<string, unknown>, name: string) => void) => {
  for (const name of FUNCTIONS) check(resource(all, name).Properties, name);
};

/** The functions, what starts them, and their logs. */
export const functionChecks: Check[] = [
  {
    what: "there are two functions, on Node 24 and arm64",
    check: (all) => {
      expect(namesOf(all, "AWS::Lambda::Function")).toEqual([...FUNCTIONS]);
      each(all, (properties) => {
        expect(properties).toMatchObject({
          Runtime: "nodejs24.x",
          Architectures: ["arm64"],
          Handler: "index.handler",
        });
      });
    },
  },
  {
    what: "functions have the timeout that visibility goes by, and the memory that was measured",
    check: (all) =>
      each(all, (properties) => {
        expect(properties).toMatchObject({ Timeout: 20, MemorySize: 1769 });
      }),
  },
  {
    what: "functions take no concurrency from the account for good",
    check: (all) =>
      each(all, (properties) => {
        expect(properties).not.toHaveProperty("ReservedConcurrentExecutions");
      }),
  },
  {
    what: "functions are traced",
    check: (all) =>
      each(all, (properties) => {
        expect(properties["TracingConfig"]).toEqual({ Mode: "Active" });
      }),
  },
  {
    what: "Lambda never stops functions for feeding the queue that feeds them",
    check: (all) =>
      each(all, (properties) => {
        expect(properties["RecursiveLoop"]).toBe("Allow");
      }),
  },
  {
    what: "functions know where everything is",
    check: (all) =>
      each(all, (properties, name) => {
        expect(properties["Environment"]).toEqual({
          Variables: {
            ...(name === "Maintainer" && {
              WEIR_REDRIVERS: "<MaintainerRole.RoleId>,<SweeperRole.RoleId>",
            }),
            WEIR_TABLE: "<Table>",
            WEIR_STATUS_QUEUE_URL: "<StatusQueue>",
            WEIR_DEAD_LETTER_QUEUE_URL: "<DeadLetterQueue>",
            WEIR_ACTION_QUEUE_PREFIX: "test-action-",
            POWERTOOLS_SERVICE_NAME: "test",
            POWERTOOLS_METRICS_NAMESPACE: "Weir",
          },
        });
      }),
  },
  {
    what: "functions write to log groups of their own, which forget after a month",
    check: (all) => {
      expect(namesOf(all, "AWS::Logs::LogGroup")).toEqual(["MaintainerLogs", "SweeperLogs"]);
      each(all, (properties, name) => {
        expect(properties["LoggingConfig"]).toEqual({ LogGroup: `<${name}Logs>` });
        expect(resource(all, `${name}Logs`)).toMatchObject({
          Properties: { RetentionInDays: 30 },
          DeletionPolicy: "Delete",
        });
      });
    },
  },
  {
    what: "functions run as roles of their own, which Lambda alone may take",
    check: (all) => {
      expect(namesOf(all, "AWS::IAM::Role")).toEqual(["MaintainerRole", "SweeperRole"]);
      each(all, (properties, name) => {
        expect(properties["Role"]).toBe(`<${name}Role.Arn>`);
        expect(resource(all, `${name}Role`).Properties["AssumeRolePolicyDocument"]).toEqual({
          Statement: [
            { Action: "sts:AssumeRole", Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" } },
          ],
          Version: "2012-10-17",
        });
      });
    },
  },
  {
    what: "the maintainer gets reports ten at a time and at once, fails them one by one, and is bounded in number",
    check: (all) => {
      expect(namesOf(all, "AWS::Lambda::EventSourceMapping")).toEqual(["Reports"]);
      expect(resource(all, "Reports").Properties).toEqual({
        BatchSize: 10,
        EventSourceArn: "<StatusQueue.Arn>",
        FunctionName: "<Maintainer>",
        FunctionResponseTypes: ["ReportBatchItemFailures"],
        ScalingConfig: { MaximumConcurrency: 10 },
      });
    },
  },
  {
    what: "the sweeper runs once a minute, and a sweep that fails is left to the next one",
    check: (all) => {
      const once = { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 };
      expect(resource(all, "SweepSchedule").Properties).toMatchObject({
        ScheduleExpression: "rate(1 minute)",
        State: "ENABLED",
        Targets: [{ Arn: "<Sweeper.Arn>", Id: "Target0", RetryPolicy: once }],
      });
      expect(resource(all, "Sweeper/EventInvokeConfig").Properties).toEqual({
        FunctionName: "<Sweeper>",
        Qualifier: "$LATEST",
        ...once,
      });
      const [permission, ...others] = namesOf(all, "AWS::Lambda::Permission");
      expect(others).toEqual([]);
      expect(resource(all, permission!).Properties).toEqual({
        Action: "lambda:InvokeFunction",
        FunctionName: "<Sweeper.Arn>",
        Principal: "events.amazonaws.com",
        SourceArn: "<SweepSchedule.Arn>",
      });
    },
  },
  {
    what: "the outputs say where things are",
    check: (all) =>
      expect(all.outputs).toEqual({
        TableName: { Value: "<Table>" },
        StatusQueueUrl: { Value: "<StatusQueue>" },
        DeadLetterQueueUrl: { Value: "<DeadLetterQueue>" },
        ActionQueuePrefix: { Value: "test-action-" },
        CoordinatorIds: { Value: "<MaintainerRole.RoleId>,<SweeperRole.RoleId>" },
        CaptureNodePolicyArn: { Value: "<CaptureNodePolicy>" },
        DashboardName: { Value: "<Dashboard>" },
      }),
  },
];
