/** Bounds of the root and of a barrier's item, each met on purpose (docs/bounds.md; protocol.md M20). */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grantCount, grantedStep, MAX_GRANTS, openedStep, saysWritten } from "../../barrier/step.ts";
import { keyText } from "../../protocol/event-key.ts";
import { MemoryStore } from "../../storage/memory.ts";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "../../storage/testing/embedded.ts";
import { A, ALTER, B, n1, n2, split } from "../testing/split.ts";
import { CHANGEFEED, d, ddl, everybody, node, normal, World } from "../testing/world.ts";
import { MAX_CONFLICT, MAX_UNREACHABLE, shortReason } from "./bounds.ts";
import { spaceOf } from "./space.ts";

const space = spaceOf(CHANGEFEED, 0n);
const T = d(1);
const left = (table: number) => d(1_000 + 2 * table);
const right = (table: number) => d(1_001 + 2 * table);
const tables = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const alter = (table: number) => ({ BlockTables: normal(BigInt(table)) });

/** Tables in two spans, each half on a node of its own. */
async function splitTables(world: World, count: number): Promise<World> {
  const of = (side: (table: number) => string, span: object) =>
    tables(count).map((table) => ({ id: side(table), table: BigInt(table), ...span }));
  await world.handle(
    world.opening(
      n1,
      T,
      tables(count).map((table) => ({ id: BigInt(table), schema: 1n })),
    ),
    world.registration(n1, [{ id: T, table: 0n }, ...of(left, { end: "m" })]),
    world.registration(n2, of(right, { start: "m" })),
  );
  world.queues.clear();
  return world;
}

function small(itemBytes: number): World {
  const world = new World(new MemoryStore({ maxItemBytes: itemBytes }));
  world.settings = { ...world.settings, itemBytes };
  return world;
}

describe("a root that nears its bound", () => {
  const BYTES = 24 * 1024;
  const COUNT = 100;
  /** Keys from 1,000 on, table by table; a table's key. */
  const at = (table: number) => ddl(BigInt(1_000 + table));
  const rootOf = async (world: World) =>
    (await world.store.readRoot([...(await world.store.listSpaces())][0]!))!;
  const half = (world: World, table: number) => world.waiting(n1, [left(table)], at(table), alter(table));
  const rest = (world: World, table: number) => world.waiting(n2, [right(table)], at(table), alter(table));
  const finish = async (world: World, table: number) => {
    await world.handle(world.done(n1, [left(table)], at(table), "write"));
    await world.handle(world.done(n2, [right(table)], at(table), "write"));
    await world.handle(
      world.done(n1, [left(table)], at(table), "pass"),
      world.done(n2, [right(table)], at(table), "pass"),
    );
  };

  it("opens no further barrier: who waits for that is not acknowledged, and gets in when there is room", async () => {
    const world = await splitTables(small(BYTES), COUNT);
    const failed: unknown[] = [];
    for (const table of tables(COUNT)) failed.push(...(await world.handle(half(world, table))).failed);
    expect(failed).toEqual([]);
    const root = await rootOf(world);
    const open = tables(COUNT).filter((table) => root.steps.has(keyText(at(table))));
    expect(open.length).toBeGreaterThan(10);
    expect(open.length).toBeLessThan(COUNT);
    const acknowledged = world.told(n1).filter((one) => one.kind === "ack");
    expect(acknowledged.map((one) => one.key)).toEqual(open.map((table) => keyText(at(table))));

    // All of the open ones go on to their ends, and every Write and closing finds its room.
    for (const table of open) expect((await world.handle(rest(world, table))).failed).toEqual([]);
    expect((await rootOf(world)).bytes).toBeLessThan(BYTES);
    for (const table of open) await finish(world, table);
    expect((await rootOf(world)).steps.size).toBe(0);

    // Repeats of the others.
    for (
      let round = 0;
      round < 10 && (await world.store.readHistory(space, 1n, 1_000)).length < COUNT + 1;
      round++
    )
      for (const table of tables(COUNT).filter((one) => !open.includes(one))) {
        await world.handle(half(world, table), rest(world, table));
        await finish(world, table);
      }
    const history = await world.store.readHistory(space, 1n, 1_000);
    expect(history.filter(({ item }) => item.tombstone)).toHaveLength(COUNT);
    expect(world.deadLetters).toEqual([]);
  });

  it("always lets lower keys in, for the open ones may wait for them", async () => {
    const world = await splitTables(small(BYTES), COUNT);
    for (const table of tables(COUNT).slice(10)) await world.handle(half(world, table));
    const full = await rootOf(world);
    expect(full.steps.size).toBeLessThan(COUNT - 10);
    // Even where a still lower one stands for ever.
    for (const table of [5, 9, 8, 7, 6]) {
      expect((await world.handle(half(world, table))).failed).toEqual([]);
      expect(await world.phase(at(table))).toBe("waiting");
    }
    await world.handle(rest(world, 6));
    expect(await world.phase(at(6))).toBe("writing");
  });

  it("has room for the grants of all that are open, each of which was opened below the others", async () => {
    const world = await splitTables(small(BYTES), COUNT);
    const open: number[] = [];
    for (const table of tables(COUNT).reverse()) {
      expect((await world.handle(half(world, table))).failed).toEqual([]);
      if ((await world.phase(at(table))) === "waiting") open.push(table);
    }
    expect(open.length).toBeLessThan(COUNT);
    for (const table of open) {
      expect((await world.handle(rest(world, table))).failed).toEqual([]);
      expect(await world.phase(at(table))).toBe("writing");
    }
  });

  it("takes block states of a registration when there is room, and gives the message back until then", async () => {
    const world = await splitTables(small(BYTES), COUNT);
    for (const table of tables(COUNT)) await world.handle(half(world, table));
    const high = { IsBlocked: true, stage: 3, BlockTs: 9_000n, ...alter(COUNT) } as const;
    const message = world.registration(n1, [
      { id: left(COUNT), table: BigInt(COUNT), end: "m", life: 2n, blockState: high },
    ]);
    const { failed } = await world.handle(message);
    expect(failed[0]?.reason).toContain("too many barriers are open");
  });
});

