/** Both halves of the port as the functions make it: clients from the environment, requests counted. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { GetItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "../storage/testing/embedded.ts";
import { K1, name, roster, space, step } from "../storage/testing/samples.ts";
import { createClients, createPort } from "./aws-port.ts";
import { type EmbeddedQueues, startEmbeddedQueues } from "./testing/queues.ts";

let dynamo: EmbeddedDynamo;
let queues: EmbeddedQueues;
beforeAll(async () => {
  [dynamo, queues] = await Promise.all([startEmbeddedDynamo(), startEmbeddedQueues()]);
});
afterAll(() => Promise.all([dynamo.stop(), queues.stop()]));
afterEach(() => vi.unstubAllEnvs());

function environment(endpoints: { dynamodb: string; sqs: string }): void {
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", endpoints.dynamodb);
  vi.stubEnv("AWS_ENDPOINT_URL_SQS", endpoints.sqs);
  vi.stubEnv("AWS_REGION", "us-east-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
}

describe("the port on AWS", () => {
  it("asks the environment's endpoints, and counts what it asks", async () => {
    environment({ dynamodb: dynamo.url, sqs: queues.url });
    const { table } = await dynamo.store();
    // Its host is a name that not every resolver knows: requests go to the endpoint all the same.
    const deadLetterQueueUrl = await queues.create("dead");
    expect(new URL(deadLetterQueueUrl).host).not.toBe(new URL(queues.url).host);
    await queues.create("weir-action-n1");
    const clients = createClients();
    const port = createPort(clients, {
      table: table.name,
      deadLetterQueueUrl,
      actionQueuePrefix: "weir-action-",
    });

    await port.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });
    await port.commitRoot(space, { sameEpoch: 1n }, { open: { key: K1, step: step() } });
    expect((await port.commitRoot(space, { sameEpoch: 2n }, { remove: K1 })).committed).toBe(false);
    await port.touchBarrier(name(K1), { notClosed: true }, { stamp: 1 });
    const action = { type: "HeartBeatResponse", encoding: "json", body: "{}", about: [] } as const;
    expect(await port.send([{ ...action, queue: "weir-action-n1" }])).toEqual(["sent"]);
    await port.deadLetter({ body: "?", attributes: {}, reason: "r" });
    await port.pause(1);
    expect(port.counts()).toEqual({
      dynamodb: { UpdateItem: 4, GetItem: 1 },
      failedConditions: 1,
      sqs: { SendMessage: 2 },
    });
    clients.dynamodb.destroy();
    clients.sqs.destroy();
  });

  it("copies no request for a log that nobody reads", async () => {
    environment({ dynamodb: dynamo.url, sqs: queues.url });
    const { table } = await dynamo.store();
    const { dynamodb, sqs } = createClients();
    let answered = false;
    const read = vi.fn();
    dynamodb.middlewareStack.add(
      (next) => async (args) => {
        const response = await next(args);
        answered = true;
        return response;
      },
      { step: "initialize", priority: "low" },
    );
    const value = {
      get S() {
        if (answered) read();
        return "x";
      },
    };
    await dynamodb.send(new GetItemCommand({ TableName: table.name, Key: { pk: value, sk: value } }));
    expect(answered).toBe(true);
    expect(read).not.toHaveBeenCalled();
    dynamodb.destroy();
    sqs.destroy();
  });

  it("gives up a request that nobody answers, and repeats it", async () => {
    let requests = 0;
    const silent: Server = createServer(() => void requests++);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    environment({ dynamodb: url, sqs: url });
    const clients = createClients({ answerTimeout: 50, attempts: 2 });
    const options = { table: "t", deadLetterQueueUrl: `${url}/0/dead`, actionQueuePrefix: "weir-" };
    const port = createPort(clients, options);
    await expect(port.readRoot(space)).rejects.toThrow(/50 ms requestTimeout/);
    expect(requests).toBe(2);
    await expect(port.deadLetter({ body: "?", attributes: {}, reason: "r" })).rejects.toThrow();
    expect(requests).toBe(4);
    clients.dynamodb.destroy();
    clients.sqs.destroy();
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
  });
});
