/** The floor: what everybody has behind them is remembered for ever, tombstones are not (protocol.md M19, M17a, M15; invariants.md I9). */
import { beforeEach, describe, expect, it } from "vitest";
import { keyText } from "../../protocol/event-key.ts";
import { ComponentState, OperatorType, type ScheduleDispatcherRequest } from "../../protocol/messages.ts";
import { run } from "../base/program.ts";
import { newMemory } from "../batch.ts";
import { evict } from "../operator/evict.ts";
import { sweep } from "../sweep.ts";
import {
  d,
  ddl,
  everybody,
  freezeAt,
  idsOf,
  node,
  normal,
  oldNode,
  syncpoint,
  type TestNode,
  World,
} from "../testing/world.ts";
import { OPEN_TO_RAISE } from "./floor.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const A = d(21);
const B = d(22);
const split = { BlockTables: normal(20n) };
const { Working } = ComponentState;

let world: World;
const root = () => [...world.store.roots.values()][0]!;
const floor = () => root().floor;

/** Weeks pass: what may expire is gone. The floor says what may. */
async function weeksPass(): Promise<void> {
  world.now += 20 * 24 * 3600 * 1000;
  await world.sweep();
  for (const path of world.store.barriers.keys())
    if (path.split(" ").at(-1)! <= floor()) world.store.barriers.delete(path);
  for (const path of world.store.tallies.keys()) world.store.tallies.delete(path);
  world.store.positions.clear();
  world.memory = newMemory();
  world.queues.clear();
}

/** All dispatchers of n1 and n2 tell how far they are. */
async function heartbeats(checkpoint: bigint): Promise<void> {
  for (const id of [T, A, d(10)]) await world.handle(world.status(n1, id, 1n, Working, checkpoint));
  await world.handle(world.statuses(n1, [T, d(10), A], checkpoint), world.statuses(n2, [B], checkpoint));
}

/** An event over A and B, from WAITING to closed. */
async function alter(commitTs: bigint): Promise<void> {
  const key = ddl(commitTs);
  await world.handle(world.waiting(n1, [A], key, split), world.waiting(n2, [B], key, split));
  const [writer] = idsOf([...world.told(n1), ...world.told(n2)], "write", key);
  await world.handle(world.done(writer === A ? n1 : n2, [writer!], key, "write"));
  await world.handle(writer === A ? world.done(n2, [B], key, "pass") : world.done(n1, [A], key, "pass"));
  expect(await world.phase(key)).toBeUndefined();
}

beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n, checkpoint: 50n },
      { id: d(10), table: 10n, checkpoint: 50n },
      { id: A, table: 20n, end: "m", checkpoint: 50n },
    ]),
    world.registration(n2, [{ id: B, table: 20n, start: "m", checkpoint: 50n }]),
  );
  world.queues.clear();
});

