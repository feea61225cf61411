/** What an event changes of tables, schemas and routes, and in which order (docs/conformance.md). */
import { describe, expect, it } from "vitest";
import { run } from "../../src/maintainer/base/program.ts";
import { spaceOf } from "../../src/maintainer/base/space.ts";
import { readCheckpointLimit } from "../../src/maintainer/operator/checkpoint.ts";
import { CHANGEFEED, d, ddl, normal, schema, type World } from "../../src/maintainer/testing/world.ts";
import { BlockStage, RouteTableAdmissionAction } from "../../src/protocol/messages.ts";
import { changefeed, lines, n1, n2, scheduled, stored, writersOf } from "./testing.ts";

const T = d(1);
const K = ddl(100n);
const adds = (...tables: bigint[]) => ({
  NeedAddedTables: tables.map((TableID) => ({ TableID, SchemaID: 1n })),
});
const drops = (...tables: bigint[]) => ({ NeedDroppedTables: normal(...tables) });

/** Table trigger and table 10 on n1; 20 in two spans and 30 (schema 2) on n2. */
const setUp = () =>
  changefeed([
    [
      n1,
      [
        { id: T, table: 0n, checkpoint: 50n },
        { id: d(10), table: 10n, checkpoint: 50n },
      ],
    ],
    [
      n2,
      [
        { id: d(21), table: 20n, end: "m", checkpoint: 50n },
        { id: d(22), table: 20n, start: "m", checkpoint: 50n },
        { id: d(30), table: 30n, schema: 2n, checkpoint: 50n },
      ],
    ],
  ]);

describe("table changes", () => {
  it("#12 of an event that was written already: one ACK, nothing stays open, old tables go and new ones come", async () => {
    const world = await setUp();
    await world.handle(world.none(n1, T, K, { ...drops(10n, 30n), ...adds(40n) }));
    expect(lines(world.told(n1))).toEqual(["ack 100 1"]);
    expect(lines(world.told(n2))).toEqual([]);
    expect(await world.phase(K)).toBeUndefined();
    expect(scheduled(world, n1, n2)).toEqual(["create 40", "remove 10", "remove 30"]);
  });

  it("#13 an event of the table trigger alone is ACKed and granted at once", async () => {
    const world = await setUp();
    await world.handle(world.waiting(n1, [T], K, { BlockTables: normal(0n) }));
    expect(lines(world.told(n1))).toEqual(["ack 100 1", "write 100 1"]);
  });

  it.each([
    ["by table", { ...drops(10n), BlockTables: normal(0n, 10n) }, ["create 10", "remove 10"]],
    [
      "by schema",
      { NeedDroppedTables: schema(1n), BlockTables: schema(1n) },
      ["create 10", "remove 10", "remove 20", "remove 20"],
    ],
  ])(
    "#20 drops come before adds: a table that is dropped and added in one event is there afterwards, %s",
    async (_, state, expected) => {
      const world = await setUp();
      await world.handle(
        world.waiting(n1, [T, d(10)], K, { ...state, ...adds(10n) }),
        world.waiting(n2, [d(21), d(22)], K, { ...state, ...adds(10n) }),
      );
      await world.handle(world.done(n1, [T], K, "write"));
      expect(scheduled(world, n1, n2)).toEqual(expected);
      // A later event waits for the new dispatcher, and for it alone.
      const next = ddl(110n);
      await world.handle(world.waiting(n1, [T], next, { BlockTables: normal(0n, 10n) }));
      expect(await world.phase(next)).toBe("waiting");
      await world.handle(world.registration(n2, [{ id: d(11), table: 10n, checkpoint: 100n }]));
      await world.handle(world.waiting(n2, [d(11)], next, { BlockTables: normal(0n, 10n) }));
      expect(await world.phase(next)).toBe("writing");
    },
  );

  it("#26 are made once, however often the writer says DONE", async () => {
    const world = await setUp();
    const state = { BlockTables: normal(0n, 10n), ...drops(10n), ...adds(11n) };
    await world.handle(world.waiting(n1, [T, d(10)], K, state));
    const done = world.done(n1, [T], K, "write");
    await Promise.all([world.handleCold(done), world.handleCold({ ...done, receiveCount: 2 })]);
    // Who asks a second time asks for the same dispatcher.
    expect([...new Set(scheduled(world, n1, n2))]).toEqual(["create 11", "remove 10"]);
    const before = stored(world);
    await world.handleCold(done);
    expect(stored(world)).toEqual(before);
    expect(scheduled(world, n1, n2)).toEqual([]);
  });

  it("#27 of a later event wait for those of an earlier one, and are told in its order", async () => {
    const world = await setUp();
    const [first, second, third] = [ddl(90n), ddl(95n), ddl(97n)];
    await world.handle(world.waiting(n1, [d(10)], first, { BlockTables: normal(10n), ...drops(10n) }));
    await world.handle(world.none(n1, T, third, adds(43n)));
    await world.handle(world.none(n1, T, second, adds(42n)));
    expect(scheduled(world, n1, n2)).toEqual([]);
    world.told(n1);
    await world.handle(world.done(n1, [d(10)], first, "write"));
    expect(scheduled(world, n1, n2)).toEqual(["create 42", "create 43", "remove 10"]);
    const acks = lines(world.told(n1)).filter((line) => line.startsWith("ack"));
    expect(acks).toEqual(["ack 95 1", "ack 97 1"]);
  });
});

