/** Large changefeeds in single messages: nothing that goes out is larger than a queue or an item takes. */
import { expect, it } from "vitest";
import { dispatcherKey } from "../barrier/dispatcher-id.ts";
import { MESSAGE_LIMIT } from "./session/outbox.ts";
import { d, everybody, idsOf, node, oldNode, syncpoint, World } from "./testing/world.ts";

const T = d(1);
const many = Array.from({ length: 12_000 }, (_, index) => d(1_000 + index));

it.each([node("n1"), oldNode("n1"), { ...node("n1"), encoding: "protobuf" as const }])(
  "serves 12,000 dispatchers of one node",
  async (one) => {
    const world = new World();
    const key = syncpoint(100n);
    const all = [T, ...many];
    await world.handle(
      world.opening(one, T, []),
      world.registration(
        one,
        all.map((id, index) => ({ id, table: BigInt(index) })),
      ),
    );
    world.now += 10;
    await world.handle(world.waiting(one, all, key, { BlockTables: everybody }));
    const sizes = world.queues.get(one.queue)!.map((message) => Buffer.byteLength(message.body));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MESSAGE_LIMIT);
    const told = world.told(one);
    expect(idsOf(told, "ack", key)).toHaveLength(all.length);
    expect(idsOf(told, "write", key)).toEqual([T]);
    await world.handle(world.done(one, [T], key, "write"));
    await world.handle(world.done(one, many, key, "pass"));
    expect(await world.phase(key)).toBeUndefined();
  },
);

it("keeps a report of more lives than an item holds, and finds it when they register", async () => {
  const world = new World();
  const key = syncpoint(100n);
  const one = node("n1");
  // As long as ids are that nodes draw: 16 random bytes.
  const long = many.map((_, index) => dispatcherKey({ high: 2n ** 63n + BigInt(index), low: 2n ** 62n }));
  await world.handle(world.waiting(one, [T, ...long], key, { BlockTables: everybody }));
  expect(world.store.kept.size).toBe(6);
  await world.handle(
    world.opening(one, T, []),
    world.registration(
      one,
      [T, ...long].map((id, index) => ({ id, table: BigInt(index) })),
    ),
  );
  expect(idsOf(world.told(one), "write", key)).toEqual([T]);
  expect(world.store.kept.size).toBe(0);
});
