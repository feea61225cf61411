/** What comes to an action queue and cannot be understood goes, and what follows is obeyed. */
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { dispatcherId, dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import { CaptureNode } from "../../src/dispatcher/node.ts";
import { MemoryQueues } from "../../src/dispatcher/testing/doubles.ts";
import { decode, encode, type MessageType } from "../../src/protocol/codec.ts";
import {
  Action,
  ChangefeedIDSchema,
  HeartBeatResponseSchema,
  InfluenceType,
} from "../../src/protocol/messages.ts";
import { anyMessage, mutated, mutatedAttributes } from "./arbitrary.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 400);
const seed = Number(process.env["FUZZ_SEED"] ?? 1);
/** Messages of one run. */
const AT_A_TIME = 40;

const changefeed = create(ChangefeedIDSchema, { high: 9n, low: 9n, name: "fuzzed", keyspace: "default" });
const id = dispatcherKey({ high: 0n, low: 1n });
const key = { commitTs: 100n, isSyncPoint: true };

const result = fc.record({
  accepted: fc.array(
    fc.record({ id: fc.record({ high: fc.string(), low: fc.string() }), life: fc.string() }),
  ),
  refused: fc.array(
    fc.record({
      id: fc.record({ high: fc.constant("0"), low: fc.constantFrom("1", "2", "x") }),
      life: fc.oneof(fc.constantFrom("1", "-1"), fc.string()),
      knownLife: fc.constantFrom("0", "5", "", "life"),
      reason: fc.string(),
    }),
  ),
  maintainerEpoch: fc.constantFrom("1", "0", "x"),
});
const registrationResult = fc.oneof(result, fc.jsonValue()).map((value) => ({
  type: "RegistrationResult" as const,
  encoding: "json" as const,
  body: JSON.stringify(value),
}));
const answers = fc.oneof(
  registrationResult,
  fc.constantFrom<MessageType>("HeartBeatResponse", "ScheduleDispatcherRequest").chain(anyMessage),
);
const junk = answers.chain((one) =>
  fc.record({
    body: mutated(one as Parameters<typeof mutated>[0]),
    attributes: mutatedAttributes({ type: one.type, encoding: one.encoding }),
  }),
);

async function until(what: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1_000 && !what(); attempt++)
    await new Promise((resolve) => setTimeout(resolve, 2));
  expect(what()).toBe(true);
}

it("obeys what it understands among messages of any kind", { timeout: 60_000 + RUNS * 100 }, async () => {
  let told = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(junk, { minLength: AT_A_TIME, maxLength: AT_A_TIME }), async (messages) => {
      const queues = new MemoryQueues();
      const calls: string[] = [];
      const node = new CaptureNode({
        id: "n1",
        changefeed,
        queues,
        statusQueueUrl: "status",
        actionQueuePrefix: "p-",
        foldMs: 1,
        onSchedule: async () => undefined,
        onError: () => {
          told++;
        },
      });
      await node.start();
      const created = node.createDispatcher({
        id,
        tableId: 1n,
        schemaId: 1n,
        checkpointTs: 1n,
        sink: {
          write: async () => undefined,
          flushBeforeBlock: async () => void calls.push("flush"),
          writeBlockEvent: async () => void calls.push("write"),
          passBlockEvent: async () => void calls.push("pass"),
        },
      });
      const registrations = () =>
        queues
          .waiting("status")
          .filter((one) => one.attributes["type"] === "MaintainerBootstrapResponse")
          .flatMap((one) => decode("MaintainerBootstrapResponse", "json", one.body).spans);
      await until(() => registrations().length > 0);
      const life = registrations()[0]!.life.toString();
      await queues.send("p-n1", {
        body: JSON.stringify({ accepted: [{ id: { high: "0", low: "1" }, life }], refused: [] }),
        attributes: { type: "RegistrationResult" },
      });
      const dispatcher = await created;
      const passed = dispatcher.handle({
        key,
        blockTables: { type: "all" },
        payload: undefined,
      });
      for (const message of messages) await queues.send("p-n1", message);
      await until(() => queues.waiting("p-n1").length === 0);
      expect(calls).toEqual(["flush"]);
      await queues.send("p-n1", {
        body: encode(
          "HeartBeatResponse",
          "json",
          create(HeartBeatResponseSchema, {
            changefeedID: changefeed,
            // Junk may have named any epoch: what is of a lower one is dropped.
            maintainerEpoch: 2n ** 64n - 1n,
            dispatcherStatuses: [
              {
                influencedDispatchers: {
                  InfluenceType: InfluenceType.Normal,
                  DispatcherIDs: [dispatcherId(id)],
                },
                lives: [dispatcher.life],
                action: { action: Action.Pass, CommitTs: key.commitTs, IsSyncPoint: true },
              },
            ],
          }),
        ),
        attributes: { type: "HeartBeatResponse" },
      });
      await passed;
      expect(calls).toEqual(["flush", "pass"]);
      await node.stop();
    }),
    { numRuns: Math.max(5, RUNS / AT_A_TIME), seed, endOnFailure: true },
  );
  expect(told).toBeGreaterThan(RUNS / 4);
});
