import { describe, expect, it } from "vitest";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import { Dice } from "../../chance/dice.ts";
import { tableRange } from "../../protocol/span.ts";
import { OldWorld } from "../testing/old-world.ts";
import { d, ddl, everybody, normal, schema, syncpoint } from "../testing/world.ts";

/** Two nodes as TiCDC's: the table trigger and tables 11 and 12 on the first, 13 and 14 on the other; 11 and 13 in schema 1. */
function world(): OldWorld {
  return new OldWorld(
    ["o1", "o2"],
    [
      { table: 11n, schema: 1n, node: "o1" },
      { table: 12n, schema: 2n, node: "o1" },
      { table: 13n, schema: 1n, node: "o2" },
      { table: 14n, schema: 2n, node: "o2" },
    ],
  );
}

const T = 100n;
const POINT = { BlockTs: T, IsSyncPoint: true, BlockTables: everybody };
/** DDLs over several dispatchers, at the commitTs of the syncpoint. */
const DDLS = [
  ["ALTER DATABASE", { BlockTs: T, BlockTables: schema(1n) }, [0n, 11n, 13n]],
  ["CREATE VIEW", { BlockTs: T, BlockTables: everybody }, undefined],
  ["RENAME of two tables", { BlockTs: T, BlockTables: normal(0n, 11n, 14n) }, [0n, 11n, 14n]],
  ["a DDL without the table trigger", { BlockTs: T, BlockTables: normal(11n, 14n) }, [11n, 14n]],
] as const;

const ALTER = { BlockTs: T, BlockTables: normal(11n, 14n) };
const passes = (count: number) => ["write", ...Array<string>(count).fill("pass")].join(" ");

// protocol.md M21
describe.each(DDLS)("old nodes, %s and a syncpoint at one commitTs", (_, state, tables) => {
  const touched = tables?.length ?? 5;

  it("each is written once, then passed, in whatever order messages come", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const at = world();
      const dice = new Dice(seed, "old nodes");
      await at.settle();
      at.event(state, tables);
      at.event(POINT);
      at.event({ BlockTs: 200n, BlockTables: everybody });
      await at.settle(dice);
      for (let round = 0; round < 4; round++) await at.pass(6_000, dice);
      const outcome = [at.outcome(T, false), at.outcome(T, true), at.outcome(200n, false)];
      expect([seed, ...outcome]).toEqual([seed, passes(touched - 1), passes(4), passes(4)]);
      expect(await at.world.phase(syncpoint(T))).toBeUndefined();
      expect(await at.world.phase(ddl(T))).toBeUndefined();
    }
  });
});

describe("what comes late to old nodes at one commitTs", () => {
  it("a copy of a WAITING of the DDL, when that is closed and its dispatcher waits for the syncpoint", async () => {
    const at = world();
    await at.settle();
    at.event(ALTER, [11n, 14n]);
    const copies = [...at.queue];
    // Table 13 is behind: the syncpoint stays open, and nobody may pass it.
    at.event(POINT, [0n, 11n, 12n, 14n]);
    await at.settle();
    expect([await at.world.phase(ddl(T)), await at.world.phase(syncpoint(T))]).toEqual([
      undefined,
      "waiting",
    ]);
    await at.world.handle(...copies);
    await at.world.handleCold(...copies);
    await at.settle();
    expect(at.outcome(T, true)).toBe("");
    at.event(POINT, [13n]);
    await at.settle();
    expect([at.outcome(T, false), at.outcome(T, true)]).toEqual([passes(1), passes(4)]);
  });

  it("a DDL that was written in a former epoch, when one waits for it and one for the syncpoint", async () => {
    const at = world();
    // In epoch 1 the dispatcher of table 11 has passed the DDL, that of 14 has not.
    at.event(ALTER, [14n]);
    await at.settle();
    at.event(POINT, [0n, 11n, 12n]);
    await at.settle();
    expect(await at.world.phase(ddl(T))).toBeUndefined();
    expect(at.outcome(T, true)).toBe("");
    at.event(POINT, [13n, 14n]);
    await at.settle();
    await at.pass(6_000);
    expect([at.outcome(T, false), at.outcome(T, true)]).toEqual(["pass", passes(4)]);
  });
});

describe("a syncpoint that a dispatcher of an old node is past, and that nobody has written", () => {
  it("is written all the same, and it is not waited for who is past it", async () => {
    const at = world();
    await at.settle();
    at.event(POINT, [0n, 11n, 12n, 13n]);
    // It has taken the Pass of a DDL for that of the syncpoint.
    at.event({ BlockTs: 150n, BlockTables: normal(12n, 14n) }, [14n]);
    await at.settle();
    for (let round = 0; round < 3; round++) await at.pass(6_000);
    expect(at.outcome(T, true)).toBe(passes(3));
    expect(await at.world.phase(syncpoint(T))).toBeUndefined();
  });

  it("is not taken for written because a table has been added since", async () => {
    const at = world();
    at.addNode("o3");
    await at.settle();
    at.event(POINT, [11n, 12n, 13n]);
    await at.settle();
    at.manager("o3").create({
      id: dispatcherId(d(14)),
      tableId: 14n,
      schemaId: 2n,
      ...tableRange(14n),
      startTs: 150n,
    });
    at.register("o3");
    await at.settle();
    expect([await at.world.phase(syncpoint(T)), at.outcome(T, true)]).toEqual(["waiting", ""]);
    at.event(POINT, [0n]);
    await at.settle();
    expect(at.outcome(T, true)).toBe(passes(3));
  });
});
