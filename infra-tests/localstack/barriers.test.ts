/** Capture nodes pass every kind of barrier through the deployed functions, with both layouts of queues and both encodings. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dispatcher } from "../../src/dispatcher/hosted.ts";
import type { CaptureEvent } from "../../src/dispatcher/index.ts";
import { Deployed } from "./deployed.ts";
import { progress } from "./progress.ts";
import { readTarget } from "./target.ts";
import { until } from "./until.ts";
import { event, World } from "./world.ts";

const [SHOP, LEDGER] = [1n, 2n];
const schemas = [
  {
    schemaId: SHOP,
    name: "shop",
    tables: [
      { tableId: 100n, name: "orders" },
      { tableId: 101n, name: "carts" },
    ],
  },
  { schemaId: LEDGER, name: "ledger", tables: [{ tableId: 102n, name: "accounts" }] },
];

const deployed = new Deployed(readTarget());
afterAll(() => deployed.close());

describe.each([
  { name: "node-queues", layout: "node", encoding: "json" },
  { name: "dispatcher-queues", layout: "dispatcher", encoding: "protobuf" },
] as const)("capture nodes with $name in $encoding", ({ name, layout, encoding }) => {
  let world: World;
  let orders: Dispatcher[];
  let carts: Dispatcher[];
  let accounts: Dispatcher[];

  beforeAll(async () => {
    progress(`two capture nodes with ${name} in ${encoding} open a changefeed`);
    world = await World.start(deployed.target, { name, nodes: 2, layout, encoding, schemas });
    [orders, carts, accounts] = await Promise.all([
      world.table(100n, SHOP, 3),
      world.table(101n, SHOP),
      world.table(102n, LEDGER),
    ]);
  });
  afterAll(() => world.stop());

  /** Dispatchers meet an event: all flush, one writes, and only then the others pass. */
  async function passes(what: CaptureEvent, dispatchers: readonly Dispatcher[], writer?: Dispatcher) {
    await world.meet(what, dispatchers);
    const tombstone = await deployed.closed(world, what);
    const order = world.about(what).map((entry) => entry.what);
    const others = dispatchers.length - 1;
    expect(order).toEqual([
      ...Array(dispatchers.length).fill("flush"),
      "write",
      ...Array(others).fill("pass"),
    ]);
    const written = world.about(what).find((entry) => entry.what === "write")!.dispatcher;
    expect(tombstone.writer).toBe(written);
    expect(tombstone.lives).toBe(dispatchers.length);
    if (writer) expect(written).toBe(writer.config.id);
    const touched = world.about(what).map((entry) => entry.dispatcher);
    expect(new Set(touched)).toEqual(new Set(dispatchers.map((one) => one.config.id)));
  }

  it("registers every dispatcher with its node, queue and span", async () => {
    const roster = await deployed.roster(world);
    expect(roster.opened).toBe(true);
    const lives = roster.dispatchers.flatMap((chunk) => chunk.lives);
    const all = [world.trigger, ...orders, ...carts, ...accounts];
    expect(new Map(lives.map((life) => [life.id, life.life]))).toEqual(
      new Map(all.map((one) => [one.config.id, one.life])),
    );
    expect(new Set(lives.map((life) => life.node))).toEqual(new Set(world.nodes.map((node) => node.id)));
    expect(new Set(lives.map((life) => life.queue)).size).toBe(layout === "node" ? 2 : all.length);
  });

  it("passes a DDL of a table that is split over both nodes", async () => {
    progress("  Normal: three spans of a split table");
    await passes(event(200n, { tables: [100n] }), orders);
  });

  it("passes a TRUNCATE, asks for the new table and lets the old one go", async () => {
    progress("  Normal with table 0: a truncate");
    const truncate = event(
      210n,
      { tables: [0n, 101n] },
      {
        needDroppedTables: { type: "tables", tableIds: [101n] },
        needAddedTables: [{ tableId: 103n, schemaId: SHOP }],
      },
    );
    await passes(truncate, [world.trigger, ...carts], world.trigger);
    await until("the requests to create table 103 and to remove table 101", () => world.scheduled.size === 2);
    expect([...world.scheduled].sort()).toEqual(["create 103", "remove 101"]);
    for (const gone of carts) await world.remove(gone);
    carts = await world.table(103n, SHOP);
  });

  it("passes a DDL of a database", async () => {
    progress("  DB: everything of a schema, and the table trigger");
    await passes(event(220n, { schema: SHOP }), [world.trigger, ...orders, ...carts], world.trigger);
  });

  it("passes a DDL of everything, then the syncpoint of the same commitTs", async () => {
    progress("  All, and the syncpoint of the same commitTs");
    const all = [world.trigger, ...orders, ...carts, ...accounts];
    await passes(event(230n, "all"), all, world.trigger);
    await passes(event(230n, "all", { isSyncPoint: true }), all, world.trigger);
  });

  it("applies a CREATE TABLE that stops nobody, and makes the next syncpoint wait for its table", async () => {
    progress("  a table that is added without a barrier");
    const create = event(240n, { tables: [0n] }, { needAddedTables: [{ tableId: 104n, schemaId: LEDGER }] });
    await world.meet(create, [world.trigger]);
    await until("the request to create table 104", () => world.scheduled.has("create 104"));
    const syncpoint = event(250n, "all", { isSyncPoint: true });
    const all = [world.trigger, ...orders, ...carts, ...accounts];
    const met = world.meet(syncpoint, all);
    await until("the syncpoint's barrier", () => deployed.phaseOf(world, syncpoint));
    expect(world.about(syncpoint).filter((entry) => entry.what !== "flush")).toEqual([]);
    const added = await world.table(104n, LEDGER);
    await Promise.all([met, world.meet(syncpoint, added)]);
    expect((await deployed.closed(world, syncpoint)).lives).toBe(all.length + added.length);
  });

  it("leaves nothing open and nothing that was not understood", async () => {
    const space = (await deployed.store.listSpaces()).find((one) => one.changefeed.name === name)!;
    // A closed barrier leaves the root after its tombstone is there.
    await until("the root to have no barrier", async () => {
      const { steps, pending } = (await deployed.store.readRoot(space))!;
      return steps.size === 0 && pending.length === 0;
    });
    expect(await deployed.depth(deployed.deadLetterQueueUrl)).toEqual({ waiting: 0, inFlight: 0 });
    expect(world.errors).toEqual([]);
  });
});
