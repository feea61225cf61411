import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DynamoDBClient,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { CreateQueueCommand, GetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { WeirError } from "../error/weir-error.ts";
import { Chaos, type ChaosOptions } from "./chaos.ts";
import {
  type Engine,
  FUNCTION_APP_ID,
  type Guard,
  type RequestCounts,
  startDynamo,
  startSqs,
  TABLE,
} from "./engines.ts";
import { EventSource } from "./event-source.ts";
import { LocalFunction } from "./lambda.ts";
import { Permissions } from "./permissions.ts";
import { synthesizeOnce } from "./synth-cache.ts";
import { type Names, resolve, resourcesOf, type Synthesized } from "./template.ts";

export const REGION = "us-east-1";
/** The engines check no signature; any client is happy with these. */
export const CREDENTIALS = { accessKeyId: "local", secretAccessKey: "local" };
/** `SenderId` of all messages in fauxqs. */
const LOCAL_SENDER = "000000000000";

export interface LocalOptions {
  readonly sqsPort?: number;
  readonly dynamodbPort?: number;
  /** Default: weir. */
  readonly prefix?: string;
  /** In place of the template's, for tests. */
  readonly visibilityTimeoutSeconds?: number;
  readonly maximumConcurrency?: number;
  readonly sweepIntervalMs?: number;
  /** Where the functions' logs go; default: nowhere. */
  readonly logFile?: string;
  readonly chaos?: ChaosOptions;
}

/** Where a capture node connects to: what `weir local --json` prints. */
export interface Endpoints {
  readonly endpoint: { readonly sqs: string; readonly dynamodb: string };
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly table: string;
  readonly statusQueueUrl: string;
  readonly deadLetterQueueUrl: string;
  readonly actionQueuePrefix: string;
  /** By whom capture nodes know the coordinator, as the output `CoordinatorIds` of a stack. Here everybody is the same one. */
  readonly coordinators: readonly string[];
}

export interface LocalCounts {
  readonly dynamodb: RequestCounts;
  readonly sqs: RequestCounts;
  readonly invocations: { readonly maintainer: number; readonly sweeper: number };
  readonly errors: number;
  readonly kills: number;
  readonly duplicates: number;
}

export interface LocalDeployment extends Endpoints, AsyncDisposable {
  counts(): LocalCounts;
  /** Runs the sweeper now. */
  sweep(): Promise<void>;
  /** @throws if a function asked for what its role does not allow */
  stop(): Promise<void>;
}

/**
 * Starts what `cdk deploy` would deploy, on this machine: table, queues, event source, schedule and the bundled functions
 * come from the synthesized template. Listens on 127.0.0.1 only.
 */
export async function startLocal(options: LocalOptions = {}): Promise<LocalDeployment> {
  const synthesized = await synthesizeOnce(options.prefix ?? "weir");
  const chaos = options.chaos && new Chaos(options.chaos);
  let guarding: Permissions | undefined;
  const guard: Guard = (asked) => guarding?.refuse(asked);
  const dynamo = await startDynamo(options.dynamodbPort, guard);
  const sqs = await startSqs(options.sqsPort, chaos, guard).catch(async (error) => {
    await dynamo.stop();
    rmSync(synthesized.assets, { recursive: true, force: true });
    throw error;
  });
  const clients = {
    dynamodb: new DynamoDBClient({ endpoint: dynamo.url, region: REGION, credentials: { ...CREDENTIALS } }),
    sqs: new SQSClient({ endpoint: sqs.url, region: REGION, credentials: { ...CREDENTIALS } }),
  };
  const table = await createTable(synthesized, clients.dynamodb);
  const queues = await createQueues(synthesized, clients.sqs, options);
  const names: Names = {
    ref: (id) => (id === table.logicalId ? table.name : (queues.get(id)?.url ?? id)),
    attribute: (id, name) => (name === "Arn" ? (queues.get(id)?.arn ?? `arn:aws:local:${id}`) : id),
  };

  const permissions = new Permissions(synthesized, {
    ...names,
    attribute: (id, name) => (id === table.logicalId ? TABLE : names.attribute(id, name)),
  });

  guarding = permissions;

  const onLog = (line: string) => {
    if (options.logFile) appendFileSync(options.logFile, line);
  };
  const functions = resourcesOf(synthesized, "AWS::Lambda::Function").map(([id, resource]) => {
    const { Timeout, Environment, MemorySize } = resource.Properties as {
      Timeout: number;
      MemorySize: number;
      Environment: { Variables: Record<string, unknown> };
    };
    const environment = {
      ...(resolve(Environment.Variables, names) as Record<string, string>),
      // The queues here name one sender for everybody, who brings dead letters back as well.
      WEIR_REDRIVERS: LOCAL_SENDER,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_ENDPOINT_URL_SQS: sqs.url,
      AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
      AWS_LAMBDA_FUNCTION_NAME: id,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(MemorySize),
      AWS_SDK_UA_APP_ID: `${FUNCTION_APP_ID}${id}`,
    };
    const bundle = join(synthesized.assets, resource.Metadata!["aws:asset:path"]!, "index.mjs");
    return new LocalFunction({
      name: id,
      bundle,
      environment,
      timeoutMs: Timeout * 1000,
      onLog,
      ...(chaos && id.includes("Maintainer") && { chaos }),
    });
  });
  const named = (name: string) => functions.find((one) => one.options.name.includes(name))!;
  const sources = startSources(synthesized, names, queues, functions, clients.sqs, options);
  const schedule = startSchedule(synthesized, named("Sweeper"), options);

  const output = (id: string) => [...queues].find(([logicalId]) => logicalId.includes(id))![1].url;
  const stop = once(async () => {
    clearInterval(schedule);
    await Promise.all(sources.map((source) => source.stop()));
    for (const one of functions) one.stop();
    clients.dynamodb.destroy();
    clients.sqs.destroy();
    await Promise.all([sqs.stop(), dynamo.stop()]);
    rmSync(synthesized.assets, { recursive: true, force: true });
    // Messages come again, so that much works without a right. It is a fault of the template all the same.
    if (permissions.refused.size > 0)
      throw new WeirError("not-permitted", [...permissions.refused].join("\n"));
  });
  return {
    endpoint: { sqs: sqs.url, dynamodb: dynamo.url },
    region: REGION,
    credentials: CREDENTIALS,
    table: table.name,
    statusQueueUrl: output("StatusQueue"),
    deadLetterQueueUrl: output("DeadLetterQueue"),
    actionQueuePrefix: named("Maintainer").options.environment["WEIR_ACTION_QUEUE_PREFIX"]!,
    coordinators: [LOCAL_SENDER],
    counts: () => countsOf(dynamo, sqs, named("Maintainer"), named("Sweeper"), chaos),
    sweep: async () => void (await named("Sweeper").invoke({})),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function countsOf(
  dynamo: Engine,
  sqs: Engine,
  maintainer: LocalFunction,
  sweeper: LocalFunction,
  chaos: Chaos | undefined,
): LocalCounts {
  return {
    dynamodb: structuredClone(dynamo.counts),
    sqs: structuredClone(sqs.counts),
    invocations: { maintainer: maintainer.invocations, sweeper: sweeper.invocations },
    errors: maintainer.errors + sweeper.errors,
    kills: chaos?.kills ?? 0,
    duplicates: chaos?.duplicates ?? 0,
  };
}

async function createTable(synthesized: Synthesized, client: DynamoDBClient) {
  const [logicalId, { Properties }] = resourcesOf(synthesized, "AWS::DynamoDB::Table")[0]!;
  const { KeySchema, AttributeDefinitions, BillingMode } = Properties as unknown as CreateTableCommandInput;
  const TableName = `weir-local-${logicalId}`;
  await client.send(new CreateTableCommand({ TableName, KeySchema, AttributeDefinitions, BillingMode }));
  await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 0.02, maxDelay: 0.1 }, { TableName });
  return { logicalId, name: TableName };
}

interface LocalQueue {
  readonly url: string;
  readonly arn: string;
}

/** Queues in an order in which a redrive policy finds its dead-letter queue. */
async function createQueues(synthesized: Synthesized, sqs: SQSClient, options: LocalOptions) {
  const queues = new Map<string, LocalQueue>();
  const resources = resourcesOf(synthesized, "AWS::SQS::Queue");
  resources.sort(
    ([, a], [, b]) => Number("RedrivePolicy" in a.Properties) - Number("RedrivePolicy" in b.Properties),
  );
  const names: Names = { ref: (id) => id, attribute: (id) => queues.get(id)?.arn ?? id };
  for (const [id, { Properties }] of resources) {
    const { VisibilityTimeout, MessageRetentionPeriod, MaximumMessageSize, RedrivePolicy } = resolve(
      Properties,
      names,
    ) as Record<string, unknown>;
    const visibility = RedrivePolicy
      ? (options.visibilityTimeoutSeconds ?? VisibilityTimeout)
      : VisibilityTimeout;
    const Attributes: Record<string, string> = {};
    if (visibility !== undefined) Attributes["VisibilityTimeout"] = String(visibility);
    if (MessageRetentionPeriod !== undefined)
      Attributes["MessageRetentionPeriod"] = String(MessageRetentionPeriod);
    if (MaximumMessageSize !== undefined) Attributes["MaximumMessageSize"] = String(MaximumMessageSize);
    if (RedrivePolicy !== undefined) Attributes["RedrivePolicy"] = JSON.stringify(RedrivePolicy);
    const { QueueUrl } = await sqs.send(
      new CreateQueueCommand({ QueueName: `weir-local-${id}`, Attributes }),
    );
    const answer = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] }));
    queues.set(id, { url: QueueUrl!, arn: answer.Attributes!["QueueArn"]! });
  }
  return queues;
}

