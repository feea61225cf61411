import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { AttributeType, BillingMode, Table } from "aws-cdk-lib/aws-dynamodb";
import { Rule, Schedule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Architecture, RecursiveLoop, Runtime, Tracing } from "aws-cdk-lib/aws-lambda";
import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import { LogLevel, NodejsFunction, OutputFormat } from "aws-cdk-lib/aws-lambda-nodejs";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

export interface WeirProps {
  /** Action queues are named `<prefix>-action-*`; the coordinator sends to no other. Default: `weir`. */
  readonly prefix?: string;
  /** What becomes of table and queues when the stack is deleted. Default: they stay. */
  readonly removalPolicy?: RemovalPolicy;
  /** Maintainers at work at the same time, 2 to 1000. Default: 10. */
  readonly maximumConcurrency?: number;
  /** Memory of the functions in MB. Default: 512. */
  readonly memorySize?: number;
  /** How long logs stay. Default: a month. */
  readonly logRetention?: RetentionDays;
}

/** Timeout of both functions; visibility of a report must be at least six times as long. */
const TIMEOUT = Duration.seconds(20);
const VISIBILITY = Duration.seconds(120);
/** What queues keep must be shorter than the 15 days for which tombstones stay (design.md I9). */
const STATUS_RETENTION = Duration.days(4);
const DEAD_LETTER_RETENTION = Duration.days(14);
/** A report that fails so often is poisoned in a way that taking it apart did not show. */
const MAX_RECEIVES = 20;

/**
 * The coordinator: table, status queue, dead-letter queue, the maintainer on the status queue and the sweeper once a
 * minute. No name is fixed but the prefix of the action queues, which capture nodes create themselves.
 */
export class Weir extends Construct {
  readonly table: Table;
  readonly statusQueue: Queue;
  readonly deadLetterQueue: Queue;
  readonly maintainer: NodejsFunction;
  readonly sweeper: NodejsFunction;
  /** What the names of action queues start with. */
  readonly actionQueuePrefix: string;

  constructor(scope: Construct, id: string, props: WeirProps = {}) {
    super(scope, id);
    this.actionQueuePrefix = `${props.prefix ?? "weir"}-action-`;
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.RETAIN;

    this.table = new Table(this, "Table", {
      partitionKey: { name: "pk", type: AttributeType.STRING },
      sortKey: { name: "sk", type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: "ttl",
      removalPolicy,
    });
    this.deadLetterQueue = new Queue(this, "DeadLetterQueue", {
      retentionPeriod: DEAD_LETTER_RETENTION,
      enforceSSL: true,
      removalPolicy,
    });
    this.statusQueue = new Queue(this, "StatusQueue", {
      visibilityTimeout: VISIBILITY,
      retentionPeriod: STATUS_RETENTION,
      enforceSSL: true,
      deadLetterQueue: { queue: this.deadLetterQueue, maxReceiveCount: MAX_RECEIVES },
      removalPolicy,
    });

    this.maintainer = this.#function("Maintainer", "maintainer", props);
    this.maintainer.addEventSource(
      new SqsEventSource(this.statusQueue, {
        batchSize: 10,
        reportBatchItemFailures: true,
        maxConcurrency: props.maximumConcurrency ?? 10,
      }),
    );
    this.sweeper = this.#function("Sweeper", "sweeper", props);
    new Rule(this, "SweepSchedule", {
      description: "Goes on with what an invocation left half done",
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaFunction(this.sweeper)],
    });

    new CfnOutput(this, "TableName", { value: this.table.tableName });
    new CfnOutput(this, "StatusQueueUrl", { value: this.statusQueue.queueUrl });
    new CfnOutput(this, "DeadLetterQueueUrl", { value: this.deadLetterQueue.queueUrl });
    new CfnOutput(this, "ActionQueuePrefix", { value: this.actionQueuePrefix });
  }

  #function(id: string, entry: string, props: WeirProps): NodejsFunction {
    const one = new NodejsFunction(this, id, {
      entry: join(root, "functions", `${entry}.ts`),
      projectRoot: root,
      depsLockFilePath: join(root, "package-lock.json"),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      timeout: TIMEOUT,
      memorySize: props.memorySize ?? 512,
      tracing: Tracing.ACTIVE,
      // A node that answers at once makes reports and actions follow each other; that is not a loop to be stopped.
      recursiveLoop: RecursiveLoop.ALLOW,
      logGroup: new LogGroup(this, `${id}Logs`, {
        retention: props.logRetention ?? RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
      environment: {
        WEIR_TABLE: this.table.tableName,
        WEIR_STATUS_QUEUE_URL: this.statusQueue.queueUrl,
        WEIR_DEAD_LETTER_QUEUE_URL: this.deadLetterQueue.queueUrl,
        WEIR_ACTION_QUEUE_PREFIX: this.actionQueuePrefix,
        POWERTOOLS_SERVICE_NAME: "weir",
        POWERTOOLS_METRICS_NAMESPACE: "Weir",
        NODE_OPTIONS: "--enable-source-maps",
      },
      bundling: {
        format: OutputFormat.ESM,
        target: "node24",
        minify: true,
        sourceMap: true,
        mainFields: ["module", "main"],
        bundleAwsSDK: true,
        forceDockerBundling: false,
        logLevel: LogLevel.ERROR,
        // Parts of the SDK's dependencies are CommonJS and call require.
        banner:
          "import{createRequire as weirRequire}from'node:module';const require=weirRequire(import.meta.url);",
      },
    });
    one.addToRolePolicy(
      new PolicyStatement({
        actions: [
          "dynamodb:BatchGetItem",
          "dynamodb:BatchWriteItem",
          "dynamodb:DeleteItem",
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:Query",
          "dynamodb:UpdateItem",
        ],
        resources: [this.table.tableArn],
      }),
    );
    one.addToRolePolicy(
      new PolicyStatement({
        actions: ["sqs:GetQueueUrl", "sqs:SendMessage"],
        resources: [
          Stack.of(this).formatArn({
            service: "sqs",
            resource: `${this.actionQueuePrefix}*`,
            arnFormat: ArnFormat.NO_RESOURCE_NAME,
          }),
        ],
      }),
    );
    one.addToRolePolicy(
      new PolicyStatement({ actions: ["sqs:SendMessage"], resources: [this.deadLetterQueue.queueArn] }),
    );
    return one;
  }
}
