/** What reports and statuses do before they reach a barrier: folding, checkpoints, states, senders (docs/conformance.md). */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { dispatcherId } from "../../src/barrier/dispatcher-id.ts";
import {
  again,
  CHANGEFEED,
  d,
  ddl,
  everybody,
  normal,
  syncpoint,
  type World,
} from "../../src/maintainer/testing/world.ts";
import { schemas } from "../../src/protocol/codec.ts";
import {
  BlockStage,
  ComponentState,
  DoneAction,
  type TableSpanBlockStatusSchema,
} from "../../src/protocol/messages.ts";
import { changefeed, lines, n1, n2, scheduled, stored, writersOf } from "./testing.ts";

const T = d(1);
const K = ddl(100n);
const split = { BlockTables: normal(20n) };

/** Table trigger and table 10 on n1; 20 in two spans, one on each node. */
const setUp = () =>
  changefeed([
    [
      n1,
      [
        { id: T, table: 0n, checkpoint: 50n },
        { id: d(10), table: 10n, checkpoint: 50n },
        { id: d(21), table: 20n, end: "m", checkpoint: 50n },
      ],
    ],
    [n2, [{ id: d(22), table: 20n, start: "m", checkpoint: 50n }]],
  ]);

type Status = MessageInitShape<typeof TableSpanBlockStatusSchema>["state"];
/** One request with a status for each of these, in this order. */
const request = (world: World, ...statuses: readonly [string, Status][]) =>
  world.message(
    n1,
    "BlockStatusRequest",
    create(schemas.BlockStatusRequest, {
      changefeedID: CHANGEFEED,
      blockStatuses: statuses.map(([id, state]) => ({ ID: dispatcherId(id), life: 1n, state: state! })),
    }),
  );

describe("equal statuses", () => {
  it("#28 of one request count once, and different ones keep their order", async () => {
    const world = await setUp();
    const waiting = { IsBlocked: true, BlockTs: 100n, stage: BlockStage.WAITING, BlockTables: normal(10n) };
    const done = {
      IsBlocked: true,
      BlockTs: 100n,
      stage: BlockStage.DONE,
      doneAction: DoneAction.WRITE_DONE,
    };
    const none = { BlockTs: 90n, NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] };
    const drop = { BlockTs: 95n, NeedDroppedTables: normal(40n) };
    await world.handle(
      request(
        world,
        [T, drop],
        [T, none],
        [T, none],
        [T, drop],
        [d(10), waiting],
        [d(10), waiting],
        [d(10), done],
        [d(10), done],
      ),
    );
    // WAITING before its DONE, and the table is added before it is dropped, whatever stood first.
    expect(await world.phase(K)).toBeUndefined();
    const told = lines(world.told(n1));
    expect(told.filter((line) => line.startsWith("ack"))).toEqual(["ack 90 1", "ack 95 1", "ack 100 10"]);
    expect(told.filter((line) => line.startsWith("write"))).toEqual(["write 100 10"]);
    expect(scheduled(world, n1, n2)).toEqual(["create 40"]);
    expect(world.store.barriers.size).toBe(3);
  });

  it("#29 in a message that is delivered to two invocations at a time grant Write once", async () => {
    const world = await setUp();
    await world.handle(world.waiting(n1, [d(21)], K, split));
    const last = world.waiting(n2, [d(22)], K, split);
    const results = await Promise.all([world.handleCold(last), world.handleCold(last)]);
    const granted = results.flatMap(({ observer }) =>
      observer.seen.filter((one) => one.what === "write-granted"),
    );
    expect(granted).toHaveLength(1);
    expect(new Set(writersOf(world, K, n1, n2)).size).toBe(1);
  });

  it("#30 in heartbeats are not folded: the last one says what a dispatcher does", async () => {
    const world = await setUp();
    const states = [ComponentState.Working, ComponentState.Preparing, ComponentState.Working];
    const heartbeat = world.message(
      n2,
      "HeartBeatRequest",
      create(schemas.HeartBeatRequest, {
        changefeedID: CHANGEFEED,
        statuses: states.map((componentStatus) => ({ ID: dispatcherId(d(22)), life: 1n, componentStatus })),
      }),
    );
    await world.handle(heartbeat);
    await world.handle(world.waiting(n1, [d(21)], K, split), world.waiting(n2, [d(22)], K, split));
    expect(lines(world.told(n2))).toEqual(["ack 100 22", "write 100 22"]);
  });
});

