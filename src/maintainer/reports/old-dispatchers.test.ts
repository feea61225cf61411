import { describe, expect, it } from "vitest";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import { tiles } from "../../barrier/tiling.ts";
import { Dice } from "../../chance/dice.ts";
import { tableRange } from "../../protocol/span.ts";
import { OldWorld, TRIGGER } from "../testing/old-world.ts";
import { CHANGEFEED, d, ddl, everybody, idsOf, normal, oldNode, schema, World } from "../testing/world.ts";

function world(): OldWorld {
  return new OldWorld(
    ["o1", "o2"],
    [
      { table: 11n, schema: 1n, node: "o1" },
      { table: 12n, schema: 1n, node: "o2" },
    ],
  );
}

const added = (...tables: bigint[]) => tables.map((TableID) => ({ TableID, SchemaID: 1n }));
const passes = (count: number) => ["write", ...Array<string>(count).fill("pass")].join(" ");
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

// protocol.md R16
describe("dispatchers that Weir asks old nodes for", () => {
  it.each(SEEDS)("CREATE: the status Working registers it, in whatever order (seed %i)", async (seed) => {
    const at = world();
    const dice = new Dice(seed, "old create");
    await at.settle();
    at.event({ BlockTs: 100n, BlockTables: normal(0n), NeedAddedTables: added(20n) }, [0n]);
    await at.settle(dice);
    at.event({ BlockTs: 200n, IsSyncPoint: true, BlockTables: everybody });
    await at.settle(dice);
    for (let round = 0; round < 2; round++) await at.pass(6_000, dice);
    // The new table is a whole one for its node: a DDL over it alone asks nobody.
    at.event({ BlockTs: 300n, BlockTables: normal(20n) }, [20n]);
    expect([at.outcome(100n, false), at.outcome(200n, true), at.outcome(300n, false)]).toEqual([
      "write",
      passes(3),
      "write",
    ]);
    expect(await at.world.phase({ commitTs: 200n, isSyncPoint: true })).toBeUndefined();
  });

  it.each(SEEDS)("TRUNCATE, RENAME and DROP, then everybody (seed %i)", async (seed) => {
    const at = world();
    const dice = new Dice(seed, "old drop");
    await at.settle();
    const truncated = { BlockTables: normal(0n, 12n), NeedDroppedTables: normal(12n) };
    at.event({ BlockTs: 100n, ...truncated, NeedAddedTables: added(22n) }, [0n, 12n]);
    await at.settle(dice);
    for (let round = 0; round < 2; round++) await at.pass(6_000, dice);
    const moved = [{ TableID: 22n, OldSchemaID: 1n, NewSchemaID: 2n }];
    at.event({ BlockTs: 200n, BlockTables: normal(0n, 22n), UpdatedSchemas: moved }, [0n, 22n]);
    at.event({ BlockTs: 300n, BlockTables: schema(2n) }, [0n, 22n]);
    await at.settle(dice);
    for (let round = 0; round < 2; round++) await at.pass(6_000, dice);
    const drop = { BlockTables: normal(0n, 11n), NeedDroppedTables: normal(11n) };
    at.event({ BlockTs: 400n, ...drop }, [0n, 11n]);
    at.event({ BlockTs: 500n, BlockTables: everybody }, [0n, 22n]);
    await at.settle(dice);
    for (let round = 0; round < 2; round++) await at.pass(6_000, dice);
    expect([200n, 300n, 500n].map((ts) => at.outcome(ts, false))).toEqual([passes(1), passes(1), passes(1)]);
    for (const ts of [100n, 400n]) expect(at.outcome(ts, false)).toMatch(/^write/);
    expect(await at.world.phase(ddl(500n))).toBeUndefined();
  });

  it("takes no Working from a node that was not asked, and none for a dispatcher that was not", async () => {
    const at = world();
    await at.settle();
    at.event({ BlockTs: 100n, BlockTables: normal(0n), NeedAddedTables: added(20n) }, [0n]);
    while (at.actions("o1").length + at.actions("o2").length === 0) await at.world.handle(at.queue.shift()!);
    const asked = ["o1", "o2"].find((id) =>
      at.actions(id).some((one) => one.type === "ScheduleDispatcherRequest"),
    )!;
    const [request] = at.world.take(oldNode(asked), "ScheduleDispatcherRequest") as {
      config: { dispatcherID: { high: bigint; low: bigint } };
    }[];
    const { dispatcherID } = request!.config;
    const id =
      dispatcherID.high.toString(16).padStart(16, "0") + dispatcherID.low.toString(16).padStart(16, "0");
    const other = asked === "o1" ? "o2" : "o1";
    at.world.now += 10;
    await at.world.handle(
      at.world.status(oldNode(other), id, 0n, 0),
      at.world.status(oldNode(asked), d(77), 0n, 0),
    );
    const lives = () => [...at.world.memory.spaces.values()][0]!.roster!;
    expect([lives().find(id), lives().find(d(77))]).toEqual([undefined, undefined]);
    await at.world.handle(at.world.status(oldNode(asked), id, 0n, 0));
    expect(lives().find(id)?.life).toMatchObject({ node: asked, queue: oldNode(asked).queue, since: 100n });
  });

  it("are of a keyspace where the node's spans are", async () => {
    const w = new World();
    const old = oldNode("o1");
    const range = tableRange(10n, 7);
    const span = (id: string, TableID: bigint, keys = {}) => ({
      ID: dispatcherId(id),
      SchemaID: TableID === 0n ? 0n : 1n,
      span: { TableID, KeyspaceID: 7, ...keys },
      checkpointTs: 1n,
    });
    const spans = [span(TRIGGER, 0n), span(d(10), 10n, { StartKey: range.start, EndKey: range.end })];
    await w.handle(
      w.opening(old, TRIGGER, [{ id: 10n, schema: 1n }]),
      w.message(
        old,
        "MaintainerBootstrapResponse",
        JSON.stringify({
          changefeedID: { ...CHANGEFEED, high: "1", low: "2" },
          spans: spans.map((one) => ({
            ID: { high: `${one.ID.high}`, low: `${one.ID.low}` },
            SchemaID: `${one.SchemaID}`,
            span: {
              TableID: `${one.span.TableID}`,
              KeyspaceID: 7,
              StartKey: Buffer.from((one.span as { StartKey?: Uint8Array }).StartKey ?? []).toString(
                "base64",
              ),
              EndKey: Buffer.from((one.span as { EndKey?: Uint8Array }).EndKey ?? []).toString("base64"),
            },
            checkpointTs: "1",
          })),
        }),
        { replyQueue: old.queue },
      ),
    );
    w.now += 10;
    await w.handle(w.none(old, TRIGGER, ddl(100n), { NeedAddedTables: added(20n) }));
    const [request] = w.take(old, "ScheduleDispatcherRequest");
    const keys = tableRange(20n, 7);
    expect(request).toMatchObject({
      config: { span: { TableID: 20n, StartKey: keys.start, EndKey: keys.end, KeyspaceID: 7 } },
    });
    expect(w.deadLetters).toEqual([]);
  });

  it("keys of a keyspace tile a table as others do", () => {
    const { start, end } = tableRange(10n, 7);
    // x, the keyspace, t, the table, _r: in groups of eight.
    expect(Buffer.from(start).toString("hex")).toBe("7800000774800000ff000000000a5f7200fe");
    const middle = Uint8Array.from([...start, 1]);
    expect(tiles(10n, [{ start, end }])).toBe(true);
    expect(
      tiles(10n, [
        { start, end: middle },
        { start: middle, end },
      ]),
    ).toBe(true);
    expect(tiles(10n, [{ start, end: middle }])).toBe(false);
    expect(tiles(11n, [{ start, end }])).toBe(false);
  });
});

