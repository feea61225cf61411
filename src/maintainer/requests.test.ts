/** What a barrier costs, counted by the adapter on the embedded engine, and that invocations do not get in each other's way. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DynamoStore } from "../storage/dynamodb/store.ts";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "../storage/testing/embedded.ts";
import type { ActionMessage, Port } from "./base/port.ts";
import { run } from "./base/program.ts";
import { spaceOf } from "./base/space.ts";
import { handleBatch, type Memory, newMemory } from "./batch.ts";
import type { StatusMessage } from "./intake/input.ts";
import { DEFAULT_SETTINGS } from "./session/session.ts";
import { CHANGEFEED, d, everybody, node, PREFIX, syncpoint, World } from "./testing/world.ts";

const NODES = 10;
const PER_NODE = 100;
const T = d(1);
const nodes = Array.from({ length: NODES }, (_, index) => node(`n${index}`));
const idsOn = (index: number) =>
  Array.from({ length: PER_NODE }, (_, one) => d(1000 + index * PER_NODE + one)).concat(
    index === 0 ? [T] : [],
  );

let embedded: EmbeddedDynamo;
beforeAll(async () => {
  embedded = await startEmbeddedDynamo();
});
afterAll(() => embedded.stop());

/** A changefeed of 1,000 dispatchers on 10 nodes and the table trigger, in the real adapter. */
async function open() {
  const world = new World();
  const store = (await embedded.store()) as DynamoStore;
  const sent: ActionMessage[] = [];
  const port: Port = {
    ...bound(store),
    send: async (messages) => {
      sent.push(...messages);
      return messages.map(() => "sent" as const);
    },
    handOver: async () => undefined,
    deadLetter: async () => undefined,
    pause: async () => undefined,
  };
  let nonce = 0;
  const handle = (memory: Memory, ...messages: StatusMessage[]) => {
    const settings = { ...DEFAULT_SETTINGS, actionQueuePrefix: PREFIX };
    return run(handleBatch(messages, { now: world.now, nonce: `i${nonce++}`, settings, memory }), port);
  };
  await handle(newMemory(), world.opening(nodes[0]!, T, []));
  for (const [index, one] of nodes.entries())
    await handle(
      newMemory(),
      world.registration(
        one,
        idsOn(index).map((id, table) => ({
          id,
          table: id === T ? 0n : BigInt(index * PER_NODE + table + 1),
        })),
      ),
    );
  return { world, store, sent, handle };
}

function bound(store: DynamoStore): Omit<Port, "send" | "handOver" | "deadLetter" | "pause"> {
  const methods = Object.getOwnPropertyNames(DynamoStore.prototype).filter((name) => name !== "constructor");
  return Object.fromEntries(
    methods.map((name) => [
      name,
      (store[name as keyof DynamoStore] as (...args: unknown[]) => unknown).bind(store),
    ]),
  ) as unknown as Omit<Port, "send" | "handOver" | "deadLetter" | "pause">;
}

const total = (counts: Record<string, number>) =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
const key = syncpoint(500n);

describe("a barrier over 1,000 dispatchers on 10 nodes", () => {
  it.each([
    ["one environment", 1],
    ["ten environments that have never seen the changefeed's barrier", NODES],
  ])("costs at most 60 DynamoDB requests: %s", async (what, environments) => {
    const { world, store, sent, handle } = await open();
    const memories = Array.from({ length: environments }, newMemory);
    // They have served the changefeed before: the roster is in memory.
    for (const memory of memories) await handle(memory, world.waiting(nodes[0]!, [], key, {}));
    for (const [index, memory] of memories.entries())
      await handle(memory, world.status(nodes[index]!, idsOn(index)[0]!, 1n, 0));
    const before = { ...store.table.counts };
    const memoryOf = (index: number) => memories[index % environments]!;
    for (const [index, one] of nodes.entries())
      await handle(memoryOf(index), world.waiting(one, idsOn(index), key, { BlockTables: everybody }));
    await handle(memoryOf(0), world.done(nodes[0]!, [T], key, "write"));
    for (const [index, one] of nodes.entries())
      await handle(memoryOf(index), world.done(one, idsOn(index), key, "pass"));
    const space = spaceOf(CHANGEFEED, 0n);
    expect((await store.readRoot(space))!.steps.size).toBe(0);
    const spent: Record<string, number> = {};
    for (const [kind, count] of Object.entries(store.table.counts))
      if (count > (before[kind] ?? 0)) spent[kind] = count - (before[kind] ?? 0);
    spent["GetItem"] = spent["GetItem"]! - 1;
    console.log(
      `1,000 dispatchers on 10 nodes, ${what}: ${total(spent)} DynamoDB requests ${JSON.stringify(spent)}`,
    );
    expect(total(spent)).toBeLessThanOrEqual(60);
    expect(sent.filter((message) => message.type === "HeartBeatResponse").length).toBeGreaterThanOrEqual(
      2 * NODES,
    );
  });
});

describe("invocations at the same time", () => {
  it("that fold reports of different nodes never fail on each other", async () => {
    const { world, store, handle } = await open();
    const failed = store.table.failedConditions;
    const results = await Promise.all(
      nodes.slice(0, -1).map((one, index) => {
        const report = world.waiting(one, idsOn(index), key, { BlockTables: everybody });
        return handle(newMemory(), report);
      }),
    );
    expect(results.flatMap((result) => result.failed)).toEqual([]);
    expect(store.table.failedConditions).toBe(failed);
  });
});