describe("a checkpoint", () => {
  it("#33 never goes back: what it once proved stays proven", async () => {
    const world = await setUp();
    await world.handle(world.waiting(n1, [d(21)], K, split));
    const progress = (checkpoint: bigint) =>
      world.handle(world.status(n2, d(22), 1n, ComponentState.Working, checkpoint));
    await progress(150n);
    await progress(60n);
    expect(await world.phase(K)).toBe("passing");
    expect(writersOf(world, K, n1, n2)).toEqual([]);
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });
});

describe("senders and states", () => {
  it("T-A15 an unknown dispatcher's repeats are one kept report, and its registration is answered with what to do", async () => {
    const world = await setUp();
    const report = world.waiting(n2, [{ id: d(90), life: 7n }], K, { BlockTables: normal(10n) });
    await world.handle(report);
    const before = stored(world);
    expect(before.kept.size).toBe(1);
    for (let repeat = 0; repeat < 20; repeat++) {
      world.now += 5_000;
      await world.handle({ ...report, messageId: `r${repeat}`, sentAt: world.now });
    }
    const after = stored(world);
    expect([after.roots, after.kept.size]).toEqual([before.roots, 1]);
    expect(world.queues.size).toBe(0);

    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 9n }]));
    world.take(n2, "RegistrationResult");
    await world.handle(world.registration(n1, [{ id: d(10), table: 10n, life: 7n }]));
    expect(world.take(n1, "RegistrationResult")).toMatchObject([
      { refused: [{ life: "7", knownLife: "9", reason: "a higher life is registered" }] },
    ]);
  });

  it("T-A15 repeats of a life that is over cost no write", async () => {
    const world = await setUp();
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 2n }]));
    world.queues.clear();
    const report = world.waiting(n1, [d(10)], K, { BlockTables: normal(10n) });
    await world.handle(report);
    const before = stored(world);
    for (let repeat = 0; repeat < 20; repeat++) await world.handle(again(report));
    expect(stored(world)).toEqual(before);
    expect(world.deadLetters).toEqual([]);
    expect(before.kept.size).toBe(0);
  });

  it("T-A18 a block status changes nobody's state: who does not replicate goes on being ignored", async () => {
    const world = await setUp();
    await world.handle(
      world.registration(n2, [{ id: d(10), table: 10n, life: 2n, state: ComponentState.Preparing }]),
    );
    world.queues.clear();
    const report = world.waiting(n2, [{ id: d(10), life: 2n }], K, { BlockTables: normal(10n) });
    await world.handle(report);
    await world.handle(again(report));
    expect(lines(world.told(n2))).toEqual(["ignored 100 10", "ignored 100 10"]);
  });

  it("T-A18 a late status of a table trigger that was removed does not bring it back", async () => {
    const world = await setUp();
    await world.handle(world.status(n1, T, 1n, ComponentState.Removed));
    const { roots } = stored(world);
    const key = syncpoint(100n);
    await world.handle(world.waiting(n1, [T], key, { BlockTables: everybody }));
    expect(stored(world).roots).toEqual(roots);
    await world.handle(
      world.waiting(n1, [d(10), d(21)], key, { BlockTables: everybody }),
      world.waiting(n2, [d(22)], key, { BlockTables: everybody }),
    );
    expect(await world.phase(key)).toBe("waiting");
  });
});