describe("an old node that registers again", () => {
  it("keeps what its dispatchers have reported", async () => {
    const at = world();
    await at.settle();
    at.event({ BlockTs: 100n, BlockTables: everybody });
    // The first node has written and passed, the other has not heard of it.
    for (let round = 0; round < 20; round++) {
      while (at.queue.length > 0) await at.world.handle(at.queue.shift()!);
      for (const message of at.actions("o1").splice(0)) at.obey("o1", message);
    }
    expect(at.outcome(100n, false)).toBe(passes(1));
    at.world.now += 1_000;
    at.register("o1");
    await at.settle();
    expect([at.outcome(100n, false), await at.world.phase(ddl(100n))]).toEqual([passes(2), undefined]);
  });

  it("a dispatcher that ended and was created again is another life, though its end is told late", async () => {
    const w = new World();
    const old = oldNode("o1");
    const spans = [
      { id: TRIGGER, table: 0n },
      { id: d(10), table: 10n },
      { id: d(11), table: 11n },
    ];
    await w.handle(
      w.opening(old, TRIGGER, [
        { id: 10n, schema: 1n },
        { id: 11n, schema: 1n },
      ]),
      w.registration(old, spans),
    );
    w.now += 10;
    const state = { BlockTables: normal(10n, 11n) };
    await w.handle(w.waiting(old, [d(10)], ddl(100n), state));
    w.now += 10;
    const stopped = w.status(old, d(10), 0n, 1);
    w.now += 10;
    await w.handle(w.registration(old, spans));
    await w.handle(stopped);
    w.now += 10;
    await w.handle(w.waiting(old, [d(11)], ddl(100n), state));
    expect(idsOf(w.told(old), "write", ddl(100n))).toEqual([]);
    await w.handle(w.waiting(old, [d(10)], ddl(100n), state));
    expect(idsOf(w.told(old), "write", ddl(100n))).toEqual([d(10)]);
  });
});

