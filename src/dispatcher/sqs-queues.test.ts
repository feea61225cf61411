import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ListQueueTagsCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Engine, startSqs } from "../local/engines.ts";
import { differences, queueAttributes } from "./queue-policy.ts";
import { SqsQueues } from "./sqs-queues.ts";

/** More than the connections that the SDK's client has by default. */
const POLLED = 60;

it("sends while more queues are polled than an SDK client has connections", async () => {
  const engine = await startSqs();
  const queues = new SqsQueues({ endpoint: engine.url, region: "us-east-1", credentials });
  const status = await queues.createQueue("status");
  const urls = await Promise.all(
    Array.from({ length: POLLED }, (_, index) => queues.createQueue(`q${index}`)),
  );
  const abort = new AbortController();
  const polls = urls.map((url) => queues.receive(url, 5, abort.signal).catch(() => []));
  // The polls take their connections first.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const sent = queues.send(status, { body: "report", attributes: { type: "BlockStatusRequest" } });
  const first = await Promise.race([
    sent.then(() => "sent"),
    ...polls.map((poll) => poll.then(() => "a poll ended")),
  ]);
  expect(first).toBe("sent");
  const [message] = await queues.receive(status, 1, abort.signal);
  expect(message).toMatchObject({ body: "report", attributes: { type: "BlockStatusRequest" } });
  abort.abort();
  await Promise.all(polls);
  queues.destroy();
  await engine.stop();
});

