/** A node on SQS whose network fails it: what it wants to say is said, and what is said to it is heard, when the network is back. */
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, it } from "vitest";
import { dispatcherId, dispatcherKey } from "../barrier/dispatcher-id.ts";
import { type Engine, startSqs } from "../local/engines.ts";
import { Network } from "../messaging/testing/network.ts";
import { decode, encode } from "../protocol/codec.ts";
import { Action, ChangefeedIDSchema, HeartBeatResponseSchema, InfluenceType } from "../protocol/messages.ts";
import { withDeadlines } from "./deadlines.ts";
import { NoAnswer } from "./errors.ts";
import { CaptureNode } from "./node.ts";
import { type ReceivedMessage, systemClock } from "./ports.ts";
import { SqsQueues } from "./sqs-queues.ts";
import { everybody } from "./testing/doubles.ts";

const changefeed = create(ChangefeedIDSchema, { low: 1n, name: "cf" });
const id = dispatcherKey({ high: 0n, low: 1n });
const key = { commitTs: 100n, isSyncPoint: true };
const credentials = { accessKeyId: "local", secretAccessKey: "local" };

let engine: Engine;
let network: Network;
/** Over the network, and beside it. */
let far: SqsQueues;
let near: SqsQueues;
let node: CaptureNode;
let statusUrl: string;
const errors: unknown[] = [];

async function start(): Promise<void> {
  engine = await startSqs();
  network = await Network.before(engine.url);
  far = new SqsQueues({ endpoint: network.url, region: "us-east-1", credentials });
  near = new SqsQueues({ endpoint: engine.url, region: "us-east-1", credentials });
  statusUrl = await near.createQueue("status");
  errors.length = 0;
  node = new CaptureNode({
    id: "n1",
    changefeed,
    queues: far,
    statusQueueUrl: statusUrl,
    actionQueuePrefix: "p-",
    answerMs: 400,
    pollSeconds: 1,
    onError: (error) => errors.push(error),
  });
  await node.start();
}
afterEach(async () => {
  await node.stop({ limitMs: 100 });
  far.destroy();
  near.destroy();
  await network.stop();
  await engine.stop();
});

/** The next message of a type in the status queue. */
async function told(type: string): Promise<ReceivedMessage> {
  for (;;) {
    const messages = await near.receive(statusUrl, 1, new AbortController().signal);
    await near
      .delete(
        statusUrl,
        messages.map((one) => one.receipt),
      )
      .catch(() => undefined);
    const found = messages.find(
      (one) => one.attributes["type"] === type && /"spans"|"blockStatuses"/.test(one.body),
    );
    if (found) return found;
  }
}

async function tell(type: string, body: string): Promise<void> {
  const url = await near.createQueue("p-n1");
  await near.send(url, { body, attributes: { type, encoding: "json" } });
}

async function dispatcher() {
  const created = node.createDispatcher({
    id,
    tableId: 1n,
    schemaId: 1n,
    checkpointTs: 1n,
    sink: {
      write: async () => undefined,
      flushBeforeBlock: async () => undefined,
      writeBlockEvent: async () => undefined,
      passBlockEvent: async () => undefined,
    },
  });
  const { body } = await told("MaintainerBootstrapResponse");
  const life = String(decode("MaintainerBootstrapResponse", "json", body).spans[0]!.life);
  const accepted = [{ id: { high: "0", low: "1" }, life }];
  await tell("RegistrationResult", JSON.stringify({ accepted, refused: [], maintainerEpoch: "1" }));
  return created;
}

const pass = () =>
  tell(
    "HeartBeatResponse",
    encode(
      "HeartBeatResponse",
      "json",
      create(HeartBeatResponseSchema, {
        changefeedID: changefeed,
        maintainerEpoch: 1n,
        dispatcherStatuses: [
          {
            influencedDispatchers: { InfluenceType: InfluenceType.Normal, DispatcherIDs: [dispatcherId(id)] },
            action: { action: Action.Pass, CommitTs: key.commitTs, IsSyncPoint: true },
          },
        ],
      }),
    ),
  );

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 20));
}

const event = { key, blockTables: everybody, payload: undefined };

it("asks anew, over new connections, when its own have fallen silent and stay open", {
  timeout: 60_000,
}, async () => {
  await start();
  const one = await dispatcher();
  network.fallSilent();
  const handled = one.handle(event);
  // Both directions are silent: each is told.
  await until(() => errors.some((error) => error instanceof NoAnswer && /^a message/.test(error.message)));
  await until(() => errors.some((error) => error instanceof NoAnswer && /^the poll/.test(error.message)));
  network.carryNew();
  const { body } = await told("BlockStatusRequest");
  expect(decode("BlockStatusRequest", "json", body).blockStatuses[0]!.state!.BlockTs).toBe(100n);
  await pass();
  await handled;
});

it("goes on when connections are reset", { timeout: 60_000 }, async () => {
  await start();
  const one = await dispatcher();
  network.reset();
  const handled = one.handle(event);
  await until(() => errors.length > 3);
  network.carryNew();
  await told("BlockStatusRequest");
  await pass();
  await handled;
});

it("loses one request to kept connections that are silent, however many there are", {
  timeout: 60_000,
}, async () => {
  await start();
  const own = new SqsQueues({ endpoint: network.url, region: "us-east-1", credentials });
  const queues = withDeadlines(own, systemClock, 2_000);
  const send = () => queues.send(statusUrl, { body: "{}", attributes: { type: "nothing" } });
  await Promise.all(Array.from({ length: 8 }, send));
  network.carryNew();
  await expect(send()).rejects.toThrow(NoAnswer);
  await send();
  own.destroy();
});