describe("an old node's dispatcher whose table was dropped, and that has not been removed yet", () => {
  it("passes what is written, instead of asking for ever", async () => {
    const w = new World();
    const old = oldNode("o1");
    await w.handle(
      w.opening(old, TRIGGER, [
        { id: 10n, schema: 1n },
        { id: 11n, schema: 1n },
      ]),
      w.registration(old, [
        { id: TRIGGER, table: 0n },
        { id: d(10), table: 10n },
        { id: d(11), table: 11n },
      ]),
    );
    w.now += 10;
    const drop = { BlockTables: normal(0n, 10n), NeedDroppedTables: normal(10n) };
    await w.handle(w.waiting(old, [TRIGGER, d(10)], ddl(100n), drop));
    w.now += 10;
    await w.handle(w.done(old, [TRIGGER], ddl(100n), "untyped"));
    w.queues.clear();
    w.now += 5_000;
    await w.handle(w.waiting(old, [d(10)], ddl(100n), drop));
    expect(idsOf(w.told(old), "pass", ddl(100n))).toEqual([d(10)]);
  });
});

describe("heartbeats without statuses", () => {
  it("cost no request", async () => {
    const at = world();
    await at.settle();
    for (const name of Object.keys(at.world.requests)) delete at.world.requests[name];
    const body = JSON.stringify({
      changefeedID: { ...CHANGEFEED, high: "1", low: "2" },
      watermark: { checkpointTs: "5", resolvedTs: "6", seq: "7" },
    });
    const result = await at.world.handle(at.world.message(oldNode("o1"), "HeartBeatRequest", body));
    expect([result.failed, at.world.requests, at.world.deadLetters]).toEqual([[], {}, []]);
  });
});

describe("a node that could not start", () => {
  it("says why, once", async () => {
    const w = new World();
    const old = oldNode("o1");
    const body = (err: object) =>
      JSON.stringify({ changefeedID: { ...CHANGEFEED, high: "1", low: "2" }, ...err });
    const failed = w.message(
      old,
      "MaintainerBootstrapResponse",
      body({ err: { code: "CDC:ErrSink", message: "no route\u001b[2J to the sink" } }),
      { replyQueue: old.queue },
    );
    const { observer } = await w.handle(failed);
    const noted = observer.seen.filter((one) => one.what === "node-failed");
    expect(noted).toMatchObject([{ node: "o1", detail: "CDC:ErrSink: no route [2J to the sink" }]);
    const node = () => [...w.memory.spaces.values()][0]!.roster!.nodes.get("o1");
    expect(node()?.failure).toBe("CDC:ErrSink: no route [2J to the sink");
    w.now += 10;
    const other = oldNode("o2");
    await w.handle(
      w.opening(other, TRIGGER, [{ id: 10n, schema: 1n }]),
      w.registration(other, [{ id: TRIGGER, table: 0n }]),
      w.waiting(other, [TRIGGER], ddl(100n), { BlockTables: everybody }),
    );
    const swept = (await w.sweep()).observer.seen.find((one) => one.what === "barrier-open");
    expect(swept?.detail).toContain("no dispatcher for table 10; node o1 says: CDC:ErrSink: no route");
    w.now += 10;
    await w.handle(w.registration(old, [{ id: d(10), table: 10n }]));
    expect(node()?.failure).toBeUndefined();
  });
});
