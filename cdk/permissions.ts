import { ArnFormat, Stack } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import { ManagedPolicy, PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import { actionQueuePrefix, type CheckedProps, nodeQueues } from "./props.ts";
import type { Queues } from "./storage.ts";

/** The one wildcard over names: action queues come and go with capture nodes. */
export function actionQueuesArn(scope: Construct, props: CheckedProps): string {
  return Stack.of(scope).formatArn({
    service: "sqs",
    resource: `${actionQueuePrefix(props.prefix)}*`,
    arnFormat: ArnFormat.NO_RESOURCE_NAME,
  });
}

/** What both functions do: the state, actions, dead letters, waves that they hand over, their own log. Each statement is explained in docs/security.md. */
export function functionStatements(
  scope: Construct,
  props: CheckedProps,
  {
    table,
    statusQueue,
    deadLetterQueue,
    logGroup,
  }: { table: Table; statusQueue: IQueue; deadLetterQueue: IQueue; logGroup: ILogGroup },
): PolicyStatement[] {
  return [
    new PolicyStatement({
      sid: "State",
      actions: [
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
      ],
      resources: [table.tableArn],
    }),
    new PolicyStatement({
      sid: "Actions",
      actions: ["sqs:SendMessage"],
      resources: [actionQueuesArn(scope, props)],
    }),
    new PolicyStatement({
      sid: "DeadLetters",
      actions: ["sqs:SendMessage"],
      resources: [deadLetterQueue.queueArn],
    }),
    new PolicyStatement({
      sid: "Waves",
      actions: ["sqs:SendMessage"],
      resources: [statusQueue.queueArn],
    }),
    new PolicyStatement({
      sid: "Log",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [logGroup.logGroupArn],
    }),
    // X-Ray knows no resources.
    new PolicyStatement({
      sid: "Traces",
      actions: ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
      resources: ["*"],
    }),
    ...(props.encryptionKey
      ? [
          // DynamoDB and SQS use the key for whoever calls them; by itself the key decrypts nothing for this role.
          keyStatement(
            scope,
            props,
            ["dynamodb", "sqs"],
            [
              "kms:Decrypt",
              "kms:DescribeKey",
              "kms:Encrypt",
              "kms:GenerateDataKey",
              "kms:GenerateDataKeyWithoutPlaintext",
              "kms:ReEncryptFrom",
              "kms:ReEncryptTo",
            ],
          ),
        ]
      : []),
    ...(props.vpc
      ? [
          // Lambda makes and removes the network interfaces with the function's role; EC2 wants them on every resource.
          new PolicyStatement({
            sid: "NetworkInterfaces",
            actions: [
              "ec2:AssignPrivateIpAddresses",
              "ec2:CreateNetworkInterface",
              "ec2:DeleteNetworkInterface",
              "ec2:DescribeNetworkInterfaces",
              "ec2:DescribeSubnets",
              "ec2:UnassignPrivateIpAddresses",
            ],
            resources: ["*"],
          }),
        ]
      : []),
  ];
}

/** What the maintainer does beyond that: Lambda polls the status queue with its role. */
export function consumerStatement(statusQueue: IQueue): PolicyStatement {
  return new PolicyStatement({
    sid: "Reports",
    actions: [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ],
    resources: [statusQueue.queueArn],
  });
}

/** Lets CloudWatch Logs use the key for log groups of this account, as far as the key's policy is the stack's to write. */
export function letLogsUseKey(scope: Construct, { encryptionKey }: CheckedProps): void {
  const stack = Stack.of(scope);
  encryptionKey?.addToResourcePolicy(
    new PolicyStatement({
      sid: "WeirLogs",
      actions: ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
      principals: [new ServicePrincipal(`logs.${stack.region}.${stack.urlSuffix}`)],
      resources: ["*"],
      // The groups' names are made when they are created, after the key.
      conditions: {
        ArnLike: {
          "kms:EncryptionContext:aws:logs:arn": stack.formatArn({
            service: "logs",
            resource: "log-group",
            resourceName: "*",
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        },
      },
    }),
  );
}

function keyStatement(
  scope: Construct,
  props: CheckedProps,
  services: readonly string[],
  actions: string[],
): PolicyStatement {
  const { region } = Stack.of(scope);
  return new PolicyStatement({
    sid: "Key",
    actions,
    resources: [props.encryptionKey!.keyArn],
    conditions: {
      StringEquals: { "kms:ViaService": services.map((service) => `${service}.${region}.amazonaws.com`) },
    },
  });
}

/** What a node does with its action queues. To look at a queue's attributes shows whether somebody else created it (protocol.md D12). */
const NODE_ACTIONS = [
  "sqs:ChangeMessageVisibility",
  "sqs:CreateQueue",
  "sqs:DeleteMessage",
  "sqs:DeleteQueue",
  "sqs:GetQueueAttributes",
  "sqs:GetQueueUrl",
  "sqs:ReceiveMessage",
];

/** What capture nodes need that share a role, and nothing else: each may use the action queues of all. */
export function createCaptureNodePolicy(
  scope: Construct,
  props: CheckedProps,
  { statusQueue }: Queues,
): ManagedPolicy {
  return new ManagedPolicy(scope, "CaptureNodePolicy", {
    description: `Capture nodes of Weir "${props.prefix}": their action queues, and reports`,
    statements: nodeStatements(scope, props, statusQueue, NODE_ACTIONS, [actionQueuesArn(scope, props)]),
  });
}

/**
 * What one capture node needs whose role is its own: its queue, in either mode, and no other node's.
 * @throws Error if no node can have this id
 */
export function createPolicyForNode(
  scope: Construct,
  props: CheckedProps,
  { statusQueue }: Queues,
  node: string,
): ManagedPolicy {
  const own = nodeQueues(props.prefix, node);
  return new ManagedPolicy(scope, `CaptureNode-${node}`, {
    description: `Capture node "${node}" of Weir "${props.prefix}": its action queues, and reports`,
    statements: nodeStatements(
      scope,
      props,
      statusQueue,
      // A tag can open a queue, where rights go by tags: only who has it to itself may set one.
      [...NODE_ACTIONS, "sqs:TagQueue"],
      own.map((resource) =>
        Stack.of(scope).formatArn({ service: "sqs", resource, arnFormat: ArnFormat.NO_RESOURCE_NAME }),
      ),
    ),
  });
}

function nodeStatements(
  scope: Construct,
  props: CheckedProps,
  statusQueue: IQueue,
  actions: string[],
  resources: string[],
): PolicyStatement[] {
  return [
    new PolicyStatement({ sid: "ActionQueues", actions, resources }),
    new PolicyStatement({
      sid: "Reports",
      actions: ["sqs:SendMessage"],
      resources: [statusQueue.queueArn],
    }),
    ...(props.encryptionKey
      ? [keyStatement(scope, props, ["sqs"], ["kms:Decrypt", "kms:GenerateDataKey"])]
      : []),
  ];
}
