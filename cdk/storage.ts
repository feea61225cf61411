import { ArnFormat, Aws, Duration, Fn, RemovalPolicy, Stack } from "aws-cdk-lib";
import { AttributeType, BillingMode, Table, TableEncryption } from "aws-cdk-lib/aws-dynamodb";
import { AccountPrincipal, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { type CfnQueue, Queue, QueueEncryption, RedrivePermission } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import type { CheckedProps } from "./props.ts";

/** Timeout of both functions; visibility of a report must be at least six times as long (invariants.md P2). */
export const TIMEOUT = Duration.seconds(20);
/** The largest message that SQS takes. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
const VISIBILITY = Duration.seconds(120);
/** What queues keep must be shorter than the 15 days for which tombstones stay (invariants.md I9). */
const STATUS_RETENTION = Duration.days(4);
const DEAD_LETTER_RETENTION = Duration.days(14);
/** A report that fails so often is poisoned in a way that taking it apart did not show. */
const MAX_RECEIVES = 20;

/** The table: on demand, restorable to any second of the last 35 days, and forgetting what is old by itself. */
export function createTable(scope: Construct, props: CheckedProps): Table {
  return new Table(scope, "Table", {
    partitionKey: { name: "pk", type: AttributeType.STRING },
    sortKey: { name: "sk", type: AttributeType.STRING },
    billingMode: BillingMode.PAY_PER_REQUEST,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    timeToLiveAttribute: "ttl",
    ...(props.encryptionKey
      ? { encryption: TableEncryption.CUSTOMER_MANAGED, encryptionKey: props.encryptionKey }
      : { encryption: TableEncryption.AWS_MANAGED }),
    deletionProtection: props.removalPolicy !== RemovalPolicy.DESTROY,
    removalPolicy: props.removalPolicy,
  });
}

export interface Queues {
  readonly statusQueue: Queue;
  readonly deadLetterQueue: Queue;
}

/**
 * The status queue and its dead-letter queue, each encrypted and open to TLS only. The dead-letter queue takes from the
 * status queue alone, so it must name it, as the status queue must name the other: that would be a circle, so the status
 * queue has a name that is known beforehand. It is made of the stack's own id: no two stacks can want the same one.
 */
export function createQueues(scope: Construct, props: CheckedProps): Queues {
  const stackGuid = Fn.select(2, Fn.split("/", Aws.STACK_ID));
  const statusQueueName = Fn.join("-", [
    // Cut, it must not end where another prefix could go on (props.ts, isWithinReach).
    props.prefix.slice(0, 24).replace(/-action$/, "-actio"),
    "status",
    scope.node.addr.slice(-8),
    stackGuid,
  ]);
  const statusQueueArn = Stack.of(scope).formatArn({
    service: "sqs",
    resource: statusQueueName,
    arnFormat: ArnFormat.NO_RESOURCE_NAME,
  });
  const common = {
    enforceSSL: true,
    // An event lists its tables whole: a report of it cannot be split (decisions/0035). A dead letter must fit as well.
    maxMessageSizeBytes: MAX_MESSAGE_BYTES,
    removalPolicy: props.removalPolicy,
    ...(props.encryptionKey
      ? {
          encryption: QueueEncryption.KMS,
          encryptionMasterKey: props.encryptionKey,
          dataKeyReuse: Duration.hours(1),
        }
      : { encryption: QueueEncryption.SQS_MANAGED }),
  };
  const deadLetterQueue = new Queue(scope, "DeadLetterQueue", {
    ...common,
    retentionPeriod: DEAD_LETTER_RETENTION,
  });
  (deadLetterQueue.node.defaultChild as CfnQueue).redriveAllowPolicy = {
    redrivePermission: RedrivePermission.BY_QUEUE,
    sourceQueueArns: [statusQueueArn],
  };
  const statusQueue = new Queue(scope, "StatusQueue", {
    ...common,
    queueName: statusQueueName,
    visibilityTimeout: VISIBILITY,
    retentionPeriod: STATUS_RETENTION,
    deadLetterQueue: { queue: deadLetterQueue, maxReceiveCount: MAX_RECEIVES },
  });
  statusQueue.addToResourcePolicy(
    new PolicyStatement({
      sid: "Senders",
      actions: ["sqs:GetQueueUrl", "sqs:SendMessage"],
      resources: [statusQueue.queueArn],
      // An account as principal leaves the choice to the policies of that account: it opens the queue to nobody by itself.
      principals: [Aws.ACCOUNT_ID, ...(props.senderAccounts ?? [])].map((id) => new AccountPrincipal(id)),
    }),
  );
  return { statusQueue, deadLetterQueue };
}
