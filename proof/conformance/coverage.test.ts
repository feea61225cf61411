/** Who has to report before Write is granted: lives and ranges, never counts (docs/conformance.md). */
import { describe, expect, it } from "vitest";
import { d, ddl, everybody, normal, syncpoint, type TestSpan } from "../../src/maintainer/testing/world.ts";
import { ComponentState } from "../../src/protocol/messages.ts";
import { tableRange } from "../../src/protocol/span.ts";
import { changefeed, lines, n1, n2, writersOf } from "./testing.ts";

const T = d(1);
const K = ddl(100n);
const S = syncpoint(100n);
const range = tableRange(20n);
const first = Buffer.from(range.start);
const last = Buffer.from(range.end);
const middle = Buffer.concat([first, Buffer.from("m")]);
const beyond = Buffer.concat([last, Buffer.from("m")]);
const life = (id: string, number: bigint) => ({ id, life: number });

describe("a table that is split again while its barrier collects", () => {
  it("#16 is covered when those that replaced its dispatchers have all reported, and not by one that left", async () => {
    const world = await changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(21), table: 20n, end: "f" },
        ],
      ],
      [
        n2,
        [
          { id: d(22), table: 20n, start: "f", end: "p" },
          { id: d(23), table: 20n, start: "p" },
        ],
      ],
    ]);
    const state = { BlockTables: normal(20n) };
    await world.handle(world.waiting(n1, [d(21)], K, state));
    await world.handle(
      ...[d(22), d(23)].map((id) => world.status(n2, id, 1n, ComponentState.Removed)),
      world.status(n1, d(21), 1n, ComponentState.Removed),
      world.registration(n2, [
        { id: d(25), table: 20n, end: "c", checkpoint: 50n },
        { id: d(26), table: 20n, start: "c", end: "t", checkpoint: 50n },
      ]),
      world.registration(n1, [{ id: d(27), table: 20n, start: "t", checkpoint: 50n }]),
    );
    // By range, 21 and 26 would join with 27's; by number there are three reports.
    await world.handle(world.waiting(n2, [d(25), d(26)], K, state));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.waiting(n1, [d(27)], K, state));
    expect(writersOf(world, K, n1, n2)).toEqual([27]);
  });
});

describe("a dispatcher that is being moved", () => {
  const setUp = () =>
    changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(10), table: 10n },
        ],
      ],
      [n2, [{ id: d(20), table: 20n }]],
    ]);
  const all = { BlockTables: everybody };

  it("#17 has to report again where it went, and its report before it works there is refused", async () => {
    const world = await setUp();
    await world.handle(world.waiting(n1, [d(10)], S, all), world.waiting(n2, [d(20)], S, all));
    await world.handle(
      world.registration(n2, [{ id: d(10), table: 10n, life: 2n, state: ComponentState.Preparing }]),
    );
    await world.handle(world.waiting(n1, [T], S, all));
    expect(await world.phase(S)).toBe("waiting");
    await world.handle(world.waiting(n2, [life(d(10), 2n)], S, all));
    expect(await world.phase(S)).toBe("waiting");
    world.now += 10;
    await world.handle(world.status(n2, d(10), 2n, ComponentState.Working));
    expect(await world.phase(S)).toBe("waiting");
    await world.handle(world.waiting(n2, [life(d(10), 2n)], S, all));
    expect(writersOf(world, S, n1, n2)).toEqual([1]);
  });

  it("#19 is answered with exactly one entry, ignored, to itself; nothing is opened or recorded", async () => {
    const world = await setUp();
    await world.handle(
      world.registration(n2, [{ id: d(10), table: 10n, life: 2n, state: ComponentState.Preparing }]),
    );
    world.queues.clear();
    await world.handle(world.waiting(n2, [life(d(10), 2n)], K, { BlockTables: normal(10n) }));
    const told = world.told(n2);
    expect(lines(told)).toEqual(["ignored 100 10"]);
    expect(told[0]!.lives).toEqual([2n]);
    expect(lines(world.told(n1))).toEqual([]);
    expect(await world.phase(K)).toBeUndefined();
    expect([world.store.barriers.size, world.store.tallies.size, world.store.kept.size]).toEqual([0, 0, 0]);
  });
});

