/** What comes is of one sending, one process, one epoch and one life; who is refused is told (decisions/0025, 0026). */
import { beforeEach, describe, expect, it } from "vitest";
import { Roster, type TableChunk } from "../../barrier/roster.ts";
import { ComponentState } from "../../protocol/messages.ts";
import type { Root } from "../base/port.ts";
import { again, d, ddl, idsOf, node, normal, oldNode, schema, syncpoint, World } from "../testing/world.ts";

const T = d(1);
const n1 = node("n1");
const n2 = node("n2");
const MAX = 2n ** 64n - 1n;
const K = ddl(100n);
let world: World;
beforeEach(() => {
  world = new World();
});

const started = (from: typeof n1, start: number) => ({ ...from, start });
const tables = (...ids: bigint[]) => ids.map((id) => ({ id, schema: 1n }));

function roster(of = world): Roster {
  const [[space, root]] = [...of.store.roots] as [[string, Root]];
  const chunks = root.pointers.map(({ name }) => of.store.chunks.get(`${space} ${name}`)!);
  return new Roster(root.rosterVersion, root.meta, chunks);
}

const tableIds = () => [...roster().tables.keys()].map(Number).sort((a, b) => a - b);

interface Result {
  readonly accepted: { life: string }[];
  readonly refused: { life: string; knownLife: string; reason: string }[];
  readonly maintainerEpoch: string;
  readonly start?: string;
  readonly knownStart?: string;
  readonly reason?: string;
}
const results = (on: typeof n1) => world.take(on, "RegistrationResult") as Result[];

// protocol.md R1a
describe("an opening in parts (R1)", () => {
  const part = (from: typeof n1, which: number, of: number, ...ids: bigint[]) =>
    world.opening(from, T, tables(...ids), { part: which, parts: of });

  it("of a process that ended is replaced whole by that of its next start: I1 over the tables that are there", async () => {
    await world.handle(part(n1, 1, 2, 10n, 11n, 12n));
    const next = started(n1, 2);
    await world.handle(part(next, 1, 2, 11n, 12n, 13n));
    await world.handle(part(n1, 2, 2, 14n, 15n));
    await world.handle(part(next, 2, 2, 14n));
    expect(tableIds()).toEqual([11, 12, 13, 14]);
    await world.handle(
      world.registration(next, [{ id: T, table: 0n }]),
      world.registration(
        n2,
        [11n, 12n, 14n].map((table) => ({ id: d(Number(table)), table })),
      ),
    );
    const all = { BlockTables: schema(1n) };
    await world.handle(world.waiting(next, [T], K, all), world.waiting(n2, [d(11), d(12), d(14)], K, all));
    // Table 13 has no dispatcher yet.
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.registration(n2, [{ id: d(13), table: 13n }]));
    await world.handle(world.waiting(n2, [d(13)], K, all));
    expect(idsOf(world.told(next), "write", K)).toEqual([T]);
  });

  it("is not complete with parts of another count, and takes no parts twice", async () => {
    await world.handle(part(n1, 1, 3, 10n), part(n1, 3, 3, 12n));
    const next = started(n1, 2);
    await world.handle(part(next, 2, 2, 21n));
    expect(roster().opened).toBe(false);
    await world.handle(part(n1, 2, 3, 11n), again(part(next, 2, 2, 21n)));
    expect(roster().opened).toBe(false);
    await world.handle(part(next, 1, 2, 20n));
    expect(roster().opened).toBe(true);
    expect(tableIds()).toEqual([20, 21]);
  });

  it("says why where one start sends two counts", async () => {
    await world.handle(part(n1, 1, 2, 10n), part(n1, 1, 3, 10n));
    expect(world.deadLetters.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/3 parts here and 2/),
    ]);
    expect(results(n1).map(({ reason }) => reason)).toContainEqual(
      expect.stringMatching(/send the same parts/),
    );
  });

  it("of two nodes at a time: the first that is complete opens, whatever comes between", async () => {
    await world.handle(part(n1, 1, 2, 10n));
    await world.handle(part(n2, 1, 2, 20n));
    await world.handle(part(n1, 2, 2, 11n));
    expect(tableIds()).toEqual([10, 11]);
    await world.handle(part(n2, 2, 2, 21n));
    expect(tableIds()).toEqual([10, 11]);
    expect(world.deadLetters).toEqual([]);
  });

  it("is completed by another node if its own has gone half-way", async () => {
    await world.handle(part(n1, 1, 2, 10n));
    await world.handle(part(n2, 1, 2, 20n), part(n2, 2, 2, 21n));
    expect(roster().opened).toBe(true);
    expect(tableIds()).toEqual([20, 21]);
    // What the other one named leaves no trace that grows.
    const kinds = [...roster().chunks.values()].filter((chunk) => chunk.kind === "tables");
    expect(kinds.flatMap((chunk) => (chunk.kind === "tables" ? chunk.tables : []))).toHaveLength(2);
  });

  it("makes room for others: of many that were begun the first goes, and whoever is whole opens", async () => {
    for (const id of ["a", "b", "c", "d", "e", "f"]) await world.handle(part(node(id), 1, 2, 10n));
    expect(roster().meta.openings).toHaveLength(4);
    await world.handle(part(node("f"), 2, 2, 11n));
    expect(tableIds()).toEqual([10, 11]);
    expect(roster().meta.openings).toBeUndefined();
  });

  it("places who registered before it in the schemas that it names", async () => {
    await world.handle(world.registration(n2, [{ id: d(20), table: 20n, schema: 9n }]));
    await world.handle(part(n1, 1, 2, 10n), part(n1, 2, 2, 20n));
    expect(roster().find(d(20))!.life.schemaId).toBe(1n);
  });

  it("is bounded", async () => {
    await world.handle(part(n1, 1, 1_001, 10n));
    expect(world.deadLetters[0]!.reason).toMatch(/1000 parts are the most/);
  });

  it("that was half there when this version came is gone on with, or replaced", async () => {
    for (const next of [n1, started(n1, 2)]) {
      world = new World();
      await world.handle(part(n1, 1, 2, 10n));
      const [[space, root]] = [...world.store.roots] as [[string, Root]];
      // As an earlier version wrote it: one opening, whose tables count at once.
      const { openings: _, ...meta } = root.meta;
      const before = { openedBy: "n1", openedByStart: 1n, trigger: T, parts: [1], partsExpected: 2 };
      world.store.roots.set(space, { ...root, meta: { ...meta, ...before } });
      for (const { name } of root.pointers) {
        const { opening: __, ...chunk } = world.store.chunks.get(`${space} ${name}`) as TableChunk;
        world.store.chunks.set(`${space} ${name}`, chunk);
      }
      if (next.start === 2) await world.handleCold(part(next, 1, 2, 12n));
      await world.handleCold(part(next, 2, 2, 11n));
      expect(roster().opened).toBe(true);
      expect(tableIds()).toEqual(next.start === 2 ? [11, 12] : [10, 11]);
    }
  });
});

