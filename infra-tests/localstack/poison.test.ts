/** A message that nobody can read: it stops nobody, is kept with the reason, and does its work when it is mended. */
import { ListMessageMoveTasksCommand, StartMessageMoveTaskCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Dispatcher } from "../../src/dispatcher/hosted.ts";
import type { QueueClient } from "../../src/dispatcher/index.ts";
import { attributesOf, Deployed } from "./deployed.ts";
import { Environment } from "./environment.ts";
import { progress } from "./progress.ts";
import { between } from "./queues.ts";
import { readTarget } from "./target.ts";
import { until } from "./until.ts";
import { event, World } from "./world.ts";

const name = "poison";
const tables = [200n, 201n, 202n, 203n].map((tableId) => ({ tableId, name: `t${tableId}` }));
const deployed = new Deployed(readTarget());
let environment: Environment;
let world: World;
let dispatchers: Dispatcher[];
/** The next DONE of a Write loses its last character on its way. It is never sent again (protocol.md D4). */
let damageNext = false;
const damaging = (real: QueueClient) =>
  between(real, {
    async send(url, message) {
      const damage = damageNext && message.body.includes("WRITE_DONE");
      if (damage) damageNext = false;
      await real.send(url, damage ? { ...message, body: message.body.slice(0, -1) } : message);
    },
  });

/** What LocalStack gives as the sender of everything: the account, where AWS gives the id of a role or a user. */
const OPERATOR = "000000000000";

beforeAll(async () => {
  environment = await Environment.read(deployed.target);
  const { variables } = environment;
  await environment.use({ ...variables, WEIR_REDRIVERS: `${variables["WEIR_REDRIVERS"]},${OPERATOR}` });
  progress("a capture node damages the DONE of a Write");
  const schemas = [{ schemaId: 1n, name: "s", tables }];
  world = await World.start(deployed.target, { name, nodes: 1, schemas, queues: damaging });
  dispatchers = (await Promise.all(tables.map(({ tableId }) => world.table(tableId, 1n)))).flat();
});
afterAll(async () => {
  await world.stop();
  await environment.use(environment.variables);
  environment.close();
  deployed.close();
});

/** Moves what is in the dead-letter queue to the status queue, as an operator does. */
async function redrive(): Promise<void> {
  const SourceArn = await deployed.arnOf(deployed.deadLetterQueueUrl);
  const DestinationArn = await deployed.arnOf(deployed.statusQueueUrl);
  await deployed.sqs.send(new StartMessageMoveTaskCommand({ SourceArn, DestinationArn }));
  await until("the dead-letter queue to be redriven", async () => {
    const { Results = [] } = await deployed.sqs.send(new ListMessageMoveTasksCommand({ SourceArn }));
    return Results[0]?.Status === "COMPLETED" && Results[0].ApproximateNumberOfMessagesMoved === 1;
  });
}

it("is kept with the reason, and again when it is redriven as it is, and works when it is mended", async () => {
  const stuck = event(300n, { tables: [200n, 201n] });
  const other = event(301n, { tables: [202n, 203n] });
  damageNext = true;
  const met = world.meet(stuck, dispatchers.slice(0, 2));
  await until("the damaged DONE", () => !damageNext);
  progress("  others go on");
  await world.meet(other, dispatchers.slice(2));
  await deployed.closed(world, other);

  progress("  it is kept with the reason");
  const first = await deployed.receive(deployed.deadLetterQueueUrl, "the message in the dead-letter queue");
  const attributes = attributesOf(first.message);
  expect(attributes).toMatchObject({
    type: "BlockStatusRequest",
    from: world.nodes[0]!.id,
    encoding: "json",
    reason: expect.stringContaining("JSON"),
    sentAt: expect.stringMatching(/^\d{13}$/),
  });
  expect(await deployed.phaseOf(world, stuck)).toBe("writing");

  progress("  redriven as it is, it comes back");
  await deployed.send(deployed.deadLetterQueueUrl, first.message.Body!, attributes);
  await first.remove();
  await redrive();
  const again = await deployed.receive(deployed.deadLetterQueueUrl, "the same message again");
  expect(again.message.Body).toBe(first.message.Body);
  expect(attributesOf(again.message)).toEqual(attributes);
  expect(await deployed.phaseOf(world, stuck)).toBe("writing");

  progress("  redriven when it is mended, it closes the barrier");
  await deployed.send(deployed.deadLetterQueueUrl, `${again.message.Body}}`, attributesOf(again.message));
  await again.remove();
  await redrive();
  await met;
  await deployed.closed(world, stuck);
  expect(world.about(stuck).map((entry) => entry.what)).toEqual(["flush", "flush", "write", "pass"]);
  expect(await deployed.depth(deployed.deadLetterQueueUrl)).toEqual({ waiting: 0, inFlight: 0 });
});
