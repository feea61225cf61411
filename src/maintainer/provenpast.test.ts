/** A WAITING proves every earlier event written, also one that its invocation did not know (protocol.md M2, M15). */
import { expect, it } from "vitest";
import { d, ddl, idsOf, node, normal, schema, World } from "./testing/world.ts";

it("does not write an event again whose writer has gone on and is dropped by a later one", async () => {
  const world = new World();
  const n1 = node("n1");
  const n2 = node("n2");
  const T = d(1);
  const alter = ddl(100n);
  const drop = ddl(110n);
  const both = { BlockTables: normal(10n, 20n) };
  const first = { BlockTables: schema(1n), NeedDroppedTables: schema(1n) };
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 2n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n, schema: 1n },
    ]),
    world.registration(n2, [{ id: d(20), table: 20n, schema: 2n }]),
  );
  // The table trigger is ahead: this environment knows the DROP, and not yet the ALTER before it.
  await world.handle(world.waiting(n1, [T], drop, first));
  await world.handleCold(world.waiting(n2, [d(20)], alter, both));
  await world.handleCold(world.waiting(n1, [d(10)], alter, both));
  expect(idsOf(world.told(n1), "write", alter)).toEqual([d(10)]);
  // It has written the ALTER, and its DONE is slow. Its next report comes to the environment that knows nothing of it.
  const done = world.done(n1, [d(10)], alter, "write");
  await world.handle(world.waiting(n1, [d(10)], drop, first));
  expect(idsOf(world.told(n1), "write", drop)).toEqual([T]);
  await world.handle(world.done(n1, [T], drop, "write"));

  const told = world.told(n2);
  expect(idsOf(told, "write", alter)).toEqual([]);
  expect(idsOf(told, "pass", alter)).toEqual([d(20)]);
  await world.handle(done, world.done(n2, [d(20)], alter, "pass"));
  expect(await world.phase(alter)).toBeUndefined();
  expect(await world.phase(drop)).toBeUndefined();
  expect(world.deadLetters).toEqual([]);
});