describe("an opening that is complete and comes again (R1)", () => {
  it("of a higher start changes the table trigger and nothing else, in however many parts", async () => {
    await world.handle(world.opening(n1, T, tables(10n)), world.registration(n1, [{ id: T, table: 0n }]));
    await world.handle(world.none(n1, T, K, { NeedAddedTables: [{ TableID: 30n, SchemaID: 1n }] }));
    expect(tableIds()).toEqual([10, 30]);
    const next = started(n1, 2);
    await world.handle(world.opening(next, d(2), tables(10n), { part: 1, parts: 2 }));
    expect(roster().opened).toBe(true);
    await world.handle(world.opening(next, d(2), tables(11n), { part: 2, parts: 2 }));
    expect([roster().opened, roster().meta.trigger, tableIds()]).toEqual([true, d(2), [10, 30]]);
    expect(world.deadLetters).toEqual([]);
  });

  it("of another node changes nothing, and that one hears of it if it means another table trigger", async () => {
    await world.handle(world.opening(n1, T, tables(10n)));
    await world.handle(world.opening(started(n2, 9), T, tables(20n)));
    expect(results(n2)).toEqual([{ accepted: [], refused: [], maintainerEpoch: "1", start: "9" }]);
    await world.handle(world.opening(started(n2, 9), d(2), tables(20n)));
    expect(results(n2)[0]!.reason).toMatch(/node "n1" has opened the changefeed with another table trigger/);
    expect([roster().meta.trigger, tableIds()]).toEqual([T, [10]]);
  });

  it("of a lower start of its node is told the known one", async () => {
    await world.handle(world.opening(started(n1, 5), T, tables(10n)));
    results(n1);
    await world.handle(world.opening(started(n1, 4), d(2), tables(10n)));
    expect(results(n1)).toEqual([
      { accepted: [], refused: [], maintainerEpoch: "1", start: "4", knownStart: "5" },
    ]);
    expect(roster().meta.trigger).toBe(T);
  });
});

