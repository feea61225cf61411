/** A maintainer that fails: what it was given comes back, and does its work when the function is mended. */
import { once } from "node:events";
import { InvokeCommand } from "@aws-sdk/client-lambda";
import { GetQueueAttributesCommand, SetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { QueueClient } from "../../src/dispatcher/index.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { Deployed } from "./deployed.ts";
import { Environment } from "./environment.ts";
import { progress } from "./progress.ts";
import { between, withoutRepeats } from "./queues.ts";
import { readTarget } from "./target.ts";
import { pause, until } from "./until.ts";
import { event, World } from "./world.ts";

/** In place of the deployed 120 s, while the function fails. */
const VISIBILITY_SECONDS = 3;

const deployed = new Deployed(readTarget());
const tables = [210n, 211n].map((tableId) => ({ tableId, name: `t${tableId}` }));
let environment: Environment;
let visibility: string;

beforeAll(async () => {
  environment = await Environment.read(deployed.target);
  visibility = await visibilityTimeout();
});
afterAll(() => {
  environment.close();
  deployed.close();
});

async function visibilityTimeout(change?: string): Promise<string> {
  const QueueUrl = deployed.statusQueueUrl;
  const name = "VisibilityTimeout";
  if (change !== undefined)
    await deployed.sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { [name]: change } }));
  const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [name] });
  return (await deployed.sqs.send(command)).Attributes![name]!;
}

/** What an invocation with one record says: its error, or its answer. */
async function invoke(): Promise<{ error: string | undefined; answer: string }> {
  const statuses = [{ ID: { low: "1" }, life: "1", componentStatus: "Removed" }];
  const body = JSON.stringify({ changefeedID: { name: "nobody", keyspace: "default" }, statuses });
  const attribute = (stringValue: string) => ({ stringValue, dataType: "String" });
  const record = {
    messageId: "m1",
    body,
    attributes: { SentTimestamp: String(Date.now()), ApproximateReceiveCount: "1", SenderId: "" },
    messageAttributes: {
      type: attribute("HeartBeatRequest"),
      from: attribute("nobody"),
      start: attribute("1"),
    },
  };
  const answer = await environment.lambda.send(
    new InvokeCommand({
      FunctionName: environment.functionName,
      Payload: JSON.stringify({ Records: [record] }),
    }),
  );
  return { error: answer.FunctionError, answer: Buffer.from(answer.Payload!).toString() };
}

/**
 * The queues of a node that hears nothing between its first action and `mended`. The sweeper does not fail: once a minute it
 * sends a Write again whose DONE it has not seen, and who has written says DONE again (protocol.md D6). That would be a second
 * message in the queue.
 */
function deafAfterItsAction(real: QueueClient, mended: Promise<void>): QueueClient {
  let acted = false;
  return between(real, {
    async receive(url, seconds, signal) {
      const messages = await real.receive(url, seconds, signal);
      if (acted) await Promise.race([mended, once(signal, "abort")]);
      acted ||= messages.some(({ body }) => body.includes('"action"'));
      return messages;
    },
  });
}

it.each([
  {
    name: "throws",
    broken: () => ({ ...environment.variables, WEIR_TABLE: "" }),
    shows: { error: "Unhandled", answer: "environment variable WEIR_TABLE is not set" },
  },
  {
    name: "gives-messages-back",
    broken: () => ({ ...environment.variables, WEIR_TABLE: "no-such-table" }),
    shows: { error: undefined, answer: '{"batchItemFailures":[{"itemIdentifier":"m1"}]}' },
  },
])(
  "a report comes back while the function $name, and closes the barrier after that",
  async ({ name, broken, shows }) => {
    progress(`a function that ${name}: the DONE of a Write meets it`);
    const mended = Promise.withResolvers<void>();
    await using world = await World.start(deployed.target, {
      name,
      nodes: 1,
      schemas: [{ schemaId: 1n, name: "s", tables }],
      // A WAITING that is said again would be a second message in the queue.
      queues: (real) => deafAfterItsAction(withoutRepeats(real), mended.promise),
    });
    const dispatchers = (await Promise.all(tables.map(({ tableId }) => world.table(tableId, 1n)))).flat();
    const ddl = event(400n, { tables: [210n, 211n] });
    const gate = Promise.withResolvers<void>();
    world.gates.set(keyText(ddl.key), gate.promise);
    const met = world.meet(ddl, dispatchers);
    await until("the Write to be granted", async () => (await deployed.phaseOf(world, ddl)) === "writing");
    await until("the status queue to be empty", async () => {
      const { waiting, inFlight } = await deployed.depth(deployed.statusQueueUrl);
      return waiting + inFlight === 0;
    });
    try {
      await environment.use(broken());
      await visibilityTimeout(String(VISIBILITY_SECONDS));
      const { error, answer } = await invoke();
      expect(error).toBe(shows.error);
      expect(answer).toContain(shows.answer);
      gate.resolve();
      await until("the DONE to be in work", async () => {
        return (await deployed.depth(deployed.statusQueueUrl)).inFlight === 1;
      });
      // Long enough for several deliveries. A DONE is sent once: it is the same message all the time.
      await pause(3 * VISIBILITY_SECONDS * 1000);
      expect(await deployed.settledDepth(deployed.statusQueueUrl)).toBe(1);
      expect(await deployed.phaseOf(world, ddl)).toBe("writing");
    } finally {
      progress("  the function is mended");
      await environment.use(environment.variables);
      await visibilityTimeout(visibility);
      mended.resolve();
    }
    await met;
    expect((await deployed.closed(world, ddl)).lives).toBe(2);
    expect(world.about(ddl).map((entry) => entry.what)).toEqual(["flush", "flush", "write", "pass"]);
    expect(await deployed.depth(deployed.deadLetterQueueUrl)).toEqual({ waiting: 0, inFlight: 0 });
  },
);
