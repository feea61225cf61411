/** Who speaks in the name of a node that somebody else registered is not heard, and seen (protocol.md R7). */

import { SQSClient } from "@aws-sdk/client-sqs";
import { create } from "@bufbuild/protobuf";
import { afterAll, expect, it } from "vitest";
import { dispatcherId } from "../../src/barrier/dispatcher-id.ts";
import { doneState } from "../../src/dispatcher/states.ts";
import { encode } from "../../src/protocol/codec.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { BlockStatusRequestSchema, DoneAction } from "../../src/protocol/messages.ts";
import { attributesOf, Deployed } from "./deployed.ts";
import { progress } from "./progress.ts";
import { clientConfig, readTarget } from "./target.ts";
import { until } from "./until.ts";
import { event, World } from "./world.ts";

/** Another account: in LocalStack, an access key of 12 digits is one. */
const STRANGER = "111111111111";

const deployed = new Deployed(readTarget());
const stranger = new SQSClient(clientConfig(deployed.target.endpoint, STRANGER));
afterAll(() => {
  stranger.destroy();
  deployed.close();
});

it("keeps a DONE that another account sends in the name of the writer, and waits for the writer's own", async () => {
  progress("another account says DONE in the name of the writer");
  const tables = [{ tableId: 230n, name: "t230" }];
  const schemas = [{ schemaId: 1n, name: "s", tables }];
  await using world = await World.start(deployed.target, { name: "sender", nodes: 1, schemas });
  const dispatchers = await world.table(230n, 1n, 2);
  const ddl = event(600n, { tables: [230n] });
  const gate = Promise.withResolvers<void>();
  world.gates.set(keyText(ddl.key), gate.promise);
  const met = world.meet(ddl, dispatchers);
  await until("the Write to be granted", async () => (await deployed.phaseOf(world, ddl)) === "writing");

  const { changefeed } = world;
  const forged = create(BlockStatusRequestSchema, {
    changefeedID: changefeed,
    blockStatuses: dispatchers.map(({ config, life }) => ({
      ID: dispatcherId(config.id),
      life,
      state: doneState(ddl.key, DoneAction.WRITE_DONE),
    })),
  });
  const node = world.nodes[0]!.id;
  const start = (await deployed.roster(world)).nodes.get(node)!.start.toString();
  const attributes = { type: "BlockStatusRequest", from: node, start, encoding: "json" };
  const body = encode("BlockStatusRequest", "json", forged);
  await deployed.send(deployed.statusQueueUrl, body, attributes, stranger);

  const { message, remove } = await deployed.receive(deployed.deadLetterQueueUrl, "the stranger's DONE");
  // LocalStack writes a JSON body anew on its way to the function.
  expect(JSON.parse(message.Body!)).toEqual(JSON.parse(body));
  expect(attributesOf(message)["reason"]).toContain(STRANGER);
  await remove();
  expect(await deployed.phaseOf(world, ddl)).toBe("writing");
  expect(world.about(ddl).map((entry) => entry.what)).toEqual(["flush", "flush"]);

  gate.resolve();
  await met;
  await deployed.closed(world, ddl);
});