// protocol.md R13
describe("a number that is no commitTs (I3)", () => {
  const split = { BlockTables: normal(20n) };
  const halves = async () => {
    await world.handle(
      world.opening(n1, T, tables(20n)),
      world.registration(n1, [
        { id: T, table: 0n },
        { id: d(21), table: 20n, end: "m" },
      ]),
      world.registration(n2, [{ id: d(22), table: 20n, start: "m" }]),
    );
    await world.handle(world.waiting(n1, [d(21)], K, split));
    results(n2);
  };

  it.each([
    ["2^64 - 1", MAX, /says that nothing is known/],
    ["0", 0n, /checkpoint_ts is 0/],
    ["2^63 - 1", 2n ** 63n - 1n, /below 2\^63 - 1/],
    ["far above every key", 10n ** 18n, /far above every commitTs/],
  ])("as the checkpoint of a registration is refused and told: %s", async (_, checkpoint, reason) => {
    await halves();
    await world.handle(world.registration(n2, [{ id: d(22), table: 20n, start: "m", life: 2n, checkpoint }]));
    const [result] = results(n2);
    expect(result!.refused).toEqual([
      { id: expect.anything(), life: "2", knownLife: "1", reason: expect.stringMatching(reason) },
    ]);
    expect(await world.phase(K)).toBe("waiting");
    expect(roster().find(d(22))!.life.life).toBe(1n);
  });

  it("as the checkpoint of a status says nothing", async () => {
    await halves();
    for (const checkpoint of [MAX, 0n, 2n ** 63n, 10n ** 18n])
      await world.handle(world.status(n2, d(22), 1n, ComponentState.Working, checkpoint));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.status(n2, d(22), 1n, ComponentState.Working, 101n));
    expect(await world.phase(K)).toBe("passing");
  });

  it.each([MAX, 2n ** 63n - 1n, 10n ** 18n])(
    "as an event's opens nothing, proves nobody past, and is put aside with the reason: %s",
    async (commitTs) => {
      await halves();
      await world.handle(world.waiting(n2, [d(22)], ddl(commitTs), split));
      expect(await world.phase(K)).toBe("waiting");
      expect(await world.phase(ddl(commitTs))).toBeUndefined();
      expect(world.deadLetters[0]!.reason).toMatch(/BlockTs is/);
      const blockState = { IsBlocked: true, stage: 1, BlockTs: commitTs, BlockTables: normal(20n) };
      await world.handle(
        world.registration(n2, [{ id: d(22), table: 20n, start: "m", life: 2n, blockState }]),
      );
      expect(await world.phase(K)).toBe("waiting");
      expect(world.deadLetters).toHaveLength(2);
    },
  );

  it("is none only if nobody can mean it: TiDB's timestamps of today beside small ones, and small ones that grow", async () => {
    const today = BigInt(world.now) << 18n;
    await halves();
    await world.handle(
      world.registration(n2, [{ id: d(22), table: 20n, start: "m", life: 2n, checkpoint: today }]),
    );
    await world.handle(world.registration(n2, [{ id: d(30), table: 30n, checkpoint: 10n ** 14n }]));
    expect(results(n2).flatMap(({ refused }) => refused)).toEqual([]);
  });

  it("is no checkpoint of an old node, which takes part from its table's key on", async () => {
    const old = oldNode("o1");
    await world.handle(world.opening(n1, T, tables(20n)));
    await world.handle(world.registration(old, [{ id: d(20), table: 20n, checkpoint: 0n }]));
    expect(roster().find(d(20))!.life.since).toBe(0n);
    await world.handle(world.registration(old, [{ id: d(21), table: 20n, checkpoint: MAX }]));
    expect(roster().find(d(21))).toBeUndefined();
  });

  it("and a life or an epoch above which there is none is refused", async () => {
    await halves();
    await world.handle(world.registration(n2, [{ id: d(22), table: 20n, start: "m", life: MAX }]));
    expect(results(n2)[0]!.refused[0]!.reason).toMatch(/use numbers below/);
    await world.handle(world.status(n2, d(22), MAX, ComponentState.Removed));
    await world.handle(world.registration(n2, [], { epoch: MAX }));
    expect(roster().find(d(22))!.life.life).toBe(1n);
    expect(world.deadLetters).toHaveLength(3);
  });
});