/** An endpoint that answers as it is told: what the engine here does not do. */
async function endpoint(
  answer: (action: string, body: Record<string, unknown>) => [status: number, body: object],
) {
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (data) => {
      text += data;
    });
    request.on("end", () => {
      const action = String(request.headers["x-amz-target"]).split(".")[1]!;
      const [status, body] = answer(action, JSON.parse(text));
      response.writeHead(status, { "content-type": "application/x-amz-json-1.0" });
      response.end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
const refusal = (name: string): [number, object] => [
  400,
  { __type: `com.amazonaws.sqs#${name}`, message: "no" },
];
const credentials = { accessKeyId: "test", secretAccessKey: "test" };

it("waits for a name that SQS holds back, and for a new queue to be known", async () => {
  const asked: string[] = [];
  // The engine here gives a name away at once. These are the answers that SQS gives, twice each, before it does.
  const server = await endpoint((action) => {
    const times = asked.push(action);
    if (action === "CreateQueue")
      return times <= 2 ? refusal("QueueDeletedRecently") : [200, { QueueUrl: "the-queue" }];
    return times <= 5 ? refusal("QueueDoesNotExist") : [200, { Attributes: {} }];
  });
  const config = { endpoint: server.url, region: "us-east-1", credentials };
  const queues = new SqsQueues(config, { recreateEveryMs: 1 });
  expect(await queues.createQueue("q")).toBe("the-queue");
  expect(asked.map((one) => one.replace("QueueAttributes", ""))).toEqual([
    "CreateQueue",
    "CreateQueue",
    "CreateQueue",
    "Get",
    "Get",
    "Get",
  ]);
  queues.destroy();
  await server.stop();
});

it("creates a queue without tags where the role may not tag, and says so", async () => {
  const server = await endpoint((action, body) => {
    if (action === "CreateQueue")
      return "tags" in body ? refusal("AccessDeniedException") : [200, { QueueUrl: "the-queue" }];
    return [200, { Attributes: {} }];
  });
  const told: string[] = [];
  const config = { endpoint: server.url, region: "us-east-1", credentials };
  const queues = new SqsQueues(config, {
    tags: { team: "a" },
    onWarning: ({ message }) => told.push(message),
  });
  expect(await queues.createQueue("q")).toBe("the-queue");
  expect(told[0]).toContain("sqs:TagQueue");
  queues.destroy();
  await server.stop();
});

it("takes no queue that it cannot look at, and says which right is missing", async () => {
  const server = await endpoint((action) =>
    action === "CreateQueue" ? [200, { QueueUrl: "the-queue" }] : refusal("AccessDeniedException"),
  );
  const queues = new SqsQueues({ endpoint: server.url, region: "us-east-1", credentials });
  await expect(queues.createQueue("q")).rejects.toThrow("needs sqs:GetQueueAttributes");
  queues.destroy();
  await server.stop();
});

describe("an action queue", () => {
  let engine: Engine;
  let sqs: SQSClient;
  let queues: SqsQueues;
  const told: string[] = [];
  beforeAll(async () => {
    engine = await startSqs();
    const config = { endpoint: engine.url, region: "us-east-1", credentials };
    sqs = new SQSClient(config);
    queues = new SqsQueues(config, {
      tags: { team: "replication" },
      onWarning: ({ message }) => told.push(message),
    });
  });
  afterAll(async () => {
    sqs.destroy();
    queues.destroy();
    await engine.stop();
  });

  it("is open to TLS only, encrypted and tagged", async () => {
    const QueueUrl = await queues.createQueue("new");
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }),
    );
    expect(JSON.parse(Attributes!["Policy"]!).Statement).toEqual([
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: { AWS: "*" },
        Action: "sqs:*",
        Resource: "*",
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ]);
    expect((await sqs.send(new ListQueueTagsCommand({ QueueUrl }))).Tags).toEqual({ team: "replication" });
    // The engine here encrypts nothing: what is asked for has to do.
    expect(queueAttributes(undefined)).toMatchObject({ SqsManagedSseEnabled: "true" });
    expect(queueAttributes("a-key")).toMatchObject({ KmsMasterKeyId: "a-key" });
    expect(queueAttributes("a-key")).not.toHaveProperty("SqsManagedSseEnabled");
    expect(await queues.createQueue("new")).toBe(QueueUrl);
    expect(told).toEqual([]);
  });

  const policy = (...statements: object[]) =>
    JSON.stringify({ Version: "2012-10-17", Statement: statements });
  const open = { Effect: "Allow", Principal: "*", Action: "sqs:ReceiveMessage", Resource: "*" };
  const ours = JSON.parse(queueAttributes(undefined)["Policy"]!).Statement[0];

  it.each([
    ["lets everybody receive", { Policy: policy(open) }],
    ["lets somebody send, beside the statement of ours", { Policy: policy(ours, open) }],
    ["lets somebody in by a statement that is no list", { Policy: JSON.stringify({ Statement: open }) }],
    ["has a policy that cannot be read", { Policy: "{" }],
    ["moves what is received twice", { RedrivePolicy: "aside" }],
  ])("is refused if it is there and %s", async (what, given: Record<string, string>) => {
    const name = what.replaceAll(/\W/g, "-");
    let attributes = given;
    if (given["RedrivePolicy"]) {
      const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "aside" }));
      const answer = await sqs.send(
        new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] }),
      );
      attributes = {
        RedrivePolicy: JSON.stringify({
          deadLetterTargetArn: answer.Attributes!["QueueArn"],
          maxReceiveCount: 2,
        }),
      };
    }
    await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: attributes }));
    await expect(queues.createQueue(name)).rejects.toMatchObject({
      name: "UnsafeQueue",
      message: expect.stringContaining(name),
    });
  });

  it("is used if it is only weaker than ours, and that is told", async () => {
    told.length = 0;
    await sqs.send(
      new CreateQueueCommand({
        QueueName: "weak",
        Attributes: {
          VisibilityTimeout: "5",
          DelaySeconds: "900",
          MessageRetentionPeriod: "60",
          MaximumMessageSize: "1024",
        },
      }),
    );
    expect(await queues.createQueue("weak")).toContain("weak");
    const words = [
      "without TLS",
      "VisibilityTimeout",
      "DelaySeconds",
      "MessageRetentionPeriod",
      "MaximumMes",
    ];
    expect(told).toEqual(words.map((word) => expect.stringContaining(word)));
  });

  it("may be encrypted with the deployment's key, by its id or ARN, and with another it is told", () => {
    const { Policy } = queueAttributes(undefined) as { Policy: string };
    const of = (KmsMasterKeyId: string) =>
      differences("q", { Policy, KmsMasterKeyId }, "arn:aws:kms:r:1:key/k1");
    expect(of("k1")).toEqual([]);
    expect(of("arn:aws:kms:r:1:key/k1")).toEqual([]);
    expect(of("k2")).toEqual([expect.stringContaining("encrypted with key k2")]);
    expect(differences("q", { Policy }, "k1")).toEqual([expect.stringContaining("no key of yours")]);
    expect(differences("q", { Policy, SqsManagedSseEnabled: "false" }, undefined)).toEqual([
      "it is not encrypted",
    ]);
    expect(differences("q", { Policy, SqsManagedSseEnabled: "true" }, undefined)).toEqual([]);
  });

  it("keeps messages from coming again, ten with a request, and says of how many it did not", async () => {
    const url = await queues.createQueue("extended");
    const signal = new AbortController().signal;
    for (let one = 0; one < 10; one++) await queues.send(url, { body: `${one}`, attributes: {} });
    const receipts = (await queues.receive(url, 1, signal)).map((one) => one.receipt);
    expect(receipts).toHaveLength(10);
    await queues.extend(url, receipts.slice(1), 60);
    await queues.extend(url, receipts.slice(0, 1), 0);
    expect((await queues.receive(url, 1, signal)).map(({ body }) => body)).toEqual(["0"]);
    await expect(queues.extend(url, [receipts[1]!, "not a receipt"], 60)).rejects.toThrow(
      /1 of 2 messages of queue .*extended are not extended.*ReceiptHandle/,
    );
  });

  it("says who has sent what is in it", async () => {
    const url = await queues.createQueue("senders");
    await queues.send(url, { body: "b", attributes: {} });
    const [message] = await queues.receive(url, 1, new AbortController().signal);
    // Everybody is this account here.
    expect(message!.sender).toBe("000000000000");
  });
});
