/** Requests of the functions' clients over a network that has fallen silent, as after an environment was frozen. */
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterEach, expect, it } from "vitest";
import { type Engine, startSqs } from "../local/engines.ts";
import { Connections } from "./connections.ts";
import { Network } from "./testing/network.ts";

let engine: Engine;
let network: Network;
let client: SQSClient;
afterEach(async () => {
  client.destroy();
  await network.stop();
  await engine.stop();
});

it("loses one attempt to kept connections that are silent, however many there are", {
  timeout: 30_000,
}, async () => {
  engine = await startSqs();
  network = await Network.before(engine.url);
  client = new SQSClient({
    endpoint: network.url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 2,
    requestHandler: new Connections({ answerMs: 500 }),
  });
  const ask = () => client.send(new ListQueuesCommand());
  await Promise.all(Array.from({ length: 8 }, ask));
  expect(network.connections).toBe(8);
  network.carryNew();
  // Seven of the kept connections are left when the first has been given up: none of them is tried.
  await ask();
  await ask();
  expect(network.connections).toBeGreaterThan(8);
  await Promise.all(Array.from({ length: 8 }, ask));
});

it("does not wait for the rest of an answer for ever", { timeout: 30_000 }, async () => {
  engine = await startSqs();
  network = await Network.before(engine.url);
  client = new SQSClient({
    endpoint: network.url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
    requestHandler: new Connections({ answerMs: 300 }),
  });
  await client.send(new ListQueuesCommand());
  network.fallSilent();
  await expect(client.send(new ListQueuesCommand())).rejects.toMatchObject({ name: "TimeoutError" });
});

it("gives up who is not answered in time, although an answer may have long pauses once it has begun", {
  timeout: 30_000,
}, async () => {
  engine = await startSqs();
  network = await Network.before(engine.url);
  client = new SQSClient({
    endpoint: network.url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
    requestHandler: new Connections({ answerMs: 300, silenceMs: 600_000 }),
  });
  await client.send(new ListQueuesCommand());
  network.fallSilent();
  await expect(client.send(new ListQueuesCommand())).rejects.toMatchObject({ name: "TimeoutError" });
});