describe("a registration that can never be good is told to its node (R4)", () => {
  it("whose span ends before it starts, or nowhere", async () => {
    await world.handle(world.opening(n1, T, tables(20n)));
    for (const [start, end] of [
      ["m", "c"],
      ["m", "m"],
    ])
      await world.handle(world.registration(n2, [{ id: d(22), table: 20n, start: start!, end: end! }]));
    const reasons = results(n2).flatMap(({ refused }) => refused.map(({ reason }) => reason));
    expect(reasons).toEqual([1, 2].map(() => expect.stringMatching(/EndKey is not behind its StartKey/)));
    expect(roster().find(d(22))).toBeUndefined();
  });

  it("whose state or keys are none, beside others that are good", async () => {
    await world.handle(world.opening(n1, T, tables(20n)));
    await world.handle(
      world.registration(n2, [
        { id: d(21), table: 20n, end: "m" },
        { id: d(22), table: 20n, start: "m".repeat(5_000) },
      ]),
    );
    const [result] = results(n2);
    expect([result!.accepted.length, result!.refused.map(({ reason }) => reason)]).toEqual([
      1,
      [expect.stringMatching(/StartKey is 5000 bytes/)],
    ]);
  });
});

describe("whoever goes on in a life that is over, with nobody in its place (I6)", () => {
  beforeEach(async () => {
    await world.handle(world.opening(n1, T, tables(10n)), world.registration(n2, []));
    await world.handle(world.registration(n1, []), world.registration(n1, [{ id: T, table: 0n }]));
    // The table trigger was on n2 for a moment, whose clock is ahead, and went back.
    await world.handle(world.registration(n2, [{ id: T, table: 0n, life: 900n }]));
    await world.handle(world.status(n2, T, 900n, ComponentState.Removed));
    for (const one of [n1, n2]) results(one);
  });
  const told = () => results(n1).flatMap(({ refused }) => refused.map(({ knownLife }) => knownLife));

  it("is told so whatever it reports: NONE, WAITING, DONE, a state", async () => {
    await world.handle(world.none(n1, T, K, { NeedAddedTables: [{ TableID: 11n, SchemaID: 1n }] }));
    expect(told()).toEqual(["900"]);
    await world.handle(world.done(n1, [T], K, "pass"));
    expect(told()).toEqual(["900"]);
    await world.handle(world.waiting(n1, [T], K, { BlockTables: schema(1n) }));
    expect(told()).toEqual(["900"]);
    await world.handle(world.status(n1, T, 1n, ComponentState.Working));
    expect(told()).toEqual(["900"]);
    // In a higher life its NONE counts, and has its ACK.
    await world.handle(world.registration(n1, [{ id: T, table: 0n, life: 901n }]));
    await world.handle(
      world.none(n1, { id: T, life: 901n }, K, { NeedAddedTables: [{ TableID: 11n, SchemaID: 1n }] }),
    );
    expect(idsOf(world.told(n1), "ack", K)).toEqual([T]);
    expect(tableIds()).toEqual([10, 11]);
  });
});

describe("a node whose start goes back (R5)", () => {
  beforeEach(async () => {
    const ahead = started(n1, 1_000);
    await world.handle(
      world.opening(ahead, T, tables(10n)),
      world.registration(ahead, []),
      world.registration(ahead, [{ id: T, table: 0n }]),
    );
    results(n1);
  });

  it("is told the known start with its registration, and with what it reports", async () => {
    const back = started(n1, 500);
    const whole = { accepted: [], refused: [], maintainerEpoch: "1", start: "500", knownStart: "1000" };
    await world.handle(world.registration(back, [{ id: T, table: 0n, life: 2n }]));
    expect(results(n1)).toEqual([whole]);
    await world.handle(world.waiting(back, [{ id: T, life: 2n }], K, { BlockTables: schema(1n) }));
    expect(results(n1)).toEqual([whole]);
    await world.handle(world.status(back, T, 2n, ComponentState.Working));
    expect(results(n1)).toEqual([whole]);
    await world.handle(world.registration(started(n1, 1_001), [{ id: T, table: 0n, life: 2n }]));
    expect(results(n1)[0]!.accepted).toHaveLength(1);
  });

  it("is not answered if it is somebody else who speaks", async () => {
    await world.handle({
      ...world.registration(started(n2, 10), [{ id: d(10), table: 10n }]),
      principal: "AROA2",
    });
    results(n2);
    await world.handle({ ...world.registration(started(n2, 5), []), principal: "AROA3" });
    expect(results(n2)).toEqual([]);
  });
});

