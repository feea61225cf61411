/** Those who are late to a closed barrier are told at once, however many: nobody else could tell them (protocol.md M17a). */
import { expect, it } from "vitest";
import { d, everybody, idsOf, node, PREFIX, syncpoint, World } from "../testing/world.ts";

it("tells all who restart below a closed barrier, though they are more than an invocation sends at once", async () => {
  const world = new World();
  world.settings = { ...world.settings, sendsAtOnce: 2 };
  const n1 = node("n1");
  const T = d(1);
  const key = syncpoint(100n);
  const others = [d(10), d(11), d(12), d(13)];
  const queue = (id: string) => `${PREFIX}${id}`;
  const register = (life: bigint) =>
    others.map((id, index) =>
      world.registration(n1, [{ id, table: BigInt(10 + index), life }], { queue: queue(id) }),
    );
  await world.handle(
    world.opening(
      n1,
      T,
      others.map((_, index) => ({ id: BigInt(10 + index), schema: 1n })),
    ),
    world.registration(n1, [{ id: T, table: 0n }]),
  );
  await world.handle(...register(1n));
  await world.handle(world.waiting(n1, [T, ...others], key, { BlockTables: everybody }));
  await world.handle(world.done(n1, [T], key, "write"));
  await world.handle(world.done(n1, others, key, "pass"));
  expect(await world.phase(key)).toBeUndefined();
  world.queues.clear();
  world.handedOver.length = 0;

  await world.handle(...register(2n));
  const lives = others.map((id) => ({ id, life: 2n }));
  await world.handle(world.waiting(n1, lives, key, { BlockTables: everybody }));
  expect(world.handedOver).toEqual([]);
  for (const id of others) {
    const told = world.told(queue(id));
    expect(idsOf(told, "ack", key)).toEqual([id]);
    expect(idsOf(told, "pass", key)).toEqual([id]);
  }
});
