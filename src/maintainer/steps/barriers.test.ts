import { beforeEach, describe, expect, it } from "vitest";
import { d, ddl, everybody, idsOf, node, normal, schema, syncpoint, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);

/** Table trigger and tables 10, 20 of schema 1 and 30 of schema 2; 20 is split over both nodes. */
async function openWorld(): Promise<World> {
  const world = new World();
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
      { id: 30n, schema: 2n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
      { id: d(21), table: 20n, end: "m" },
    ]),
    world.registration(n2, [
      { id: d(22), table: 20n, start: "m" },
      { id: d(30), table: 30n, schema: 2n },
    ]),
  );
  world.queues.clear();
  return world;
}

describe("barriers", () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });

  // protocol.md M4: everybody has to report.
  it("takes a syncpoint through waiting, writing, passing and closed", async () => {
    const key = syncpoint(100n);
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, { BlockTables: everybody }));
    let told = world.told(n1);
    expect(idsOf(told, "ack", key)).toEqual([T, d(10), d(21)].sort());
    expect(idsOf(told, "write", key)).toEqual([]);
    await world.handle(world.waiting(n2, [d(22), d(30)], key, { BlockTables: everybody }));
    expect(idsOf(world.told(n1), "write", key)).toEqual([T]);
    expect(await world.phase(key)).toBe("writing");

    await world.handle(world.done(n1, [T], key, "write"));
    told = [...world.told(n1), ...world.told(n2)];
    expect(idsOf(told, "pass", key)).toEqual([T, d(10), d(21), d(22), d(30)].sort());
    await world.handle(world.done(n1, [T, d(10), d(21)], key, "pass"));
    expect(await world.phase(key)).toBe("passing");
    await world.handle(world.done(n2, [d(22), d(30)], key, "pass"));
    expect(await world.phase(key)).toBeUndefined();
    expect(world.deadLetters).toEqual([]);
  });

  // protocol.md M4, M6: without table 0 the last reporter writes.
  it("covers a split table by its spans, not by counting, and lets a reporter write", async () => {
    const key = ddl(100n);
    const state = { BlockTables: normal(20n) };
    await world.handle(world.waiting(n1, [d(21)], key, state));
    await world.handle(world.waiting(n1, [d(21)], key, state));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.waiting(n2, [d(22)], key, state));
    expect(idsOf([...world.told(n1), ...world.told(n2)], "write", key)).toEqual([d(22)]);
    await world.handle(world.done(n2, [d(22)], key, "write"));
    await world.handle(world.done(n1, [d(21)], key, "pass"));
    expect(await world.phase(key)).toBeUndefined();
  });

  // protocol.md M4, M6: with DB the table trigger writes, whoever reported last.
  it("stops a schema's tables and the table trigger for a DB event, and applies its drop after the write", async () => {
    const key = ddl(100n);
    const state = { BlockTables: schema(2n), NeedDroppedTables: schema(2n) };
    await world.handle(world.waiting(n2, [d(30)], key, state));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.waiting(n1, [T], key, state));
    expect(idsOf(world.told(n1), "write", key)).toEqual([T]);
    await world.handle(world.done(n1, [T], key, "write"));
    expect(idsOf(world.told(n2), "pass", key)).toEqual([d(30)]);
    // The only dispatcher of the schema went with it.
    expect(await world.phase(key)).toBeUndefined();
    expect(world.take(n2, "ScheduleDispatcherRequest")).toHaveLength(1);
  });

  it("tells a Pass before what is to be created and removed, which may be thousands of messages", async () => {
    const key = ddl(100n);
    const state = { BlockTables: normal(0n, 30n), NeedDroppedTables: normal(30n) };
    await world.handle(world.waiting(n1, [T], key, state), world.waiting(n2, [d(30)], key, state));
    world.queues.clear();
    await world.handle(world.done(n1, [T], key, "write"));
    const sent = world.queues.get(n2.queue)!.map(({ type }) => type);
    expect(sent).toEqual(["HeartBeatResponse", "ScheduleDispatcherRequest"]);
  });

  // protocol.md M11: a copy is acknowledged and adds nothing.
  it("adds tables once, and a later event expects them", async () => {
    const create = ddl(100n);
    const added = { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] };
    await world.handle(world.none(n1, T, create, added));
    expect(idsOf(world.told(n1), "ack", create)).toEqual([T]);
    const requests = [
      ...world.take(n1, "ScheduleDispatcherRequest"),
      ...world.take(n2, "ScheduleDispatcherRequest"),
    ];
    expect(requests).toHaveLength(1);
    await world.handle(world.none(n1, T, create, added));
    expect(idsOf(world.told(n1), "ack", create)).toEqual([T]);

    const key = syncpoint(200n);
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, { BlockTables: everybody }));
    await world.handle(world.waiting(n2, [d(22), d(30)], key, { BlockTables: everybody }));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.registration(n2, [{ id: d(40), table: 40n, checkpoint: 100n }]));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.waiting(n2, [d(40)], key, { BlockTables: everybody }));
    expect(await world.phase(key)).toBe("writing");
  });

  it("keeps a DDL and a syncpoint of one commitTs apart", async () => {
    const first = ddl(100n);
    const second = syncpoint(100n);
    await world.handle(world.waiting(n1, [d(21)], first, { BlockTables: normal(20n) }));
    await world.handle(world.waiting(n2, [d(22)], first, { BlockTables: normal(20n) }));
    await world.handle(world.done(n2, [d(22)], second, "write"));
    expect(await world.phase(first)).toBe("writing");
    await world.handle(world.done(n2, [d(22)], first, "write"));
    expect(await world.phase(first)).toBe("passing");
  });

  it("gives a closed barrier no second life, and lets who restarted below it pass", async () => {
    const key = ddl(100n);
    const state = { BlockTables: normal(10n) };
    await world.handle(world.waiting(n1, [d(10)], key, state));
    await world.handle(world.done(n1, [d(10)], key, "write"));
    expect(await world.phase(key)).toBeUndefined();
    world.queues.clear();
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 5n, checkpoint: 50n }]));
    await world.handle(world.waiting(n2, [{ id: d(10), life: 5n }], key, state));
    expect(idsOf(world.told(n2), "pass", key)).toEqual([d(10)]);
    expect(await world.phase(key)).toBeUndefined();
  });

  it("keeps a report of a life that registers later", async () => {
    const key = ddl(100n);
    await world.handle(world.waiting(n2, [{ id: d(10), life: 7n }], key, { BlockTables: normal(10n) }));
    expect(await world.phase(key)).toBeUndefined();
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 7n }]));
    expect(idsOf(world.told(n2), "write", key)).toEqual([d(10)]);
  });

  it("puts a poisoned message aside with the reason and serves the others", async () => {
    const key = ddl(100n);
    const bad = world.message(n1, "BlockStatusRequest", "{not json");
    const result = await world.handle(bad, world.waiting(n1, [d(10)], key, { BlockTables: normal(10n) }));
    expect(result.failed).toEqual([]);
    expect(idsOf(world.told(n1), "write", key)).toEqual([d(10)]);
    expect(world.deadLetters).toHaveLength(1);
    expect(world.deadLetters[0]!.reason).toContain("BlockStatusRequest");
  });
});
