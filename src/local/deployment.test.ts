import {
  CreateQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type LocalDeployment, startLocal } from "./deployment.ts";

let local: LocalDeployment;
let sqs: SQSClient;
let queueUrl: string;
beforeAll(async () => {
  local = await startLocal({ visibilityTimeoutSeconds: 2 });
  sqs = new SQSClient({ endpoint: local.endpoint.sqs, region: local.region, credentials: local.credentials });
  const created = await sqs.send(new CreateQueueCommand({ QueueName: `${local.actionQueuePrefix}n1` }));
  queueUrl = created.QueueUrl!;
});
afterAll(async () => {
  sqs.destroy();
  await local.stop();
});

async function send(type: string, body: unknown, more: Record<string, string> = {}): Promise<void> {
  const attributes = { type, from: "n1", start: "1", ...more };
  await sqs.send(
    new SendMessageCommand({
      QueueUrl: local.statusQueueUrl,
      MessageBody: typeof body === "string" ? body : JSON.stringify(body),
      MessageAttributes: Object.fromEntries(
        Object.entries(attributes).map(([name, value]) => [name, { DataType: "String", StringValue: value }]),
      ),
    }),
  );
}

/** Receives until a message of a type comes. */
async function receive(url: string, matches: (type: string, body: string) => boolean) {
  for (let attempt = 0; attempt < 40; attempt++) {
    const answer = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: url,
        WaitTimeSeconds: 1,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ["All"],
      }),
    );
    for (const { Body, MessageAttributes } of answer.Messages ?? [])
      if (matches(MessageAttributes?.["type"]?.StringValue ?? "", Body!))
        return { body: Body!, attributes: MessageAttributes! };
  }
  throw new Error("the message did not come");
}

const changefeedID = { high: "1", low: "2", name: "cf", keyspace: "default" };
const id = { high: "0", low: "7" };

it("listens on 127.0.0.1 only", () => {
  for (const url of Object.values(local.endpoint)) expect(new URL(url).hostname).toBe("127.0.0.1");
  for (const url of [local.statusQueueUrl, local.deadLetterQueueUrl])
    expect(url.startsWith(`${local.endpoint.sqs}/`)).toBe(true);
});

it("carries a capture node through registration and a barrier", async () => {
  const queue = { replyQueue: `${local.actionQueuePrefix}n1` };
  await send(
    "MaintainerPostBootstrapRequest",
    { changefeedID, tableTriggerEventDispatcherId: id, schemas: [], maintainerEpoch: "1" },
    queue,
  );
  await send(
    "MaintainerBootstrapResponse",
    { changefeedID, spans: [{ ID: id, span: {}, checkpointTs: "1", life: "5" }], maintainerEpoch: "1" },
    queue,
  );
  const result = await receive(
    queueUrl,
    (type, body) => type === "RegistrationResult" && body.includes('"5"'),
  );
  expect(JSON.parse(result.body)).toEqual({
    accepted: [{ id, life: "5" }],
    refused: [],
    maintainerEpoch: "1",
    start: "1",
  });
  const state = { IsBlocked: true, BlockTs: "449779372969249750", BlockTables: {}, IsSyncPoint: true };
  await send("BlockStatusRequest", {
    changefeedID,
    blockStatuses: [{ ID: id, life: "5", state: { ...state, stage: "WAITING" } }],
  });
  const write = await receive(
    queueUrl,
    (type, body) => type === "HeartBeatResponse" && body.includes('"action"'),
  );
  const statuses = JSON.parse(write.body).dispatcherStatuses;
  expect(statuses.at(-1)).toEqual({
    influencedDispatchers: { InfluenceType: "Normal", DispatcherIDs: [{ low: "7" }] },
    action: { CommitTs: "449779372969249750", IsSyncPoint: true },
    lives: ["5"],
  });
});

it("puts a message that is not understood into the dead-letter queue with the reason", async () => {
  await send("BlockStatusRequest", "{");
  const dead = await receive(local.deadLetterQueueUrl, () => true);
  expect(dead.body).toBe("{");
  expect(dead.attributes["reason"]!.StringValue).toMatch(/BlockStatusRequest in proto3 JSON/);
  expect(dead.attributes["from"]!.StringValue).toBe("n1");
});

it("counts what the functions ask for apart from what others do, and sweeps", async () => {
  await local.sweep();
  const { dynamodb, sqs, invocations } = local.counts();
  expect(dynamodb.functions["UpdateItem"]).toBeGreaterThan(0);
  expect(dynamodb.others["CreateTable"]).toBe(1);
  expect(dynamodb.others["UpdateItem"]).toBeUndefined();
  expect(sqs.functions["SendMessage"]! + (sqs.functions["SendMessageBatch"] ?? 0)).toBeGreaterThan(0);
  expect(invocations.maintainer).toBeGreaterThan(0);
  expect(invocations.sweeper).toBe(1);
});