const limitOf = (world: World) => run(readCheckpointLimit(spaceOf(CHANGEFEED, 0n)), world.port);

describe("the checkpoint", () => {
  it("#35 stays at the smallest start of the tables that have no dispatcher, as they come", async () => {
    const world = await setUp();
    await world.handle(world.none(n1, T, K, adds(40n, 41n)));
    await world.handle(world.none(n1, T, ddl(110n), adds(42n)));
    expect((await limitOf(world))!.atMost).toBe(100n);
    await world.handle(world.registration(n2, [{ id: d(40), table: 40n, checkpoint: 100n }]));
    expect((await limitOf(world))!.atMost).toBe(100n);
    await world.handle(world.registration(n2, [{ id: d(41), table: 41n, checkpoint: 100n }]));
    expect((await limitOf(world))!.atMost).toBe(110n);
    await world.handle(world.none(n1, T, ddl(120n), drops(42n)));
    expect((await limitOf(world))!.atMost).toBeUndefined();
  });
});

const admit = (source: string, target: string) => ({
  Action: RouteTableAdmissionAction.ADMIT,
  SourceSchemaName: "a",
  SourceTableName: source,
  TargetSchemaName: "x",
  TargetTableName: target,
});
const release = (source: string) => ({
  Action: RouteTableAdmissionAction.RELEASE,
  SourceSchemaName: "a",
  SourceTableName: source,
});

describe("routes", () => {
  const conflictOf = async (world: World, key: ReturnType<typeof ddl>, ...changes: object[]) => {
    const { observer } = await world.handle(
      world.none(n1, T, key, { RouteTableAdmissions: changes as never }),
    );
    return observer.seen.find((one) => one.what === "route-conflict")?.detail;
  };

  it("#6 that a registered DONE brings are applied with that", async () => {
    const blockState = {
      IsBlocked: true,
      BlockTs: 100n,
      stage: BlockStage.DONE,
      BlockTables: normal(0n, 10n),
      RouteTableAdmissions: [admit("t10", "u")],
    };
    const world = await changefeed([
      [
        n1,
        [
          { id: T, table: 0n, blockState },
          { id: d(10), table: 10n },
        ],
      ],
    ]);
    expect(await conflictOf(world, ddl(110n), admit("t20", "u"))).toMatch(
      /a\.t20 and a\.t10 would both go to x\.u/,
    );
  });

  it("#7 of an event that is provably past are applied before those of a later one", async () => {
    const world = await setUp();
    expect(await conflictOf(world, ddl(90n), admit("t10", "u"))).toBeUndefined();
    const state = { BlockTables: normal(0n, 10n, 20n), RouteTableAdmissions: [release("t10")] };
    await world.handle(world.waiting(n1, [T], K, state));
    // 20 stands behind it: whoever wrote it, it is written, and its target is free.
    await world.handle(world.waiting(n2, [d(21)], ddl(150n), { BlockTables: normal(20n) }));
    expect(await world.phase(K)).toBe("passing");
    expect(await conflictOf(world, ddl(120n), admit("t30", "u"))).toBeUndefined();
    expect(await conflictOf(world, ddl(130n), admit("t10", "u"))).toMatch(/would both go to x\.u/);
  });

  it("#9 of an earlier event hold a covered one, whose reports are not lost", async () => {
    const world = await setUp();
    const drop = ddl(80n);
    await world.handle(world.waiting(n1, [d(10)], drop, { BlockTables: normal(10n), ...drops(10n) }));
    expect(await conflictOf(world, ddl(90n), admit("t30", "u"))).toBeUndefined();
    expect(await world.phase(ddl(90n))).toBe("written");
    const state = { BlockTables: normal(0n, 20n), RouteTableAdmissions: [admit("t20", "v")] };
    await world.handle(world.waiting(n2, [d(21), d(22)], K, { BlockTables: normal(0n, 20n) }));
    await world.handle(world.waiting(n1, [T], K, state));
    expect(await world.phase(K)).toBe("waiting");
    expect(writersOf(world, K, n1, n2)).toEqual([]);
    await world.handle(world.done(n1, [d(10)], drop, "write"));
    // Nobody reported again.
    expect(writersOf(world, K, n1, n2)).toEqual([1]);
  });

  it("#9 that collide keep a covered event from being granted", async () => {
    const world = await setUp();
    expect(await conflictOf(world, ddl(90n), admit("t30", "u"))).toBeUndefined();
    const state = { BlockTables: normal(0n, 20n), RouteTableAdmissions: [admit("t20", "u")] };
    await world.handle(
      world.waiting(n2, [d(21), d(22)], K, { BlockTables: normal(0n, 20n) }),
      world.waiting(n1, [T], K, state),
    );
    expect(await world.phase(K)).toBe("waiting");
    expect(writersOf(world, K, n1, n2)).toEqual([]);
  });
});
