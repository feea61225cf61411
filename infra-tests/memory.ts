/**
 * How much memory and processor time the bundled maintainer takes for 10,000 dispatchers of one changefeed: `npm run memory`.
 * The bundle runs as on Lambda, in a process of its own that handles one event after the other; table and queues are the
 * embedded ones, in this process, and do not count.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { CREDENTIALS, REGION } from "../src/local/deployment.ts";
import { startDynamo, startSqs } from "../src/local/engines.ts";
import { resourcesOf, synthesize } from "../src/local/synth.ts";
import type { StatusMessage } from "../src/maintainer/intake/input.ts";
import { d, everybody, node, syncpoint, World } from "../src/maintainer/testing/world.ts";
import type { Measured } from "./measured.ts";

const NODES = 10;
const PER_NODE = 1_000;
/** Reports of one dispatcher each, after everything else. */
const REPORTS = 100;
/** Lambda gives a whole processor at this many MB, and less in proportion below. */
const WHOLE_PROCESSOR_MB = 1_769;

await measureAll();

async function measureAll(): Promise<void> {
  const synthesized = synthesize("weir");
  const dynamo = await startDynamo();
  const sqs = await startSqs();
  const config = { region: REGION, credentials: { ...CREDENTIALS } };
  const dynamodb = new DynamoDBClient({ endpoint: dynamo.url, ...config });
  const queues = new SQSClient({ endpoint: sqs.url, ...config });
  const [, table] = resourcesOf(synthesized, "AWS::DynamoDB::Table")[0]!;
  const { KeySchema, AttributeDefinitions, BillingMode } = table.Properties as never;
  await dynamodb.send(
    new CreateTableCommand({ TableName: "weir", KeySchema, AttributeDefinitions, BillingMode }),
  );
  const nodes = Array.from({ length: NODES }, (_, index) => node(`n${index}`));
  for (const { queue } of nodes) await queues.send(new CreateQueueCommand({ QueueName: queue }));

  const [, code] = resourcesOf(synthesized, "AWS::Lambda::Function").find(([id]) =>
    id.includes("Maintainer"),
  )!;
  const bundle = join(synthesized.assets, code.Metadata!["aws:asset:path"]!, "index.mjs");
  const child = fork(fileURLToPath(new URL("./measured.ts", import.meta.url)), [bundle], {
    env: {
      PATH: process.env["PATH"] ?? "",
      WEIR_TABLE: "weir",
      WEIR_ACTION_QUEUE_PREFIX: "weir-action-",
      WEIR_DEAD_LETTER_QUEUE_URL: "http://none",
      POWERTOOLS_SERVICE_NAME: "weir",
      POWERTOOLS_METRICS_NAMESPACE: "Weir",
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_ENDPOINT_URL_SQS: sqs.url,
      AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
    },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  show("load the bundle (cold start)", await next(child));

  const world = new World();
  const trigger = d(1);
  const idsOn = (index: number) =>
    Array.from({ length: PER_NODE }, (_, one) => d(1_000 + index * PER_NODE + one)).concat(
      index === 0 ? [trigger] : [],
    );
  const send = async (what: string, ...messages: StatusMessage[]) => {
    child.send({ Records: messages.map(record) });
    show(what, await next(child));
  };
  await send("open the changefeed", world.opening(nodes[0]!, trigger, []));
  for (const index of nodes.keys()) {
    const spans = idsOn(index).map((id, one) => ({
      id,
      table: id === trigger ? 0n : BigInt(index * PER_NODE + one + 1),
    }));
    await send(
      `register ${spans.length} dispatchers of node ${index}`,
      world.registration(nodes[index]!, spans),
    );
  }
  for (const round of [1, 2]) {
    world.now = Date.now();
    const key = syncpoint(BigInt(round * 1_000));
    const all = nodes.map((one, index) => world.waiting(one, idsOn(index), key, { BlockTables: everybody }));
    await send(`barrier ${round}: WAITING of 10,000 dispatchers, folded into ten messages, Write`, ...all);
    await send(
      `barrier ${round}: DONE of Write, Pass to 10,000`,
      world.done(nodes[0]!, [trigger], key, "write"),
    );
    const done = nodes.map((one, index) => world.done(one, idsOn(index), key, "pass"));
    await send(`barrier ${round}: DONE of 10,000 in one batch, closed`, ...done);
  }
  const single = idsOn(5).slice(0, REPORTS);
  const spent: Measured[] = [];
  for (const id of single) {
    const report = world.waiting(nodes[5]!, [id], syncpoint(9_000n), { BlockTables: everybody });
    child.send({ Records: [record(report)] });
    spent.push(await next(child));
  }
  const sum = (of: (one: Measured) => number) => spent.reduce((total, one) => total + of(one), 0);
  show(`WAITING of one dispatcher, mean of ${REPORTS}`, {
    cpu: sum((one) => one.cpu) / REPORTS,
    wall: sum((one) => one.wall) / REPORTS,
    peak: spent.at(-1)!.peak,
    failures: sum((one) => one.failures),
  });
  child.disconnect();
  dynamodb.destroy();
  queues.destroy();
  await Promise.all([sqs.stop(), dynamo.stop()]);
  rmSync(synthesized.assets, { recursive: true, force: true });
}

function record(message: StatusMessage) {
  return {
    messageId: message.messageId,
    body: message.body,
    attributes: { SentTimestamp: String(message.sentAt), ApproximateReceiveCount: "1", SenderId: "A:b" },
    messageAttributes: Object.fromEntries(
      Object.entries(message.attributes).map(([name, stringValue]) => [
        name,
        { stringValue, dataType: "String" },
      ]),
    ),
  };
}

async function next(child: ChildProcess): Promise<Measured> {
  const [message] = await once(child, "message", { signal: AbortSignal.timeout(60_000) });
  return message as Measured;
}

function show(what: string, { cpu, wall, peak, failures }: Measured): void {
  const at = (mb: number) => `${mb} MB ${((cpu * WHOLE_PROCESSOR_MB) / mb).toFixed(0)}`;
  console.log(
    `${what}: processor ${cpu.toFixed(1)} ms, wall ${wall.toFixed(0)} ms, peak ${peak.toFixed(0)} MB` +
      `${failures > 0 ? `, ${failures} messages failed` : ""}; processor time alone at ${[512, 1024, 1769].map(at).join(", ")} ms`,
  );
}
