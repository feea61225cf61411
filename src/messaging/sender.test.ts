import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ActionMessage } from "../maintainer/base/port.ts";
import { Sender } from "./actions.ts";
import { SAFE_MESSAGE_BYTES } from "./limits.ts";
import { type EmbeddedQueues, startEmbeddedQueues } from "./testing/queues.ts";

const PREFIX = "weir-action-";
let queues: EmbeddedQueues;
let deadLetterQueueUrl: string;
let sender: Sender;
let failures: string[];
let number = 0;

beforeAll(async () => {
  queues = await startEmbeddedQueues();
});
afterAll(() => queues.stop());
beforeEach(async () => {
  failures = [];
  deadLetterQueueUrl = await queues.create(`dead-${number++}`);
  sender = new Sender(queues.client, {
    actionQueuePrefix: PREFIX,
    deadLetterQueueUrl,
    onFailure: (queue, error) => failures.push(`${queue}: ${(error as Error).message}`),
  });
});

const message = (queue: string, body = "{}"): ActionMessage => ({
  queue,
  type: "HeartBeatResponse",
  encoding: "json",
  body,
  about: [],
});
const newQueue = async () => {
  const name = `${PREFIX}${number++}`;
  return { name, url: await queues.create(name) };
};
const bodies = async (url: string) => (await queues.drain(url)).map((one) => one.Body).sort();

