/** When actions are repeated, and whom Pass reaches: TiCDC's barrier_event_test.go (docs/conformance.md). */
import { describe, expect, it } from "vitest";
import {
  d,
  ddl,
  everybody,
  normal,
  oldNode,
  schema,
  syncpoint,
  type TestNode,
  type World,
} from "../../src/maintainer/testing/world.ts";
import { ComponentState } from "../../src/protocol/messages.ts";
import { changefeed, lines, n1, n2, n3 } from "./testing.ts";

const T = d(1);
const S = syncpoint(100n);
const K = ddl(100n);
const all = { BlockTables: everybody };

/** Table trigger on n2, everything else on n1 but table 30 of schema 2; one table of schema 1 more on n3. */
const spread = () =>
  changefeed([
    [n2, [{ id: T, table: 0n }]],
    [
      n1,
      [
        { id: d(10), table: 10n },
        { id: d(30), table: 30n, schema: 2n },
      ],
    ],
    [n3, [{ id: d(20), table: 20n }]],
  ]);
const told = (world: World) => [n1, n2, n3].map((one) => lines(world.told(one)));
const waitAll = (world: World, dispatchers: readonly [TestNode, string[]][], state: object) =>
  world.handle(...dispatchers.map(([from, ids]) => world.waiting(from, ids, K, state)));

describe("repeats", () => {
  it.each([
    [
      "Normal",
      { BlockTables: normal(10n, 20n) },
      [
        [n1, [d(10)]],
        [n3, [d(20)]],
      ],
      d(20),
      ["pass 100 10"],
    ],
    [
      "DB",
      { BlockTables: schema(1n) },
      [
        [n1, [d(10)]],
        [n3, [d(20)]],
        [n2, [T]],
      ],
      T,
      ["pass 100 10,20"],
    ],
    [
      "All",
      { BlockTables: everybody },
      [
        [n1, [d(10), d(30)]],
        [n3, [d(20)]],
        [n2, [T]],
      ],
      T,
      ["pass 100 10,20,30"],
    ],
  ] as [string, object, [TestNode, string[]][], string, string[]][])(
    "#21 nothing while nobody was chosen and within the interval, then one Write, then Pass to who is missing: %s",
    async (_, state, dispatchers, writer, passes) => {
      const world = await spread();
      await world.handle(world.waiting(dispatchers[0]![0], dispatchers[0]![1], K, state));
      told(world);
      world.now += 60_000;
      await world.sweep();
      expect(told(world)).toEqual([[], [], []]);
      await waitAll(world, dispatchers, state);
      told(world);
      world.now += 2_999;
      await world.sweep();
      expect(told(world)).toEqual([[], [], []]);
      world.now += 1;
      await world.sweep();
      expect(told(world).flat()).toEqual([`write 100 ${Number(`0x${writer}`)}`]);

      const from = writer === T ? n2 : n3;
      await world.handle(world.done(from, [writer], K, "write"));
      told(world);
      world.now += 3_000;
      await world.sweep();
      const merged = told(world)
        .flat()
        .flatMap((line) => line.split(" ")[2]!.split(","));
      expect([`pass 100 ${merged.sort().join(",")}`]).toEqual(passes);
    },
  );

  it.each([
    ["#22 of a Pass by influence: never within the interval of the last one, and to nobody who is done", all],
    ["#23 of a Pass by tables: the same rule", { BlockTables: normal(0n, 10n, 20n, 30n) }],
  ])("%s", async (_, state) => {
    const world = await spread();
    await waitAll(
      world,
      [
        [n1, [d(10), d(30)]],
        [n3, [d(20)]],
        [n2, [T]],
      ],
      state,
    );
    told(world);
    await world.handle(world.done(n2, [T], K, "write"));
    // The first wave is sent at once, and names everybody.
    expect(told(world)).toEqual([["pass 100 10,30"], ["pass 100 1"], ["pass 100 20"]]);
    world.now += 2_999;
    await world.handle(world.done(n1, [d(10)], K, "pass"));
    await world.sweep();
    expect(told(world)).toEqual([[], [], []]);
    world.now += 1;
    await world.handle(world.done(n2, [T], K, "pass"));
    expect(told(world)).toEqual([["pass 100 30"], [], ["pass 100 20"]]);
    world.now += 2_999;
    await world.handle(world.done(n1, [d(30)], K, "pass"));
    expect(told(world)).toEqual([[], [], []]);
  });
});

describe("Pass", () => {
  it("#24 of a DB event reaches the table trigger's node, though the tables are elsewhere", async () => {
    const world = await spread();
    await waitAll(
      world,
      [
        [n1, [d(10)]],
        [n3, [d(20)]],
        [n2, [T]],
      ],
      { BlockTables: schema(1n) },
    );
    told(world);
    await world.handle(world.done(n2, [T], K, "write"));
    expect(told(world)).toEqual([["pass 100 10"], ["pass 100 1"], ["pass 100 20"]]);
  });

  it("#24 of a DB event to old nodes: one message by schema to each that has a table; its writer is done", async () => {
    const [o1, o2, o3] = [oldNode("o1"), oldNode("o2"), oldNode("o3")];
    const world = await changefeed([
      [
        o2,
        [
          { id: T, table: 0n },
          { id: d(40), table: 40n, schema: 2n },
        ],
      ],
      [
        o1,
        [
          { id: d(10), table: 10n },
          { id: d(11), table: 11n },
        ],
      ],
      [
        o3,
        [
          { id: d(30), table: 30n, schema: 2n },
          { id: d(31), table: 31n, schema: 2n },
        ],
      ],
    ]);
    const state = { BlockTables: schema(1n) };
    await waitAll(
      world,
      [
        [o1, [d(10), d(11)]],
        [o2, [T]],
      ],
      state,
    );
    for (const one of [o1, o2]) world.told(one);
    await world.handle(world.done(o2, [T], K, "untyped"));
    expect([o1, o2, o3].map((one) => lines(world.told(one)))).toEqual([["pass 100 DB"], [], []]);
  });

  it("T-A17 goes to no node without dispatchers and to no empty queue", async () => {
    const world = await changefeed(
      [
        [
          n1,
          [
            { id: T, table: 0n },
            { id: d(10), table: 10n },
          ],
        ],
        [n2, []],
        [oldNode("o3"), []],
      ],
      [{ id: 20n, schema: 1n }],
    );
    // Table 20 was dropped before it ever had a dispatcher: it is named, and lives nowhere.
    await world.handle(world.none(n1, T, ddl(90n), { NeedDroppedTables: normal(20n) }));
    world.queues.clear();
    for (const [key, state] of [
      [S, all],
      [ddl(110n), { BlockTables: normal(0n, 10n, 20n) }],
    ] as const) {
      await world.handle(world.waiting(n1, [T, d(10)], key, state));
      await world.handle(world.done(n1, [T], key, "write"), world.done(n1, [d(10)], key, "pass"));
      expect(await world.phase(key)).toBeUndefined();
    }
    // Of this one nothing is known but that it is over: not where it would hear that it may pass.
    await world.handle(world.status(n2, d(77), 1n, ComponentState.Removed));
    await world.handle(world.waiting(n2, [d(77)], S, all));
    expect([...world.queues.keys()]).toEqual([n1.queue]);
  });
});
