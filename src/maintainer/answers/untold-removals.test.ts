/** Whoever applies a DROP may die before it tells the dispatchers that end with it (protocol.md R18). */
import { beforeEach, describe, expect, it } from "vitest";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import { ComponentState } from "../../protocol/messages.ts";
import { tableRange } from "../../protocol/span.ts";
import { OldWorld } from "../testing/old-world.ts";
import { again, d, ddl, node, normal, schema, World } from "../testing/world.ts";

const DROP = { BlockTables: normal(0n, 12n), NeedDroppedTables: normal(12n) };
const id = dispatcherId(d(12));

/** What an invocation had to send is lost with it. */
const beforeItSends = () => {
  let dead = false;
  return (when: "before" | "after", operation: string) => {
    dead ||= when === "before" && operation === "send";
    if (dead) throw new Error("it dies");
  };
};

describe("an old node's dispatcher whose table was dropped by an invocation that died", () => {
  let at: OldWorld;

  /** Table 12 is on the second node; the table trigger writes the event that drops it. */
  const drops = async (state: Parameters<OldWorld["event"]>[0]) => {
    at.event(state, [0n, 12n]);
    await at.world.handle(...at.queue.splice(0));
    for (const message of at.actions("o1").splice(0)) at.obey("o1", message);
    for (const message of at.actions("o2").splice(0)) at.obey("o2", message);
    const messages = at.queue.splice(0);
    await at.world.handleHooked(beforeItSends(), ...messages);
    at.queue.push(...messages.map(again));
    await at.settle();
  };

  const beats = async () => {
    at.world.now += 15_000;
    at.manager("o2").heartbeat();
    at.collect();
    await at.settle();
  };

  beforeEach(async () => {
    at = new OldWorld(
      ["o1", "o2"],
      [
        { table: 11n, schema: 2n, node: "o1" },
        { table: 12n, schema: 1n, node: "o2" },
      ],
    );
    await at.settle();
  });

  it.each([
    ["DROP TABLE", DROP],
    ["TRUNCATE", { ...DROP, NeedAddedTables: [{ TableID: 22n, SchemaID: 1n }] }],
    ["DROP DATABASE", { BlockTables: schema(1n), NeedDroppedTables: schema(1n) }],
  ])("is removed when its node says that it still works: %s", async (_, state) => {
    await drops({ BlockTs: 100n, ...state });
    expect([at.manager("o2").standsAt(id), await at.world.phase(ddl(100n))]).toEqual([
      "100/false",
      undefined,
    ]);
    await beats();
    expect(at.manager("o2").has(id)).toBe(false);
  });

  it("is asked once for each time that its node says so, and no more when it is gone", async () => {
    await drops({ BlockTs: 100n, ...DROP });
    at.world.now += 15_000;
    for (const _ of [1, 2]) at.manager("o2").heartbeat();
    at.collect();
    await at.world.handle(...at.queue.splice(0));
    expect(at.actions("o2").map(({ type }) => type)).toEqual(Array(2).fill("ScheduleDispatcherRequest"));
    await at.settle();
    at.world.now += 15_000;
    at.manager("o2").heartbeat();
    at.collect();
    await at.settle();
    expect(at.world.store.kept.size).toBe(0);
  });

  it("is left alone where its table has come back under its id", async () => {
    await drops({ BlockTs: 100n, ...DROP });
    const added = [{ TableID: 12n, SchemaID: 1n }];
    at.event({ BlockTs: 200n, BlockTables: normal(0n), NeedAddedTables: added }, [0n]);
    await at.world.handle(...at.queue.splice(0));
    at.actions("o2").length = 0;
    await beats();
    expect(at.manager("o2").has(id)).toBe(true);
  });

  it("is removed too if it was registered when its table was gone, and that answer was lost", async () => {
    await drops({ BlockTs: 100n, ...DROP });
    at.addNode("o3");
    at.manager("o3").create({
      id: dispatcherId(d(77)),
      tableId: 12n,
      schemaId: 1n,
      ...tableRange(12n),
      startTs: 50n,
    });
    at.register("o3");
    await at.world.handle(...at.queue.splice(0));
    at.actions("o3").length = 0;
    at.world.now += 15_000;
    at.manager("o3").heartbeat();
    at.collect();
    await at.settle();
    expect(at.manager("o3").has(dispatcherId(d(77)))).toBe(false);
  });
});

describe("a new node's dispatcher whose table was dropped by an invocation that died", () => {
  it("gets Pass and Remove with the next WAITING that it repeats, and Remove with a status of it", async () => {
    const world = new World();
    const n1 = node("n1");
    const n2 = node("n2");
    await world.handle(
      world.opening(n1, d(1), [{ id: 12n, schema: 1n }]),
      world.registration(n1, [{ id: d(1), table: 0n }]),
      world.registration(n2, [{ id: d(12), table: 12n }]),
    );
    const waits = world.waiting(n2, [d(12)], ddl(100n), DROP);
    await world.handle(waits, world.waiting(n1, [d(1)], ddl(100n), DROP));
    const done = world.done(n1, [d(1)], ddl(100n), "write");
    await world.handleHooked(beforeItSends(), done);
    await world.handle(again(done));
    world.queues.clear();
    world.now += 60_000;
    await world.handle({ ...waits, messageId: "repeated", sentAt: world.now });
    expect(world.told(n2).map(({ kind }) => kind)).toEqual(["pass"]);
    expect(world.take(n2, "ScheduleDispatcherRequest")).toMatchObject([
      { scheduleAction: 1, config: { dispatcherID: id, span: { TableID: 12n }, schemaID: 1n } },
    ]);
    await world.handle(waits);
    expect(world.take(n2, "ScheduleDispatcherRequest")).toEqual([]);
    await world.handle(world.status(n2, d(12), 1n, ComponentState.Working));
    expect(world.take(n2, "ScheduleDispatcherRequest")).toHaveLength(1);
    await world.handle(world.status(n2, d(12), 1n, ComponentState.Removed));
    expect(world.take(n2, "ScheduleDispatcherRequest")).toEqual([]);
  });
});
