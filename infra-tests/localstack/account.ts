import { CloudWatchClient, DescribeAlarmsCommand, ListDashboardsCommand } from "@aws-sdk/client-cloudwatch";
import {
  CloudWatchLogsClient,
  DeleteLogGroupCommand,
  DescribeLogGroupsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, ListRulesCommand } from "@aws-sdk/client-eventbridge";
import { IAMClient, ListPoliciesCommand, ListRolesCommand } from "@aws-sdk/client-iam";
import { LambdaClient, ListEventSourceMappingsCommand, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import {
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListBucketsCommand,
  paginateListObjectsV2,
  S3Client,
} from "@aws-sdk/client-s3";
import { DeleteQueueCommand, ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { clientConfig } from "./target.ts";

interface Listing {
  readonly kind: string;
  readonly list: () => Promise<readonly (string | undefined)[]>;
}

/** What there is in an account of the kinds that the stack or a capture node makes. */
export class Account {
  readonly #listings: readonly Listing[];
  readonly #sqs: SQSClient;
  readonly #logs: CloudWatchLogsClient;
  readonly #s3: S3Client;
  readonly #clients: readonly { destroy(): void }[];

  constructor(endpoint: string) {
    const config = clientConfig(endpoint);
    const dynamodb = new DynamoDBClient(config);
    const sqs = new SQSClient(config);
    const lambda = new LambdaClient(config);
    const logs = new CloudWatchLogsClient(config);
    const events = new EventBridgeClient(config);
    const cloudwatch = new CloudWatchClient(config);
    const iam = new IAMClient(config);
    const s3 = new S3Client({ ...config, forcePathStyle: true });
    this.#s3 = s3;
    this.#sqs = sqs;
    this.#logs = logs;
    this.#clients = [dynamodb, sqs, lambda, logs, events, cloudwatch, iam, s3];
    this.#listings = [
      { kind: "table", list: async () => (await dynamodb.send(new ListTablesCommand())).TableNames ?? [] },
      { kind: "queue", list: () => this.#queues() },
      {
        kind: "function",
        list: async () => names((await lambda.send(new ListFunctionsCommand())).Functions, "FunctionName"),
      },
      {
        kind: "event source mapping",
        list: async () =>
          names(
            (await lambda.send(new ListEventSourceMappingsCommand())).EventSourceMappings,
            "EventSourceArn",
          ),
      },
      {
        kind: "log group",
        list: async () => names((await logs.send(new DescribeLogGroupsCommand())).logGroups, "logGroupName"),
      },
      { kind: "rule", list: async () => names((await events.send(new ListRulesCommand())).Rules, "Name") },
      {
        kind: "alarm",
        list: async () =>
          names((await cloudwatch.send(new DescribeAlarmsCommand())).MetricAlarms, "AlarmName"),
      },
      {
        kind: "dashboard",
        list: async () =>
          names((await cloudwatch.send(new ListDashboardsCommand())).DashboardEntries, "DashboardName"),
      },
      { kind: "bucket", list: () => this.#buckets() },
      { kind: "role", list: async () => names((await iam.send(new ListRolesCommand())).Roles, "RoleName") },
      {
        kind: "managed policy",
        list: async () =>
          names((await iam.send(new ListPoliciesCommand({ Scope: "Local" }))).Policies, "PolicyName"),
      },
    ];
  }

  /** Everything whose name holds one of these texts, as `kind name`. */
  async find(...texts: readonly string[]): Promise<string[]> {
    const all = await Promise.all(
      this.#listings.map(async ({ kind, list }) =>
        (await list())
          .filter((name) => texts.some((text) => name?.includes(text)))
          .map((name) => `${kind} ${name}`),
      ),
    );
    return all.flat();
  }

  /** Deletes the queues whose names start so: capture nodes made them, not the stack. @returns how many */
  async deleteQueues(prefix: string): Promise<number> {
    const urls = (await this.#queues(prefix)).map(String);
    for (const QueueUrl of urls) await this.#sqs.send(new DeleteQueueCommand({ QueueUrl }));
    return urls.length;
  }

  /** Deletes the log groups whose names start so. */
  async deleteLogGroups(prefix: string): Promise<void> {
    const command = new DescribeLogGroupsCommand({ logGroupNamePrefix: prefix });
    for (const { logGroupName } of (await this.#logs.send(command)).logGroups ?? [])
      await this.#logs.send(new DeleteLogGroupCommand({ logGroupName }));
  }

  /** Deletes the buckets whose names start so, with what is in them: the storage's test made them. */
  async deleteBuckets(prefix: string): Promise<void> {
    const client = this.#s3;
    for (const Bucket of (await this.#buckets()).filter((name) => name.startsWith(prefix))) {
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket }))
        for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket, Key }));
      await client.send(new DeleteBucketCommand({ Bucket }));
    }
  }

  close(): void {
    for (const client of this.#clients) client.destroy();
  }

  async #buckets(): Promise<string[]> {
    return names((await this.#s3.send(new ListBucketsCommand())).Buckets, "Name").map(String);
  }

  async #queues(QueueNamePrefix = ""): Promise<string[]> {
    const command = new ListQueuesCommand({ ...(QueueNamePrefix && { QueueNamePrefix }), MaxResults: 1000 });
    return (await this.#sqs.send(command)).QueueUrls ?? [];
  }
}

function names<Name extends string>(
  list: readonly { readonly [name in Name]?: string | undefined }[] | undefined,
  name: Name,
): (string | undefined)[] {
  return (list ?? []).map((one) => one[name]);
}
