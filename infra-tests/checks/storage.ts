import { expect } from "vitest";
import { KEEP_SECONDS } from "../../src/storage/lifetimes.ts";
import { type Check, namesOf, resource } from "../template.ts";

const STATUS_NAME = /^test-status-[0-9a-f]{8}-<2 of <StackId>>$/;

/** The table, the queues, and who may send to them. */
export const storageChecks: Check[] = [
  {
    what: "the table is paid on demand",
    check: (all) => expect(resource(all, "Table").Properties["BillingMode"]).toBe("PAY_PER_REQUEST"),
  },
  {
    what: "the table has the keys that the store uses",
    check: (all) =>
      expect(resource(all, "Table").Properties).toMatchObject({
        AttributeDefinitions: [
          { AttributeName: "pk", AttributeType: "S" },
          { AttributeName: "sk", AttributeType: "S" },
        ],
        KeySchema: [
          { AttributeName: "pk", KeyType: "HASH" },
          { AttributeName: "sk", KeyType: "RANGE" },
        ],
      }),
  },
  {
    what: "the table can be restored to a point in time",
    check: (all) =>
      expect(resource(all, "Table").Properties["PointInTimeRecoverySpecification"]).toEqual({
        PointInTimeRecoveryEnabled: true,
      }),
  },
  {
    what: "the table forgets what is old, by the attribute that the store writes",
    check: (all) =>
      expect(resource(all, "Table").Properties["TimeToLiveSpecification"]).toEqual({
        AttributeName: "ttl",
        Enabled: true,
      }),
  },
  {
    what: "the table is encrypted with a key that AWS manages",
    check: (all) =>
      expect(resource(all, "Table").Properties["SSESpecification"]).toEqual({ SSEEnabled: true }),
  },
  {
    what: "the table is not deleted by mistake, nor with the stack",
    check: (all) => {
      expect(resource(all, "Table").Properties["DeletionProtectionEnabled"]).toBe(true);
      expect(resource(all, "Table").DeletionPolicy).toBe("Retain");
      expect(resource(all, "Table").UpdateReplacePolicy).toBe("Retain");
    },
  },
  {
    what: "no queue goes with the stack",
    check: (all) => {
      expect(namesOf(all, "AWS::SQS::Queue")).toEqual(["DeadLetterQueue", "StatusQueue"]);
      for (const name of namesOf(all, "AWS::SQS::Queue"))
        expect(resource(all, name)).toMatchObject({
          DeletionPolicy: "Retain",
          UpdateReplacePolicy: "Retain",
        });
    },
  },
  {
    what: "queues are encrypted",
    check: (all) => {
      for (const name of namesOf(all, "AWS::SQS::Queue"))
        expect(resource(all, name).Properties["SqsManagedSseEnabled"]).toBe(true);
    },
  },
  {
    // SQS took 256 KiB before 2025: a node folds up to what this says (protocol.md R9a).
    what: "queues take messages of 1 MiB",
    check: (all) => {
      for (const name of namesOf(all, "AWS::SQS::Queue"))
        expect(resource(all, name).Properties["MaximumMessageSize"]).toBe(1_048_576);
    },
  },
  {
    // A copy of a report that came after its tombstone is gone would open the barrier again (invariants.md I9).
    what: "no queue keeps a report longer than the table keeps a tombstone",
    check: (all) => {
      const kept = (name: string) => resource(all, name).Properties["MessageRetentionPeriod"] as number;
      expect(kept("StatusQueue")).toBe(4 * 24 * 3600);
      expect(kept("DeadLetterQueue")).toBe(14 * 24 * 3600);
      expect(Math.max(kept("StatusQueue"), kept("DeadLetterQueue"))).toBeLessThan(KEEP_SECONDS);
    },
  },
  {
    what: "a report comes back after six timeouts at the earliest",
    check: (all) => {
      const timeout = resource(all, "Maintainer").Properties["Timeout"] as number;
      expect(resource(all, "StatusQueue").Properties["VisibilityTimeout"]).toBeGreaterThanOrEqual(
        6 * timeout,
      );
    },
  },
  {
    what: "what fails 20 times is put aside in a queue that takes from the status queue alone",
    check: (all) => {
      const { Properties: status } = resource(all, "StatusQueue");
      expect(status["QueueName"]).toMatch(STATUS_NAME);
      expect(status["RedrivePolicy"]).toEqual({
        deadLetterTargetArn: "<DeadLetterQueue.Arn>",
        maxReceiveCount: 20,
      });
      expect(resource(all, "DeadLetterQueue").Properties["RedriveAllowPolicy"]).toEqual({
        redrivePermission: "byQueue",
        sourceQueueArns: [`arn:<Partition>:sqs:<Region>:<AccountId>:${status["QueueName"]}`],
      });
    },
  },
  {
    what: "queues are open to TLS only, and the status queue to senders of this account by their own policies",
    check: (all) => {
      const overTls = (queue: string) => ({
        Action: "sqs:*",
        Condition: { Bool: { "aws:SecureTransport": "false" } },
        Effect: "Deny",
        Principal: { AWS: "*" },
        Resource: `<${queue}.Arn>`,
      });
      expect(resource(all, "DeadLetterQueue/Policy").Properties).toEqual({
        PolicyDocument: { Statement: [overTls("DeadLetterQueue")], Version: "2012-10-17" },
        Queues: ["<DeadLetterQueue>"],
      });
      expect(resource(all, "StatusQueue/Policy").Properties).toEqual({
        PolicyDocument: {
          Statement: [
            overTls("StatusQueue"),
            {
              Sid: "Senders",
              Action: ["sqs:GetQueueUrl", "sqs:SendMessage"],
              Effect: "Allow",
              Principal: { AWS: "arn:<Partition>:iam::<AccountId>:root" },
              Resource: "<StatusQueue.Arn>",
            },
          ],
          Version: "2012-10-17",
        },
        Queues: ["<StatusQueue>"],
      });
    },
  },
];
