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
