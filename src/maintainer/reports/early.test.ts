/** What is kept until its registration comes, who counts before it replicates, and what counts once. */
import { expect, it } from "vitest";
import { takeIn } from "../intake/intake.ts";
import { d, ddl, everybody, idsOf, node, normal, oldNode, syncpoint, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const K = ddl(100n);
const INITIALIZING = 3;

it("keeps a report whose answers could not be sent: its message is gone, nobody else would bring it (I7)", async () => {
  const world = new World();
  await world.handle(
    world.opening(n1, T, [{ id: 20n, schema: 1n }]),
    world.registration(n1, [{ id: T, table: 0n }]),
    world.registration(n2, []),
  );
  await world.handle(world.waiting(n2, [d(22)], K, { BlockTables: normal(20n) }));
  expect(world.store.kept.size).toBe(1);
  world.failingQueues.add(n2.queue);
  await world.handle(world.registration(n2, [{ id: d(22), table: 20n }]));
  expect(world.store.kept.size).toBe(1);
  world.failingQueues.clear();
  await world.sweep();
  expect(idsOf(world.told(n2), "write", K)).toEqual([d(22)]);
  expect(world.store.kept.size).toBe(0);
});

it("counts the table trigger whatever its state, and nobody else before it replicates (R3, M1)", async () => {
  const world = new World();
  await world.handle(
    world.opening(n1, T, [{ id: 20n, schema: 1n }]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(21), table: 20n },
    ]),
  );
  await world.handle(world.status(n1, T, 1n, INITIALIZING), world.status(n1, d(21), 1n, INITIALIZING));
  await world.handle(world.waiting(n1, [T, d(21)], K, { BlockTables: normal(0n, 20n) }));
  const told = world.told(n1);
  expect(idsOf(told, "ignored", K)).toEqual([d(21)]);
  expect(idsOf(told, "ack", K)).toEqual([T]);
});

it("counts equal statuses of a request once (M1a)", () => {
  const world = new World();
  const message = world.waiting(n1, [d(21)], K, { BlockTables: normal(20n) });
  const body = JSON.parse(message.body) as { blockStatuses: unknown[] };
  const twice = {
    ...message,
    body: JSON.stringify({ ...body, blockStatuses: [0, 1].flatMap(() => body.blockStatuses) }),
  };
  const { settings } = world.invocation();
  const lives = takeIn(twice, settings).inputs.flatMap(({ reports }) => reports.flatMap((one) => one.lives));
  expect(lives.map(({ id }) => id)).toEqual([d(21)]);
});

it("names the dispatcher of a queue of its own, of an old node too (M12)", async () => {
  const world = new World();
  const o1 = oldNode("o1");
  await world.handle(
    world.opening(n1, T, [{ id: 20n, schema: 1n }]),
    world.registration(n1, [{ id: T, table: 0n }]),
    world.registration(o1, [{ id: d(21), table: 20n }]),
  );
  const S = syncpoint(100n);
  await world.handle(
    world.waiting(n1, [T], S, { BlockTables: everybody }),
    world.waiting(o1, [d(21)], S, { BlockTables: everybody }),
  );
  await world.handle(world.done(n1, [T], S, "write"));
  expect(idsOf(world.told(o1), "pass", S)).toEqual([d(21)]);
});