describe("a barrier that was closed long ago", () => {
  it("does not live again when its tombstone has expired: who returns below it passes (M17a)", async () => {
    const key = ddl(100n);
    await alter(100n);
    await heartbeats(20_000n);
    await weeksPass();
    const again1 = { ...n1, start: 2 };
    const again2 = { ...n2, start: 2 };
    await world.handle(
      world.registration(again1, [
        { id: T, table: 0n, life: 2n, checkpoint: 50n },
        { id: d(10), table: 10n, life: 2n, checkpoint: 50n },
        { id: A, table: 20n, end: "m", life: 2n, checkpoint: 50n },
      ]),
      world.registration(again2, [{ id: B, table: 20n, start: "m", life: 2n, checkpoint: 50n }]),
    );
    world.queues.clear();
    await world.handle(
      world.waiting(again1, [{ id: A, life: 2n }], key, split),
      world.waiting(again2, [{ id: B, life: 2n }], key, split),
    );
    const told = [...world.told(n1), ...world.told(n2)];
    expect(idsOf(told, "write", key)).toEqual([]);
    expect(idsOf(told, "pass", key)).toEqual([A, B]);
    expect(idsOf(told, "ack", key)).toEqual([A, B]);
    expect(await world.phase(key)).toBeUndefined();
    expect(world.store.barriers.size).toBe(0);
  });

  it("changes the roster once: a rename that somebody meets again is not applied again", async () => {
    const rename = ddl(100n);
    const state = {
      BlockTables: normal(0n, 10n),
      UpdatedSchemas: [{ TableID: 10n, OldSchemaID: 1n, NewSchemaID: 2n }],
    };
    await world.handle(world.waiting(n1, [T, d(10)], rename, state));
    await world.handle(world.done(n1, [T], rename, "write"));
    await world.handle(world.done(n1, [d(10)], rename, "pass"));
    const back = ddl(200n);
    const other = {
      BlockTables: normal(0n, 10n),
      UpdatedSchemas: [{ TableID: 10n, OldSchemaID: 2n, NewSchemaID: 3n }],
    };
    await world.handle(world.waiting(n1, [T, d(10)], back, other));
    await world.handle(world.done(n1, [T], back, "write"));
    await world.handle(world.done(n1, [d(10)], back, "pass"));
    await heartbeats(20_000n);
    await weeksPass();
    const again1 = { ...n1, start: 2 };
    await world.handle(
      world.registration(again1, [
        { id: T, table: 0n, life: 2n, checkpoint: 20_000n },
        { id: d(10), table: 10n, life: 2n, checkpoint: 50n },
        { id: A, table: 20n, end: "m", life: 2n, checkpoint: 20_000n },
      ]),
    );
    world.queues.clear();
    await world.handle(world.waiting(again1, [{ id: d(10), life: 2n }], rename, state));
    expect(idsOf(world.told(n1), "pass", rename)).toEqual([d(10)]);
    const schemas = [...world.store.chunks.values()].flatMap((chunk) =>
      chunk.kind === "tables" ? chunk.tables.filter((table) => table.tableId === 10n) : [],
    );
    expect(schemas.map((table) => table.schemaId)).toContain(3n);
    expect(root().steps.size).toBe(0);
  });

  it("adds no table when its report comes back after weeks: it is acknowledged, and that is all (F11)", async () => {
    const create = world.none(n1, T, ddl(100n), { NeedAddedTables: [{ TableID: 30n, SchemaID: 1n }] });
    await world.handle(create);
    await world.handle(world.registration(n1, [{ id: d(30), table: 30n, checkpoint: 100n, life: 5n }]));
    const drop = ddl(200n);
    const state = { BlockTables: normal(0n, 30n), NeedDroppedTables: normal(30n) };
    await world.handle(world.waiting(n1, [T, { id: d(30), life: 5n }], drop, state));
    await world.handle(world.done(n1, [T], drop, "write"));
    await heartbeats(20_000n);
    await weeksPass();
    await world.handle(create);
    expect(idsOf(world.told(n1), "ack", ddl(100n))).toEqual([T]);
    expect(world.take(n1, "ScheduleDispatcherRequest")).toEqual([]);
    const tables = root().pointers.flatMap(({ name, kind }) => {
      const chunk =
        kind === "tables" && [...world.store.chunks].find(([path]) => path.endsWith(` ${name}`))?.[1];
      return chunk && chunk.kind === "tables" ? chunk.tables.map((one) => one.tableId) : [];
    });
    expect(tables).toEqual([10n, 20n]);
  });
});

