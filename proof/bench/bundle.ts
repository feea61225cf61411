/** The maintainer as it would be deployed, on engines of this machine: what it weighs, how it starts, what memory it takes. */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { SQSEvent } from "aws-lambda";
import { build } from "esbuild";
import { SUBSTITUTES } from "../../cdk/substitutes.ts";
import { startDynamo, startSqs } from "../../src/local/engines.ts";
import { synthesizeOnce } from "../../src/local/synth-cache.ts";
import { resourcesOf } from "../../src/local/template.ts";
import type { StatusMessage } from "../../src/maintainer/intake/input.ts";
import { attributesOf, Fleet, PREFIX, type Shape } from "../../src/metered/fleet.ts";
import { DynamoStore } from "../../src/storage/dynamodb/store.ts";
import { createTable } from "../../src/storage/testing/embedded.ts";
import { shape } from "./counts.ts";
import { keyAt } from "./cpu.ts";
import { FunctionProcess } from "./function-process.ts";

const CREDENTIALS = { accessKeyId: "bench", secretAccessKey: "bench" };
const REGION = "us-east-1";
const TABLE = "weir";

export interface StartRow {
  readonly bundleBytes: number;
  /** Milliseconds from the start of the process, the median of several. */
  readonly plainMs: number;
  readonly emptyMs: number;
  readonly emptyWithReadMs: number;
  readonly firstMessageMs: number;
  /** The first folded message, relative to an empty handler with the same SDK clients, bundled as it comes. */
  readonly ratioToPlain: number;
  /** The same, relative to one bundled as the maintainer is (decisions/0022). */
  readonly ratio: number;
  /** The same, relative to one that makes one request with each client. */
  readonly ratioWithRead: number;
}

/** The bundled maintainer and engines that it can talk to. */
export class Bench {
  readonly bundle: string;
  readonly bundleBytes: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly #dispose: (() => Promise<void> | void)[];
  readonly #dynamodb: DynamoDBClient;
  readonly #sqs: SQSClient;

  private constructor(
    bundle: string,
    environment: Readonly<Record<string, string>>,
    clients: { dynamodb: DynamoDBClient; sqs: SQSClient },
    dispose: (() => Promise<void> | void)[],
  ) {
    this.bundle = bundle;
    this.bundleBytes = statSync(bundle).size;
    this.environment = environment;
    this.#dynamodb = clients.dynamodb;
    this.#sqs = clients.sqs;
    this.#dispose = dispose;
  }

  static async start(): Promise<Bench> {
    const synthesized = await synthesizeOnce("weir");
    const dynamo = await startDynamo();
    const sqs = await startSqs();
    const [, resource] = resourcesOf(synthesized, "AWS::Lambda::Function").find(([id]) =>
      id.includes("Maintainer"),
    )!;
    const bundle = join(synthesized.assets, resource.Metadata!["aws:asset:path"]!, "index.mjs");
    const common = { region: REGION, credentials: CREDENTIALS };
    const clients = {
      dynamodb: new DynamoDBClient({ endpoint: dynamo.url, ...common }),
      sqs: new SQSClient({ endpoint: sqs.url, ...common }),
    };
    const url = async (name: string) =>
      (await clients.sqs.send(new CreateQueueCommand({ QueueName: name }))).QueueUrl!;
    const environment = {
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_ENDPOINT_URL_SQS: sqs.url,
      AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
      AWS_LAMBDA_FUNCTION_NAME: "maintainer",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "512",
      WEIR_TABLE: TABLE,
      WEIR_STATUS_QUEUE_URL: await url("weir-status"),
      WEIR_DEAD_LETTER_QUEUE_URL: await url("weir-dead"),
      WEIR_ACTION_QUEUE_PREFIX: PREFIX,
      POWERTOOLS_SERVICE_NAME: "weir",
      POWERTOOLS_METRICS_NAMESPACE: "Weir",
    };
    await createTable(clients.dynamodb, TABLE);
    return new Bench(bundle, environment, clients, [
      () => clients.dynamodb.destroy(),
      () => clients.sqs.destroy(),
      () => sqs.stop(),
      () => dynamo.stop(),
      () => rmSync(synthesized.assets, { recursive: true, force: true }),
    ]);
  }

