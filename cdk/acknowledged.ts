import { Stack, Token, Validations } from "aws-cdk-lib";
import type { IConstruct } from "constructs";
import { actionQueuePrefix, type CheckedProps } from "./props.ts";

/**
 * What cdk-nag (AwsSolutions) finds and what speaks for it. A finding that is not named here, here or in docs/security.md, fails
 * the test of the stack.
 */
export function acknowledgeFindings(
  props: CheckedProps,
  roles: readonly IConstruct[],
  captureNodePolicy: IConstruct,
): void {
  const { partition, region, account } = Stack.of(captureNodePolicy);
  const plain = (value: string, name: string) => (Token.isUnresolved(value) ? `<AWS::${name}>` : value);
  const actionQueues = `AwsSolutions-IAM5[Resource::arn:${plain(partition, "Partition")}:sqs:${plain(region, "Region")}:${plain(account, "AccountId")}:${actionQueuePrefix(props.prefix)}*]`;
  for (const role of roles) {
    Validations.of(role).acknowledge({
      id: actionQueues,
      reason:
        "Action queues come and go with dispatchers, so their names are not known at deployment. The wildcard ends at the " +
        "prefix, which no other queue of the account has; the role may only send to them and look their URLs up.",
    });
    Validations.of(role).acknowledge({
      id: "AwsSolutions-IAM5[Resource::*]",
      reason:
        "X-Ray's actions for sending traces know no resources." +
        (props.vpc
          ? " Neither do those by which Lambda makes the network interfaces of a function in a VPC: EC2 gives them ids of its own."
          : ""),
    });
  }
  Validations.of(captureNodePolicy).acknowledge({
    id: actionQueues,
    reason:
      "Capture nodes create a queue for each node or dispatcher and delete it when that goes. The wildcard ends at the prefix, " +
      "which no other queue of the account has.",
  });
}