describe("send", () => {
  it("sends one message with its type and encoding", async () => {
    const { name, url } = await newQueue();
    expect(await sender.send([{ ...message(name, "AA=="), encoding: "protobuf" }])).toEqual(["sent"]);
    const [received] = await queues.drain(url);
    expect(received!.Body).toBe("AA==");
    expect(received!.MessageAttributes).toEqual({
      type: { DataType: "String", StringValue: "HeartBeatResponse" },
      encoding: { DataType: "String", StringValue: "protobuf" },
    });
    expect(sender.counts).toEqual({ SendMessage: 1 });
  });

  it("puts messages of one queue into batches of ten, and asks for no URL", async () => {
    const { name, url } = await newQueue();
    const sent = Array.from({ length: 23 }, (_, index) => String(index));
    const results = await sender.send(sent.map((body) => message(name, body)));
    expect(new Set(results)).toEqual(new Set(["sent"]));
    expect(await bodies(url)).toEqual(sent.toSorted());
    await sender.send([message(name)]);
    expect(sender.counts).toEqual({ SendMessageBatch: 3, SendMessage: 1 });
  });

  it("keeps a batch below the limit, and sends a message of that size alone", async () => {
    const { name, url } = await newQueue();
    const large = "x".repeat(SAFE_MESSAGE_BYTES / 2 - 10);
    const sent = [large, large, "small", "x".repeat(SAFE_MESSAGE_BYTES)];
    expect(await sender.send(sent.map((body) => message(name, body)))).toEqual([
      "sent",
      "sent",
      "sent",
      "sent",
    ]);
    expect(await bodies(url)).toEqual(sent.toSorted());
    expect(sender.counts).toEqual({ SendMessageBatch: 1, SendMessage: 2 });
  });

  it("sends to many queues over few connections", async () => {
    const many = await Promise.all(Array.from({ length: 40 }, newQueue));
    let open = 0;
    let most = 0;
    queues.client.middlewareStack.add(
      (next) => async (args) => {
        most = Math.max(most, ++open);
        try {
          return await next(args);
        } finally {
          open--;
        }
      },
      { step: "initialize", name: "connections" },
    );
    const options = { actionQueuePrefix: PREFIX, deadLetterQueueUrl, connections: 4 };
    const results = await new Sender(queues.client, options).send(
      many.map(({ name }) => message(name, name)),
    );
    queues.client.middlewareStack.remove("connections");
    expect(new Set(results)).toEqual(new Set(["sent"]));
    expect(most).toBe(4);
    for (const { name, url } of many) expect(await bodies(url)).toEqual([name]);
  });

  it("says which queues are gone, in the order of the messages, and finds one that came back", async () => {
    const [here, gone] = [await newQueue(), await newQueue()];
    expect(await sender.send([message(gone.name)])).toEqual(["sent"]);
    await queues.remove(gone.url);
    const never = `${PREFIX}never`;
    const results = await sender.send([gone.name, here.name, never, gone.name].map((name) => message(name)));
    expect(results).toEqual(["no-such-queue", "sent", "no-such-queue", "no-such-queue"]);
    expect(failures).toEqual([]);
    await queues.create(gone.name);
    expect(await sender.send([message(gone.name)])).toEqual(["sent"]);
  });

  it("asks for URLs where it knows none to go by, once for each queue", async () => {
    sender = new Sender(queues.client, { actionQueuePrefix: PREFIX, deadLetterQueueUrl: "" });
    const { name, url } = await newQueue();
    await sender.send([message(name, "1")]);
    await sender.send([message(name, "2")]);
    expect(await bodies(url)).toEqual(["1", "2"]);
    expect(sender.counts).toEqual({ GetQueueUrl: 1, SendMessage: 2 });
    await queues.remove(url);
    expect(await sender.send([message(name)])).toEqual(["no-such-queue"]);
    await queues.create(name);
    expect(await sender.send([message(name)])).toEqual(["sent"]);
    // It may be another queue now, with another URL.
    expect(sender.counts["GetQueueUrl"]).toBe(2);
  });

  it("sends nothing to a name that is none", async () => {
    const { name } = await newQueue();
    expect(await sender.send([message(`${name}/../dead`)])).toEqual(["failed"]);
    expect(failures[0]).toContain("is no name of a queue");
  });

  it("asks for a URL again that it did not get", async () => {
    const { name } = await newQueue();
    sender = new Sender(queues.client, {
      actionQueuePrefix: PREFIX,
      deadLetterQueueUrl: "",
      onFailure: (queue, error) => failures.push(`${queue}: ${(error as Error).message}`),
    });
    queues.client.middlewareStack.add(
      () => async () => {
        throw new Error("busy");
      },
      { step: "initialize", name: "busy" },
    );
    expect(await sender.send([message(name)])).toEqual(["failed"]);
    queues.client.middlewareStack.remove("busy");
    expect(failures).toEqual([`${name}: busy`]);
    expect(await sender.send([message(name)])).toEqual(["sent"]);
  });

  // protocol.md R2, R17; invariants.md Q1
  it("sends nothing to a queue outside of the prefix, and the rest all the same", async () => {
    const { name, url } = await newQueue();
    const outside = `other-${number++}`;
    const outsideUrl = await queues.create(outside);
    const results = await sender.send([message(outside), message(name), message(deadLetterQueueUrl)]);
    expect(results).toEqual(["failed", "sent", "failed"]);
    expect(failures[0]).toContain(`queue "${outside}" is outside of the prefix "${PREFIX}"`);
    expect(await bodies(outsideUrl)).toEqual([]);
    expect(await bodies(url)).toHaveLength(1);
    expect(sender.counts).toEqual({ SendMessage: 1 });
  });

  it("says which messages of a batch the queue does not take", async () => {
    const name = `${PREFIX}${number++}`;
    const url = await queues.create(name, 2048);
    const results = await sender.send([message(name), message(name, "x".repeat(3000)), message(name)]);
    expect(results).toEqual(["sent", "failed", "sent"]);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toContain("shorter than 2048 bytes");
    expect(await bodies(url)).toEqual(["{}", "{}"]);
    expect(sender.counts["SendMessageBatch"]).toBe(1);
  });

  it("has failed where nobody answers", async () => {
    const elsewhere = await startEmbeddedQueues();
    const { client } = elsewhere;
    await elsewhere.stop();
    const options = { actionQueuePrefix: PREFIX, deadLetterQueueUrl };
    expect(await new Sender(client, options).send([message(`${PREFIX}x`)])).toEqual(["failed"]);
  });

  it("repeats what a batch left over through no fault of its own", async () => {
    const { name, url } = await newQueue();
    let answers = 0;
    queues.client.middlewareStack.add(
      (next, context) => async (args) => {
        const answer = await next(args);
        if (context.commandName !== "SendMessageBatchCommand" || answers++ > 0) return answer;
        // As SQS does when it is busy: the message is not taken, and the sender is not to blame.
        const output = answer.output as { Failed?: unknown };
        output.Failed = [{ Id: "1", SenderFault: false, Code: "InternalError" }];
        return answer;
      },
      { step: "initialize", name: "busy" },
    );
    const results = await sender.send([message(name, "a"), message(name, "b"), message(name, "c")]);
    queues.client.middlewareStack.remove("busy");
    expect(results).toEqual(["sent", "sent", "sent"]);
    expect(await bodies(url)).toEqual(["a", "b", "b", "c"]);
    expect(failures).toEqual([]);
  });
});