describe("an event from before the opening of the epoch", () => {
  const tablesNow = () =>
    root().pointers.flatMap(({ name, kind }) => {
      const chunk =
        kind === "tables" && [...world.store.chunks].find(([path]) => path.endsWith(` ${name}`))?.[1];
      return chunk && chunk.kind === "tables"
        ? chunk.tables.map(({ tableId, schemaId }) => [tableId, schemaId])
        : [];
    });
  beforeEach(async () => {
    world = new World();
    // The opening tells how the tables are behind 5000: 10 is in schema 3 by then, 30 came and went.
    await world.handle(
      world.opening(n1, T, [{ id: 10n, schema: 3n }], { at: 5_000n }),
      world.registration(n1, [{ id: T, table: 0n, checkpoint: 5_000n }]),
      world.registration(n2, [
        { id: d(10), table: 10n, checkpoint: 50n },
        { id: d(30), table: 30n, checkpoint: 50n },
      ]),
    );
    world.queues.clear();
  });

  // protocol.md R1b
  it("changes no table when somebody who starts below the opening meets it, and lets them pass", async () => {
    const rename = ddl(100n);
    const state = {
      BlockTables: normal(0n, 10n),
      UpdatedSchemas: [{ TableID: 10n, OldSchemaID: 1n, NewSchemaID: 2n }],
      NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }],
    };
    await world.handle(world.waiting(n2, [d(10)], rename, state));
    expect(new Set(idsOf(world.told(n2), "pass", rename))).toEqual(new Set([d(10)]));
    expect(tablesNow()).toEqual([[10n, 3n]]);
    expect(world.take(n1, "ScheduleDispatcherRequest")).toEqual([]);
  });

  // protocol.md R1b
  it("takes out who carries a table that it dropped", async () => {
    const drop = ddl(200n);
    const state = { BlockTables: normal(0n, 30n), NeedDroppedTables: normal(30n) };
    await world.handle(world.waiting(n2, [d(30)], drop, state));
    expect(new Set(idsOf(world.told(n2), "pass", drop))).toEqual(new Set([d(30)]));
    expect(world.take(n2, "ScheduleDispatcherRequest")).toHaveLength(1);
    expect(tablesNow()).toEqual([[10n, 3n]]);
  });

  // protocol.md R1b
  it("and one behind the opening changes them", async () => {
    const rename = ddl(6_000n);
    const state = {
      BlockTables: normal(0n, 10n),
      UpdatedSchemas: [{ TableID: 10n, OldSchemaID: 3n, NewSchemaID: 4n }],
    };
    await world.handle(world.waiting(n1, [T], rename, state), world.waiting(n2, [d(10)], rename, state));
    await world.handle(world.done(n1, [T], rename, "write"));
    expect(tablesNow()).toEqual([[10n, 4n]]);
  });
});

describe("a dispatcher that is lost", () => {
  const asked = (of: TestNode) =>
    (world.take(of, "ScheduleDispatcherRequest") as ScheduleDispatcherRequest[])
      .filter((one) => one.operatorType === OperatorType.O_Move)
      .map((one) => one.config!.startTs);

  it("starts where its heartbeats were, not where it registered", async () => {
    await heartbeats(20_000n);
    const [space] = await world.store.listSpaces();
    await run(evict(space!, { node: "n2" }, world.invocation()), world.port);
    expect(asked(n1)).toEqual([20_000n]);
  });

  it("starts at the floor at least, when all else is forgotten", async () => {
    await alter(100n);
    await heartbeats(20_000n);
    await weeksPass();
    const [space] = await world.store.listSpaces();
    await run(evict(space!, { node: "n2" }, world.invocation()), world.port);
    expect(asked(n1)).toEqual([100n]);
  });

  it("is not taken for further than the slowest of its chunk, nor by what others of the node said", async () => {
    await world.handle(world.status(n1, T, 1n, Working, 900n), world.status(n1, A, 1n, Working, 900n));
    const [space] = await world.store.listSpaces();
    await run(evict(space!, { dispatcher: A }, world.invocation()), world.port);
    expect([...asked(n1), ...asked(n2)]).toEqual([50n]);
  });
});

