import { expect } from "vitest";
import { type Check, namesOf, resource, type Synthesized } from "../template.ts";

export interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: string | string[];
  readonly Condition?: unknown;
}

/** The statements of what a policy resource holds. */
export function statementsOf(all: Synthesized, policy: string): Statement[] {
  const { Statement } = resource(all, policy).Properties["PolicyDocument"] as { Statement: Statement[] };
  return Statement;
}

const allow = (Sid: string, Action: string | string[], Resource: string): Statement => ({
  Sid,
  Effect: "Allow",
  Action,
  Resource,
});
const ACTION_QUEUES = "arn:<Partition>:sqs:<Region>:<AccountId>:test-action-*";

const both = (name: string): Statement[] => [
  allow(
    "State",
    [
      "dynamodb:BatchGetItem",
      "dynamodb:BatchWriteItem",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateItem",
    ],
    "<Table.Arn>",
  ),
  allow("Actions", "sqs:SendMessage", ACTION_QUEUES),
  allow("DeadLetters", "sqs:SendMessage", "<DeadLetterQueue.Arn>"),
  allow("Waves", "sqs:SendMessage", "<StatusQueue.Arn>"),
  allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], `<${name}Logs.Arn>`),
  allow("Traces", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
];

const policy = (all: Synthesized, name: string, statements: Statement[]) => {
  expect(resource(all, `${name}Role/DefaultPolicy`).Properties).toMatchObject({
    PolicyDocument: { Version: "2012-10-17" },
    Roles: [`<${name}Role>`],
  });
  expect(statementsOf(all, `${name}Role/DefaultPolicy`)).toEqual(statements);
};

/** Who may do what: exactly these statements, in no other policy. */
export const rightsChecks: Check[] = [
  {
    what: "the maintainer's role does what it does and nothing else",
    check: (all) =>
      policy(all, "Maintainer", [
        ...both("Maintainer"),
        allow(
          "Reports",
          [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
          ],
          "<StatusQueue.Arn>",
        ),
      ]),
  },
  {
    what: "the sweeper's role does what it does and nothing else",
    check: (all) => policy(all, "Sweeper", both("Sweeper")),
  },
  {
    what: "capture nodes may use action queues and report, and nothing else",
    check: (all) => {
      expect(resource(all, "CaptureNodePolicy").Properties).toMatchObject({
        Path: "/",
        PolicyDocument: { Version: "2012-10-17" },
      });
      expect(statementsOf(all, "CaptureNodePolicy")).toEqual([
        allow(
          "ActionQueues",
          [
            "sqs:ChangeMessageVisibility",
            "sqs:CreateQueue",
            "sqs:DeleteMessage",
            "sqs:DeleteQueue",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
          ],
          ACTION_QUEUES,
        ),
        allow("Reports", "sqs:SendMessage", "<StatusQueue.Arn>"),
      ]);
    },
  },
  {
    what: "no role has another policy",
    check: (all) => {
      expect(namesOf(all, "AWS::IAM::Policy")).toEqual([
        "MaintainerRole/DefaultPolicy",
        "SweeperRole/DefaultPolicy",
      ]);
      expect(namesOf(all, "AWS::IAM::ManagedPolicy")).toEqual(["CaptureNodePolicy"]);
      for (const name of namesOf(all, "AWS::IAM::Role")) {
        expect(resource(all, name).Properties).not.toHaveProperty("ManagedPolicyArns");
        expect(resource(all, name).Properties).not.toHaveProperty("Policies");
      }
    },
  },
];