describe("ranges", () => {
  it.each<[string, readonly Omit<TestSpan, "id">[], boolean]>([
    ["one whole table", [{ table: 20n }], true],
    [
      "three pieces that touch",
      [
        { table: 20n, end: "f" },
        { table: 20n, start: "f", end: "p" },
        { table: 20n, start: "p" },
      ],
      true,
    ],
    [
      "pieces that overlap",
      [
        { table: 20n, end: "k" },
        { table: 20n, start: "c", end: "p" },
        { table: 20n, start: "f" },
      ],
      true,
    ],
    [
      "a gap",
      [
        { table: 20n, end: "f" },
        { table: 20n, start: "g" },
      ],
      false,
    ],
    ["no first piece", [{ table: 20n, start: "f" }], false],
    [
      "a prefix",
      [
        { table: 20n, end: "f" },
        { table: 20n, start: "f", end: "p" },
      ],
      false,
    ],
    ["two tables, one with a gap", [{ table: 20n }, { table: 30n, end: "f" }], false],
    ["two whole tables", [{ table: 20n }, { table: 30n, end: "f" }, { table: 30n, start: "f" }], true],
  ])("#32 of those who reported are joined: %s", async (_, spans, covered) => {
    const ids = spans.map((_, index) => d(20 + index));
    const world = await changefeed([
      [n1, [{ id: T, table: 0n }]],
      [n2, spans.map((span, index) => ({ id: ids[index]!, ...span }))],
    ]);
    const state = { BlockTables: normal(...new Set(spans.map((span) => span.table))) };
    // The last one first, so that nobody's order helps.
    for (const id of ids.toReversed()) {
      expect(await world.phase(K)).not.toBe("writing");
      await world.handle(world.waiting(n2, [id], K, state));
    }
    expect(await world.phase(K)).toBe(covered ? "writing" : "waiting");
  });

  it.each<[string, [Buffer, Buffer][], boolean]>([
    ["exactly the table", [[first, last]], true],
    ["short of the end", [[first, middle]], false],
    ["beyond the end", [[first, beyond]], false],
    [
      "two pieces",
      [
        [first, middle],
        [middle, last],
      ],
      true,
    ],
  ])("#32 in TiCDC's keys end where the table ends: %s", async (_, pieces, covered) => {
    const world = await changefeed([[n1, [{ id: T, table: 0n }]]], [{ id: 20n, schema: 1n }]);
    const ids = pieces.map((_, index) => d(20 + index));
    const registration = world.registration(
      n2,
      ids.map((id) => ({ id, table: 20n })),
    );
    const body = JSON.parse(registration.body);
    for (const [index, [start, end]] of pieces.entries())
      Object.assign(body.spans[index].span, {
        StartKey: start.toString("base64"),
        EndKey: end.toString("base64"),
      });
    await world.handle({ ...registration, body: JSON.stringify(body) });
    await world.handle(world.waiting(n2, ids, K, { BlockTables: normal(20n) }));
    expect(await world.phase(K)).toBe(covered ? "writing" : "waiting");
  });
});

describe("what does not make a table covered", () => {
  const setUp = () =>
    changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(10), table: 10n },
        ],
      ],
      [
        n2,
        [
          { id: d(21), table: 20n, end: "m" },
          { id: d(22), table: 20n, start: "m" },
          { id: d(30), table: 30n },
        ],
      ],
    ]);

  it("T-A7 reports for tables that are not listed, and one span of a split table; a table that is listed twice is one", async () => {
    const world = await setUp();
    const state = { BlockTables: normal(10n, 10n, 20n) };
    await world.handle(world.waiting(n1, [d(10)], K, state), world.waiting(n2, [d(30)], K, state));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.waiting(n2, [d(21)], K, state));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.waiting(n2, [d(22)], K, state));
    expect(writersOf(world, K, n1, n2)).toEqual([22]);
  });

  it("T-A8 nothing is missing of a table that an earlier event dropped, or that the changefeed never had", async () => {
    const world = await setUp();
    await world.handle(world.none(n1, T, ddl(90n), { NeedDroppedTables: normal(30n) }));
    await world.handle(world.waiting(n1, [T, d(10)], K, { BlockTables: normal(0n, 10n, 30n, 999n) }));
    expect(writersOf(world, K, n1, n2)).toEqual([1]);
  });
});