describe("a root of 400 KB in the table", () => {
  let embedded: EmbeddedDynamo;
  beforeAll(async () => {
    embedded = await startEmbeddedDynamo();
  });
  afterAll(() => embedded.stop());

  it("that is as full as it may be grants, and opens nothing more", async () => {
    const store = await embedded.store();
    const world = await splitTables(new World(store as unknown as MemoryStore), 4);
    const [space] = await store.listSpaces();
    const high = ddl(5_000_000n);
    await world.handle(world.waiting(n1, [left(1)], ddl(10n), alter(1)));
    // Filled by barriers like that one, to the share that is for such as are opened above all others.
    const item = (await store.table.get({ pk: space!.text, sk: "ROOT" }))!;
    const steps = item["steps"]!.M!;
    const one = Object.values(steps)[0]!;
    let bytes = (await store.readRoot(space!))!.bytes;
    const each = 350;
    for (let key = 1_000n; bytes < 0.4 * 400 * 1024; key++, bytes += each) steps[keyText(ddl(key))] = one;
    const { pk: _, sk: __, ...attributes } = item;
    await store.table.put({ pk: space!.text, sk: "ROOT" }, attributes);
    const before = (await store.readRoot(space!))!;
    expect(before.steps.size).toBeGreaterThan(400);

    expect((await world.handle(world.waiting(n1, [left(2)], high, alter(2)))).failed).toEqual([]);
    expect((await store.readRoot(space!))!.steps.has(keyText(high))).toBe(false);
    expect((await world.handle(world.waiting(n2, [right(1)], ddl(10n), alter(1)))).failed).toEqual([]);
    expect((await store.readRoot(space!))!.steps.get(keyText(ddl(10n)))!.phase).toBe("writing");
    expect((await world.handle(world.waiting(n1, [left(2)], ddl(20n), alter(2)))).failed).toEqual([]);
    expect((await store.readRoot(space!))!.steps.has(keyText(ddl(20n)))).toBe(true);
  });
});

