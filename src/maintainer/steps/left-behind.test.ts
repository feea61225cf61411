/** An event of a table that was dropped before the changefeed was opened: nobody waits for its other parts (protocol.md R1b, R8, M15). */
import { expect, it } from "vitest";
import { d, ddl, idsOf, node, normal, oldNode, World } from "../testing/world.ts";

const T = d(1);
const alter = ddl(100n);
const OPENED = 120n;

it.each([
  ["new", node],
  ["old", oldNode],
])("is written for who comes to it again, on %s nodes", async (_, named) => {
  const world = new World();
  const n1 = named("n1");
  const n2 = named("n2");
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }], { at: OPENED }),
    world.registration(n1, [
      { id: T, table: 0n, checkpoint: OPENED },
      { id: d(10), table: 10n, checkpoint: 90n },
    ]),
    // The other part of table 20 was removed behind its DROP, in the former epoch.
    world.registration(n2, [{ id: d(20), table: 20n, end: "m", checkpoint: 90n }]),
  );
  const both = { BlockTables: normal(10n, 20n) };
  await world.handle(world.waiting(n1, [d(10)], alter, both));
  await world.handle(world.waiting(n2, [d(20)], alter, both));
  expect(idsOf(world.told(n1), "pass", alter)).toContain(d(10));
  expect(idsOf(world.told(n2), "pass", alter)).toContain(d(20));
  await world.handle(world.done(n1, [d(10)], alter, "pass"), world.done(n2, [d(20)], alter, "pass"));
  expect(await world.phase(alter)).toBeUndefined();
});

it.each([
  ["is written for", OPENED, "write"],
  ["holds", 99n, undefined],
])("%s an old node if nobody is left of the table and the opening is of %s", async (_, at, told) => {
  const world = new World();
  const n1 = oldNode("n1");
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }], { at }),
    world.registration(n1, [
      { id: T, table: 0n, checkpoint: 90n },
      { id: d(10), table: 10n, checkpoint: 90n },
    ]),
    world.waiting(n1, [d(10)], alter, { BlockTables: normal(10n, 20n) }),
  );
  const ids = told ? [d(10)] : [];
  expect(idsOf(world.told(n1), "write", alter)).toEqual(ids);
});

it("waits for a table that an event behind the opening may add", async () => {
  const world = new World();
  const n1 = node("n1");
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }], { at: 99n }),
    world.registration(n1, [
      { id: T, table: 0n, checkpoint: 99n },
      { id: d(10), table: 10n, checkpoint: 90n },
      { id: d(20), table: 20n, end: "m", checkpoint: 90n },
    ]),
    world.waiting(n1, [d(10), d(20)], alter, { BlockTables: normal(10n, 20n) }),
  );
  const answers = world.told(n1);
  expect(idsOf(answers, "write", alter)).toEqual([]);
  expect(idsOf(answers, "pass", alter)).toEqual([]);
});