function startSources(
  synthesized: Synthesized,
  names: Names,
  queues: ReadonlyMap<string, LocalQueue>,
  functions: readonly LocalFunction[],
  sqs: SQSClient,
  options: LocalOptions,
): EventSource[] {
  return resourcesOf(synthesized, "AWS::Lambda::EventSourceMapping").map(([, { Properties }]) => {
    const { BatchSize, EventSourceArn, FunctionName, FunctionResponseTypes, ScalingConfig } = resolve(
      Properties,
      names,
    ) as {
      BatchSize: number;
      EventSourceArn: string;
      FunctionName: string;
      FunctionResponseTypes?: string[];
      ScalingConfig?: { MaximumConcurrency: number };
    };
    const queue = [...queues.values()].find((one) => one.arn === EventSourceArn)!;
    const source = new EventSource({
      sqs,
      queueUrl: queue.url,
      queueArn: queue.arn,
      batchSize: BatchSize,
      maximumConcurrency: options.maximumConcurrency ?? ScalingConfig?.MaximumConcurrency ?? 5,
      reportsItemFailures: FunctionResponseTypes?.includes("ReportBatchItemFailures") ?? false,
      target: functions.find((one) => one.options.name === FunctionName)!,
    });
    source.start();
    return source;
  });
}

function startSchedule(
  synthesized: Synthesized,
  sweeper: LocalFunction,
  options: LocalOptions,
): NodeJS.Timeout {
  const [, rule] = resourcesOf(synthesized, "AWS::Events::Rule")[0]!;
  const [, minutes] = /^rate\((\d+) minutes?\)$/.exec(String(rule.Properties["ScheduleExpression"])) ?? [];
  if (minutes === undefined)
    throw new WeirError(
      "not-supported",
      `schedule ${rule.Properties["ScheduleExpression"]} is not understood here`,
    );
  const every = options.sweepIntervalMs ?? Number(minutes) * 60_000;
  // A sweep that fails is in the log; the next one comes.
  return setInterval(() => void sweeper.invoke({}).catch(() => undefined), every);
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= work();
    return running;
  };
}