describe("the floor", () => {
  it("rises to what was closed, by closings alone, where they touched everybody", async () => {
    const key = syncpoint(300n);
    const all = { BlockTables: everybody };
    await world.handle(world.waiting(n1, [T, A, d(10)], key, all), world.waiting(n2, [B], key, all));
    await world.handle(world.done(n1, [T], key, "write"));
    await world.handle(world.done(n1, [A, d(10)], key, "pass"), world.done(n2, [B], key, "pass"));
    expect(await world.phase(key)).toBeUndefined();
    await world.sweep();
    expect(floor()).toBe(keyText(key));
  });

  it("does not pass what anybody may have before them, and tombstones stay above it", async () => {
    await alter(100n);
    await world.sweep();
    expect(floor()).toBe(keyText(ddl(50n)));
    expect(world.store.barriers.size).toBe(1);
    await weeksPass();
    expect(world.store.barriers.size).toBe(1);
  });

  it("never rises above what was closed, however far heartbeats say that dispatchers are", async () => {
    await alter(100n);
    await heartbeats(2n ** 49n);
    await world.sweep();
    expect(floor()).toBe(keyText(ddl(100n)));
  });

  it("stays where a table is not covered, or the table trigger is gone", async () => {
    await alter(100n);
    await heartbeats(20_000n);
    await world.handle(world.status(n2, B, 1n, ComponentState.Removed));
    await world.sweep();
    expect(floor()).toBe("-");
    await world.handle(
      world.registration(n2, [{ id: B, table: 20n, start: "m", life: 2n, checkpoint: 500n }]),
    );
    await world.handle(world.status(n1, T, 1n, ComponentState.Removed));
    await world.sweep();
    expect(floor()).toBe("-");
  });

  it("stays below a barrier that is open", async () => {
    await alter(100n);
    await alter(300n);
    await world.handle(world.waiting(n1, [A], ddl(400n), split));
    await heartbeats(200n);
    await world.sweep();
    expect(floor()).toBe(keyText(ddl(200n)));
  });

  it("does not rise over a barrier that is opened while it is judged, nor is one opened below it", async () => {
    await alter(100n);
    await alter(300n);
    // B is far behind in truth; what is said of it here is as wrong as heartbeats of a node that lies.
    await heartbeats(250n);
    const gate = freezeAt(0);
    const frozenOpening = world.waiting(n1, [A], ddl(200n), split);
    const opening = world.handleHooked(gate.hook, frozenOpening);
    await gate.frozen;
    const sweeper = { ...world.invocation(), memory: newMemory() };
    const reads: string[] = [];
    const port = world.hookedPort(async (when, method) => {
      if (when !== "before" || method !== "commitRoot" || reads.length > 0) return;
      reads.push(method);
      gate.release();
      await opening;
    });
    await run(sweep(sweeper), port);
    expect(reads).toEqual(["commitRoot"]);
    const open = [...root().steps.keys()];
    for (const key of open) expect(floor() < key).toBe(true);
    expect(open).toEqual([keyText(ddl(200n))]);
    expect(floor()).toBe("-");
  });

  it("stays while more barriers are open than a condition of the table can name", async () => {
    await alter(100n);
    await heartbeats(20_000n);
    for (let at = 0; at <= OPEN_TO_RAISE; at++)
      await world.handle(world.waiting(n1, [A], ddl(300n + BigInt(at)), split));
    await world.sweep();
    expect(root().steps.size).toBe(OPEN_TO_RAISE + 1);
    expect(floor()).toBe("-");
  });

  it("is not taken past an old node's table trigger by a barrier of listed tables (D3)", async () => {
    world = new World();
    const old = oldNode("old");
    await world.handle(
      world.opening(old, T, [{ id: 10n, schema: 1n }]),
      world.registration(old, [
        { id: T, table: 0n, checkpoint: 50n },
        { id: d(10), table: 10n, checkpoint: 50n },
      ]),
    );
    const key = ddl(200n);
    world.now += 1;
    await world.handle(world.waiting(old, [T, d(10)], key, { BlockTables: normal(0n, 10n) }));
    await world.handle(world.done(old, [T], key, "untyped"));
    await world.handle(world.done(old, [d(10)], key, "untyped"));
    expect(await world.phase(key)).toBeUndefined();
    await world.sweep();
    expect(floor()).toBe(keyText(ddl(50n)));
    // The CREATE below it, whose report comes late, still adds its table.
    await world.handle(world.none(old, T, ddl(100n), { NeedAddedTables: [{ TableID: 30n, SchemaID: 1n }] }));
    expect(world.take(old, "ScheduleDispatcherRequest")).toHaveLength(1);
  });

  it("costs nothing where nothing was closed, and is not tried again and again where it cannot rise", async () => {
    await world.sweep();
    const { readPositions = 0 } = world.requests;
    expect(readPositions).toBe(0);
    await alter(100n);
    const memory = newMemory();
    for (let times = 0; times < 3; times++) await run(sweep({ ...world.invocation(), memory }), world.port);
    expect(world.requests["readPositions"]).toBe(1);
  });
});