describe("a registration of an epoch that is over (R1)", () => {
  it("is told the present one, and changes nothing", async () => {
    await world.handle(world.opening(n1, T, tables(10n), { epoch: 3n }));
    results(n1);
    await world.handle(
      world.registration(n1, [{ id: T, table: 0n }], { epoch: 2n }),
      world.opening(n1, T, tables(11n), { epoch: 2n }),
    );
    const [registration, opening] = results(n1);
    expect(registration).toMatchObject({ accepted: [], maintainerEpoch: "3" });
    expect(registration!.reason).toMatch(/maintainer_epoch 2 is over: the changefeed is in epoch 3/);
    expect(opening).toMatchObject({ accepted: [], maintainerEpoch: "3" });
    expect([roster().find(T), tableIds()]).toEqual([undefined, [10]]);
  });
});

describe("what names no epoch (R5, R6)", () => {
  // In epoch 1 the dispatcher was on n2, whose clock is ahead; in epoch 2 it is on n1 with a life that is lower.
  beforeEach(async () => {
    await world.handle(
      world.opening(n1, T, tables(10n)),
      world.registration(n1, [{ id: T, table: 0n }]),
      world.registration(n2, [{ id: d(10), table: 10n, life: 900n }]),
    );
  });
  const secondEpoch = async (...also: ReturnType<World["registration"]>[]) => {
    await world.handle(
      world.opening(n1, T, tables(10n), { epoch: 2n }),
      world.registration(
        n1,
        [
          { id: T, table: 0n },
          { id: d(10), table: 10n, life: 500n },
        ],
        { epoch: 2n },
      ),
      ...also,
    );
  };

  it.each([
    ["that follows", true],
    ["that does not", false],
  ])(
    "and is a Removed of the former one from a node %s ends nothing in the present one",
    async (_, follows) => {
      const late = world.status(n2, d(10), 900n, ComponentState.Removed);
      await secondEpoch(...(follows ? [world.registration(n2, [], { epoch: 2n })] : []));
      await world.handle(late);
      expect(roster().find(d(10))?.life.life).toBe(500n);
      // It goes on there: nothing is left over that would end it when others change the roster.
      await world.handle(world.registration(n1, [{ id: d(11), table: 11n }], { epoch: 2n }));
      expect(roster().find(d(10))?.life.life).toBe(500n);
    },
  );

  it("and comes before the registration of its own epoch ends that life when it comes", async () => {
    await secondEpoch(world.registration(n2, [], { epoch: 2n }));
    await world.handle(world.status(n2, d(10), 900n, ComponentState.Removed));
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 900n }], { epoch: 2n }));
    expect([roster().find(d(10)), roster().ended(d(10))?.life]).toEqual([undefined, 900n]);
  });

  it("and is of a process of the former one counts for no life of the same number", async () => {
    const before = started(n1, 90);
    const now = started(n1, 50);
    world = new World();
    await world.handle(
      world.opening(before, T, tables(10n)),
      world.registration(before, [{ id: d(10), table: 10n, life: 500n }]),
    );
    // The clock went back between two starts, and the changefeed was opened again.
    await world.handle(
      world.opening(now, T, tables(10n), { epoch: 2n }),
      world.registration(now, [{ id: d(10), table: 10n, life: 500n }], { epoch: 2n }),
    );
    await world.handle(world.waiting(before, [{ id: d(10), life: 500n }], K, { BlockTables: normal(10n) }));
    expect(await world.phase(K)).toBeUndefined();
    await world.handle(world.status(before, d(10), 500n, ComponentState.Removed));
    expect(roster().find(d(10))?.life.life).toBe(500n);
    await world.handle(
      world.waiting(now, [{ id: d(10), life: 500n }], syncpoint(200n), { BlockTables: normal(10n) }),
    );
    await world.handle(world.status(before, d(10), 500n, ComponentState.Working, 300n));
    expect(await world.phase(syncpoint(200n))).toBe("writing");
  });
});
