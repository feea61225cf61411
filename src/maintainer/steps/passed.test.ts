/** A WAITING proves every earlier event written, also one that its invocation did not know (protocol.md M2, M15). */
import { beforeEach, describe, expect, it } from "vitest";
import { d, ddl, everybody, idsOf, node, normal, schema, syncpoint, World } from "../testing/world.ts";

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

describe("the table trigger has gone on in a former epoch and waits further on", () => {
  const n1 = node("n1");
  const n2 = node("n2");
  const T = d(1);
  const behind = syncpoint(100n);
  const ahead = syncpoint(110n);
  const all = { BlockTables: everybody };
  let world: World;
  beforeEach(() => {
    world = new World();
  });

  const opening = () => world.opening(n1, T, [{ id: 20n, schema: 1n }]);
  const trigger = () => world.registration(n1, [{ id: T, table: 0n, checkpoint: 100n }]);
  const table = () => world.registration(n2, [{ id: d(20), table: 20n, checkpoint: 99n }]);

  async function bothArePast(): Promise<void> {
    expect(idsOf(world.told(n1), "write", behind)).toEqual([]);
    expect(idsOf(world.told(n2), "pass", behind)).toContain(d(20));
    await world.handle(world.done(n2, [d(20)], behind, "pass"));
    expect(await world.phase(behind)).toBeUndefined();
    await world.handle(world.waiting(n2, [d(20)], ahead, all));
    expect(idsOf(world.told(n1), "write", ahead)).toEqual([T]);
  }

  it("shows that what others open again is written, if it has said so before the opening", async () => {
    await world.handle(table());
    await world.handle(world.waiting(n2, [d(20)], behind, all));
    await world.handle(trigger());
    await world.handle(world.waiting(n1, [T], ahead, all));
    expect(await world.phase(behind)).toBe("waiting");
    await world.handleCold(opening());
    await bothArePast();
  });

  it("shows it to who opens a barrier behind the one that it waits at", async () => {
    await world.handle(opening(), trigger());
    await world.handle(world.waiting(n1, [T], ahead, all));
    await world.handle(table());
    await world.handleCold(world.waiting(n2, [d(20)], behind, all));
    await bothArePast();
  });

  describe("and an environment knows only what stood a moment ago", () => {
    const ddlBehind = ddl(100n);
    const listed = { BlockTables: normal(0n, 20n) };
    const register = () =>
      world.handle(
        world.registration(n1, [
          { id: T, table: 0n, checkpoint: 99n },
          { id: d(30), table: 30n, checkpoint: 99n, end: "m" },
          { id: d(31), table: 30n, checkpoint: 99n, start: "m" },
        ]),
      );
    const opensBoth = () =>
      world.opening(n1, T, [
        { id: 20n, schema: 1n },
        { id: 30n, schema: 1n },
      ]);

    it("it is seen by the sweep: another has opened the earlier barrier", async () => {
      await world.handle(opensBoth(), table());
      await register();
      await world.handle(world.waiting(n1, [d(30)], ahead, all));
      await world.handleCold(world.waiting(n2, [d(20)], ddlBehind, listed));
      await world.handle(world.waiting(n1, [T], ahead, all));
      await world.sweep();
      expect(idsOf(world.told(n2), "pass", ddlBehind)).toContain(d(20));
    });

    it("it is looked up: the changefeed is open by now", async () => {
      await world.handle(table());
      await world.handle(world.waiting(n2, [d(20)], ddlBehind, listed));
      await register();
      await world.handle(world.waiting(n1, [d(30)], ahead, all));
      await world.handleCold(opensBoth());
      await world.handle(world.waiting(n1, [T], ahead, all));
      expect(idsOf(world.told(n2), "pass", ddlBehind)).toContain(d(20));
    });
  });
});
