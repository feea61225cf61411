import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { startSqs } from "../local/engines.ts";
import { SqsQueues } from "./sqsqueues.ts";

/** More than the connections that the SDK's client has by default. */
const POLLED = 60;

it("sends while more queues are polled than an SDK client has connections", async () => {
  const engine = await startSqs();
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
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

it("waits for a name that SQS holds back because its queue was just deleted", async () => {
  let requests = 0;
  // The engine here gives a name away at once. This is the answer that SQS gives, twice, before it does.
  const server = createServer((request, answer) => {
    request.resume();
    const refused = ++requests <= 2;
    const body = refused
      ? { __type: "com.amazonaws.sqs#QueueDeletedRecently", message: "You must wait 60 seconds" }
      : { QueueUrl: "the-queue" };
    answer.writeHead(refused ? 400 : 200, { "content-type": "application/x-amz-json-1.0" });
    answer.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const queues = new SqsQueues({ endpoint, region: "us-east-1", credentials }, { recreateEveryMs: 1 });
  expect(await queues.createQueue("q")).toBe("the-queue");
  expect(requests).toBe(3);
  queues.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
