import { Stack, Token, Validations } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { actionQueuePrefix, type CheckedProps } from "./props.ts";

/** Something that a rule pack of cdk-nag finds, and what speaks for leaving it so. */
export interface Acknowledged {
  /** Names of the finding in the packs that have it. */
  readonly ids: readonly string[];
  /** Whose it is: what the construct calls its parts. */
  readonly where: readonly string[];
  /** The property that mends it: with that there is no such finding. */
  readonly mendedBy?: keyof CheckedProps;
  readonly reason: string;
}

const [HIPAA, NIST, PCI, SERVERLESS] = ["HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321", "Serverless"];
const of = (rule: string, ...packs: (string | undefined)[]) => packs.map((pack) => `${pack}-${rule}`);
const FUNCTIONS = ["Maintainer", "Sweeper"] as const;

/**
 * What cdk-nag's AwsSolutions, HIPAA Security, NIST 800-53 rev. 5, PCI DSS 3.2.1 and Serverless find. A finding that is not
 * named here, or is there no more, or is not in docs/security.md, fails infra-tests/nag.test.ts.
 * @param actionQueues the ARN of all action queues, as cdk-nag writes it
 * @param alarms ids of the alarms in the construct
 */
export const acknowledged = (actionQueues: string, alarms: readonly string[]): readonly Acknowledged[] => [
  {
    ids: [`AwsSolutions-IAM5[Resource::${actionQueues}]`],
    where: ["MaintainerRole", "SweeperRole"],
    reason:
      "Action queues come and go with dispatchers, so their names are not known at deployment. The wildcard ends at the prefix, " +
      "which no other queue of the account has; the roles may only send to them.",
  },
  {
    ids: [`AwsSolutions-IAM5[Resource::${actionQueues}]`],
    where: ["CaptureNodePolicy"],
    reason:
      "Capture nodes that share a role create a queue for each node or dispatcher, and delete it when that goes. The wildcard ends at " +
      "the prefix. A node with a role of its own gets captureNodePolicyFor, which has none.",
  },
  {
    ids: ["AwsSolutions-IAM5[Resource::*]"],
    where: ["MaintainerRole", "SweeperRole"],
    reason:
      "X-Ray's actions for sending traces know no resources. Neither do those by which Lambda makes the network interfaces of a " +
      "function in a VPC: EC2 gives them ids of its own.",
  },
  {
    ids: of("IAMNoInlinePolicy", HIPAA, NIST, PCI),
    where: ["MaintainerRole", "SweeperRole"],
    reason:
      "Each policy is made for one function, and goes with its role. As a managed one it could be attached to somebody else.",
  },
  {
    ids: of("CloudWatchLogGroupEncrypted", HIPAA, NIST, PCI),
    where: FUNCTIONS.map((name) => `${name}Logs`),
    mendedBy: "encryptionKey",
    reason:
      "CloudWatch Logs encrypts with a key of its own. With encryptionKey the groups are encrypted with that. Logs hold no rows and " +
      "no DDL text.",
  },
  {
    ids: of("LambdaInsideVPC", HIPAA, NIST, PCI),
    where: FUNCTIONS,
    mendedBy: "vpc",
    reason:
      "The functions speak with DynamoDB and SQS only, over TLS, and nobody can connect to them. With vpc they run in yours.",
  },
  {
    ids: of("LambdaConcurrency", HIPAA, NIST),
    where: FUNCTIONS,
    mendedBy: "reservedConcurrency",
    reason:
      "maximumConcurrency bounds the maintainer at its queue, and there is one sweep a minute. reservedConcurrency takes from the " +
      "account's other functions, so its owner decides.",
  },
  {
    ids: of("CloudWatchAlarmAction", HIPAA, NIST),
    where: alarms,
    mendedBy: "alarmTopic",
    reason: "It is not known whom to tell before alarmTopic names it. The dashboard shows all alarms.",
  },
  {
    ids: of("LambdaDLQ", HIPAA, NIST, SERVERLESS),
    where: FUNCTIONS,
    reason:
      "A dead-letter queue of a function is for asynchronous invocations. The maintainer has none: the status queue puts aside " +
      "what fails. A sweep carries nothing that could be lost, and the next one is a minute away.",
  },
  {
    ids: of("DynamoDBInBackupPlan", HIPAA, NIST),
    where: ["Table"],
    reason:
      "The table can be restored to any second of the last 35 days. A backup plan is the account's; an older state than that is of " +
      "no use, since the downstream is ahead of it.",
  },
  {
    ids: of("SQSRedrivePolicy", SERVERLESS),
    where: ["DeadLetterQueue"],
    reason: "It is the dead-letter queue itself.",
  },
  {
    ids: of("LambdaEventSourceMappingDestination", SERVERLESS),
    where: ["Reports"],
    reason:
      "An event source that is a queue has no such destination: what fails goes where the queue's redrive policy says.",
  },
  {
    ids: of("LambdaAsyncFailureDestination", SERVERLESS),
    where: ["Sweeper"],
    reason:
      "A sweep that fails leaves nothing to look at, but for its log and an alarm: the next one does the same.",
  },
  {
    ids: of("EventBusDLQ", SERVERLESS),
    where: ["SweepSchedule"],
    reason:
      "A sweep that was not started is made up for by the next one; SweeperNotRunning tells when none is.",
  },
];

/** Acknowledges what is found in a coordinator that is made with these properties. */
export function acknowledgeFindings(scope: Construct, props: CheckedProps): void {
  const { partition, region, account } = Stack.of(scope);
  const plain = (value: string, name: string) => (Token.isUnresolved(value) ? `<AWS::${name}>` : value);
  const actionQueues = `arn:${plain(partition, "Partition")}:sqs:${plain(region, "Region")}:${plain(account, "AccountId")}:${actionQueuePrefix(props.prefix)}*`;
  const alarms = scope.node.children.map(({ node }) => node.id).filter((id) => id.endsWith("Alarm"));
  for (const { ids, where, mendedBy, reason } of acknowledged(actionQueues, alarms)) {
    if (mendedBy !== undefined && props[mendedBy] !== undefined) continue;
    for (const part of where)
      for (const id of ids) Validations.of(scope.node.findChild(part)).acknowledge({ id, reason });
  }
}