  /** Puts a changefeed's roster into the table, and makes its action queues. */
  async settle(of: Shape): Promise<Fleet> {
    const fleet = new Fleet(of);
    await fleet.settle(new DynamoStore(this.#dynamodb, { table: TABLE }), Date.now());
    for (const node of fleet.nodes) await this.#sqs.send(new CreateQueueCommand({ QueueName: node.queue }));
    return fleet;
  }

  /** Bundles a function beside the maintainer, in the same way or with other modules put instead of its own. */
  async bundleOf(name: string, source: string, instead = SUBSTITUTES): Promise<string> {
    const outfile = `${this.bundle}.${name}.mjs`;
    await build({
      stdin: { contents: source, resolveDir: fileURLToPath(new URL(".", import.meta.url)), loader: "ts" },
      outfile,
      bundle: true,
      minify: true,
      sourcemap: true,
      platform: "node",
      format: "esm",
      target: "node24",
      mainFields: ["module", "main"],
      alias: { ...instead },
      logLevel: "error",
    });
    return outfile;
  }

  async stop(): Promise<void> {
    for (const one of this.#dispose) await one();
  }
}

const EMPTY = `
import { createClients } from "../../src/messaging/aws-port.ts";
export const clients = createClients();
export const handler = async () => ({ batchItemFailures: [] });
`;
const EMPTY_WITH_READ = `
import { GetItemCommand } from "@aws-sdk/client-dynamodb";
import { GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import { createClients } from "../../src/messaging/aws-port.ts";
const { dynamodb, sqs } = createClients();
export const handler = async () => {
  await dynamodb.send(new GetItemCommand({ TableName: process.env.WEIR_TABLE, Key: { pk: { S: "x" }, sk: { S: "x" } } }));
  await sqs.send(new GetQueueUrlCommand({ QueueName: "weir-status" }));
  return { batchItemFailures: [] };
};
`;
const STARTS = 21;

/** Time from the start of a process to its first answer. */
export async function measureStart(bench: Bench): Promise<StartRow> {
  const fleet = await bench.settle(shape(1_000));
  const bundles = {
    plain: await bench.bundleOf("plain", EMPTY, {}),
    empty: await bench.bundleOf("empty", EMPTY),
    read: await bench.bundleOf("read", EMPTY_WITH_READ),
    maintainer: bench.bundle,
  };
  const names = ["plain", "empty", "read", "maintainer"] as const;
  const times = names.map(() => [] as number[]);
  for (let run = 0; run < STARTS; run++)
    for (const [index, name] of names.entries()) {
      // Each start meets a barrier of its own: the first message opens it.
      const [message] = waitingOf(fleet, run);
      const one = new FunctionProcess(bundles[name], bench.environment);
      try {
        await one.invoke(eventOf([message!]));
        times[index]!.push(one.age);
      } finally {
        one.stop();
      }
    }
  const medians = times.map(median) as [number, number, number, number];
  const [plainMs, emptyMs, emptyWithReadMs, firstMessageMs] = medians;
  return {
    bundleBytes: bench.bundleBytes,
    plainMs,
    emptyMs,
    emptyWithReadMs,
    firstMessageMs,
    ratioToPlain: firstMessageMs / plainMs,
    ratio: firstMessageMs / emptyMs,
    ratioWithRead: firstMessageMs / emptyWithReadMs,
  };
}

export interface MemoryRow {
  readonly dispatchers: number;
  /** The most memory of the process that handled a whole barrier, roster and all. */
  readonly peakBytes: number | undefined;
}

/** Memory of one process that handles a whole barrier, ten messages at a time. */
export async function measureMemory(bench: Bench, of: Shape): Promise<MemoryRow> {
  const fleet = await bench.settle(of);
  const maintainer = new FunctionProcess(bench.bundle, bench.environment, HEAP);
  try {
    const reports = (state: Parameters<Fleet["reports"]>[1], who = fleet.nodes) =>
      who.flatMap((node) => fleet.reports(node.members, state).map((body) => messageOf(node, body)));
    const key = keyAt(1);
    const handle = async (messages: StatusMessage[]) => {
      for (let from = 0; from < messages.length; from += 10) {
        const answer = (await maintainer.invoke(eventOf(messages.slice(from, from + 10)))) as {
          batchItemFailures: unknown[];
        };
        if (answer.batchItemFailures.length > 0) throw new Error("the maintainer gave messages back");
      }
    };
    await handle(reports(fleet.waiting(key)));
    const [first] = fleet.nodes as [Fleet["nodes"][number]];
    const written = fleet.reports([fleet.trigger], fleet.done(key, "write"));
    await handle(written.map((body) => messageOf(first, body)));
    await handle(reports(fleet.done(key, "pass")));
    return { dispatchers: of.dispatchers, peakBytes: maintainer.peakBytes() };
  } finally {
    maintainer.stop();
  }
}

/** The heap that V8 gives itself in a function of 256 MB. */
const HEAP = ["--max-old-space-size=176", "--max-semi-space-size=4"];

function waitingOf(fleet: Fleet, run: number): StatusMessage[] {
  return fleet.nodes.flatMap((node) =>
    fleet.reports(node.members, fleet.waiting(keyAt(run))).map((body) => messageOf(node, body)),
  );
}

function messageOf(node: Fleet["nodes"][number], body: string): StatusMessage {
  return {
    messageId: "m",
    body,
    attributes: attributesOf(node, "BlockStatusRequest"),
    sentAt: Date.now(),
    receiveCount: 1,
    principal: "",
  };
}

/** Messages as Lambda hands them to a function. */
function eventOf(messages: readonly StatusMessage[]): SQSEvent {
  return {
    Records: messages.map((message, index) => ({
      messageId: `${message.messageId}${index}`,
      receiptHandle: "r",
      body: message.body,
      attributes: {
        ApproximateReceiveCount: "1",
        SentTimestamp: String(message.sentAt),
        SenderId: "AROAEXAMPLEEXAMPLE:session",
        ApproximateFirstReceiveTimestamp: String(message.sentAt),
      },
      messageAttributes: Object.fromEntries(
        Object.entries(message.attributes).map(([name, stringValue]) => [
          name,
          { stringValue, dataType: "String" },
        ]),
      ),
      md5OfBody: "",
      eventSource: "aws:sqs",
      eventSourceARN: "arn:aws:sqs:us-east-1:123456789012:weir-status",
      awsRegion: REGION,
    })),
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