describe("a barrier that is granted again and again", () => {
  const grant = (life: number) => ({ id: d(life), life: BigInt(life), chunk: 1, slot: life, node: "n1" });

  it("remembers the latest grants, and how many there were", () => {
    let step = openedStep(
      {
        event: undefined,
        digest: "",
        changesRoster: false,
        routes: false,
        lateTablesHold: false,
        openedOn: 1,
      },
      1,
    );
    for (let life = 1; life <= 100; life++) step = grantedStep(step, grant(life), 1, 1, 1);
    expect(step.grants).toHaveLength(MAX_GRANTS);
    expect(grantCount(step)).toBe(100);
    expect(step.grants.at(-1)).toEqual(grant(100));
    expect(step.grants[0]).toEqual(grant(100 - MAX_GRANTS + 1));
    expect(saysWritten(step, 0, "write")).toBe(true);
  });

  it("forgets the same life's first, before it forgets another writer", () => {
    let step = openedStep(
      {
        event: undefined,
        digest: "",
        changesRoster: false,
        routes: false,
        lateTablesHold: false,
        openedOn: 1,
      },
      1,
    );
    for (const life of [1, 2, ...Array(200).fill(3)]) step = grantedStep(step, grant(life), 1, 1, 1);
    expect(step.grants.slice(0, 3)).toEqual([grant(1), grant(2), grant(3)]);
    expect(grantCount(step)).toBe(202);
  });

  it("still takes the DONE of the writer, whichever the number of its grant", async () => {
    const world = await split();
    const key = ddl(100n);
    await world.handle(world.waiting(n1, [A], key, ALTER), world.waiting(n2, [B], key, ALTER));
    for (let life = 2n; life < 60n; life++) {
      // Whoever was granted Write comes back in a new life, and waits again.
      const writer = (await rootIn(world)).steps.get(keyText(key))!.grants.at(-1)!;
      const [on, span] = writer.id === A ? [n1, { end: "m" }] : ([n2, { start: "m" }] as const);
      await world.handle(world.registration(on, [{ id: writer.id, table: 10n, life, ...span }]));
      await world.handle(world.waiting(on, [{ id: writer.id, life }], key, ALTER));
    }
    const step = (await rootIn(world)).steps.get(keyText(key))!;
    expect([step.phase, step.grants.length, grantCount(step) > MAX_GRANTS]).toEqual([
      "writing",
      MAX_GRANTS,
      true,
    ]);
    const { id, life, node } = step.grants.at(-1)!;
    await world.handle(world.done(node === "n1" ? n1 : n2, [{ id, life }], key, "write"));
    expect(await world.phase(key)).toBe("passing");
  });
  const rootIn = async (world: World) => [...world.store.roots.values()][0]!;
});

describe("a barrier's item", () => {
  it("is not opened by an event for which it has no room: that is kept with the reason", async () => {
    const world = await splitTables(small(64 * 1024), 4);
    const huge = normal(...Array.from({ length: 20_000 }, (_, index) => BigInt(2 ** 40 + index)));
    const good = world.waiting(n2, [right(1)], ddl(7n), alter(1));
    const { failed } = await world.handle(world.waiting(n1, [left(1)], ddl(9n), { BlockTables: huge }), good);
    expect(failed).toEqual([]);
    expect(world.deadLetters.map((letter) => letter.reason)).toEqual([
      expect.stringContaining("it lists too many tables, report it with influence DB or All"),
    ]);
    expect(await world.phase(ddl(7n))).toBe("waiting");
    expect(await world.phase(ddl(9n))).toBeUndefined();
  });

  it("names no more than so many queues that are gone", async () => {
    const world = new World();
    const count = MAX_UNREACHABLE + 40;
    const key = ddl(100n);
    const queued = tables(count).map((table) => ({ ...node(`q${table}`), table }));
    await world.handle(
      world.opening(
        n1,
        T,
        tables(count).map((table) => ({ id: BigInt(table), schema: 1n })),
      ),
      world.registration(n1, [{ id: T, table: 0n }]),
    );
    for (const { table, ...of } of queued) {
      world.missingQueues.add(of.queue);
      await world.handle(world.registration(of, [{ id: left(table), table: BigInt(table) }]));
    }
    const all = { BlockTables: everybody };
    for (const { table, ...of } of queued) await world.handle(world.waiting(of, [left(table)], key, all));
    await world.handle(world.waiting(n1, [T], key, all));
    await world.handle(world.done(n1, [T], key, "write"));
    const item = [...world.store.barriers.values()][0]!;
    expect(item.unreachable.size).toBe(MAX_UNREACHABLE);
  });
});

describe("the reason of a conflict", () => {
  it.each(["short", "é\u0000\u{1f600}".repeat(400), "x".repeat(5_000)])(
    "is cut to what the root takes",
    (text) => {
      const short = shortReason(text);
      expect(Buffer.byteLength(JSON.stringify(short))).toBeLessThanOrEqual(MAX_CONFLICT);
      expect(short.isWellFormed()).toBe(true);
      if (text === "short") expect(short).toBe(text);
      else expect(short.length).toBeGreaterThan(30);
    },
  );
});
