/** What a coordinator makes of where dispatchers say they stand, and what they say (docs/conformance.md). */
import { describe, expect, it } from "vitest";
import { Capture } from "../../src/dispatcher/testing/capture.ts";
import {
  d,
  ddl,
  everybody,
  normal,
  oldNode,
  syncpoint,
  type TestSpan,
  World,
} from "../../src/maintainer/testing/world.ts";
import { decode } from "../../src/protocol/codec.ts";
import { BlockStage } from "../../src/protocol/messages.ts";
import { changefeed, lines, n1, n2, registered, writersOf } from "./testing.ts";

const T = d(1);
const K = ddl(100n);
const S = syncpoint(100n);
const split = { BlockTables: normal(20n) };
const at = (stage: BlockStage, state: object, key = K) => ({
  blockState: { IsBlocked: true, BlockTs: key.commitTs, IsSyncPoint: key.isSyncPoint, stage, ...state },
});

/** Table trigger and one span of table 20 on n1, the other on n2: a coordinator that knows only what they register. */
const restored = (states: Record<"T" | "d21" | "d22", Partial<TestSpan>>) =>
  registered([
    [
      n1,
      [
        { id: T, table: 0n, checkpoint: 50n, ...states.T },
        { id: d(21), table: 20n, end: "m", checkpoint: 50n, ...states.d21 },
      ],
    ],
    [n2, [{ id: d(22), table: 20n, start: "m", checkpoint: 50n, ...states.d22 }]],
  ]);

describe("a registration", () => {
  it("#14 without a block state, or with NONE, opens nothing", async () => {
    const none = { blockState: { IsBlocked: false, BlockTs: 100n, stage: BlockStage.NONE } };
    const world = await restored({ T: {}, d21: none, d22: { blockState: {} } });
    expect([...[...world.store.roots.values()][0]!.steps.keys()]).toEqual([]);
    expect(world.store.barriers.size).toBe(0);
    expect(world.deadLetters).toEqual([]);
  });

  it("#14 of DONE alone shows that the event is written, and each of them is done", async () => {
    const done = at(BlockStage.DONE, split);
    const world = await restored({ T: {}, d21: done, d22: done });
    expect(await world.phase(K)).toBeUndefined();
    expect(writersOf(world, K, n1, n2)).toEqual([]);
  });

  it.each<[string, Parameters<typeof restored>[0]]>([
    ["a part of the table", { T: {}, d21: { checkpoint: 100n }, d22: at(BlockStage.WAITING, split) }],
    [
      "the table trigger",
      {
        T: { checkpoint: 100n },
        d21: at(BlockStage.WAITING, { BlockTables: everybody }),
        d22: at(BlockStage.WAITING, { BlockTables: everybody }),
      },
    ],
  ])("#14 with its checkpoint at a DDL's commitTs shows that the DDL is written: %s", async (_, states) => {
    const world = await restored(states);
    expect(writersOf(world, K, n1, n2)).toEqual([]);
    expect(await world.phase(K)).toBe("passing");
    const waiting = [
      [n1, d(21), states.d21],
      [n2, d(22), states.d22],
    ] as const;
    for (const [from, id, { blockState }] of waiting)
      if (blockState) await world.handle(world.done(from, [id], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("#14 with its checkpoint at a syncpoint's commitTs does not: DONE says that", async () => {
    const waits = at(BlockStage.WAITING, { BlockTables: everybody }, S);
    const behind = { checkpoint: 100n };
    const world = await restored({ T: behind, d21: waits, d22: waits });
    expect(await world.phase(S)).toBe("waiting");
    const other = await restored({ T: { ...behind, ...at(BlockStage.DONE, {}, S) }, d21: waits, d22: waits });
    expect(await other.phase(S)).toBe("passing");
    await other.handle(other.done(n1, [d(21)], S, "pass"), other.done(n2, [d(22)], S, "pass"));
    expect(await other.phase(S)).toBeUndefined();
  });

  it("#14 of the writer's next life behind the event overtakes its DONE: nobody else is granted Write", async () => {
    const world = await changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(21), table: 20n, end: "m" },
        ],
      ],
      [n2, [{ id: d(22), table: 20n, start: "m" }]],
    ]);
    await world.handle(world.waiting(n1, [d(21)], K, split), world.waiting(n2, [d(22)], K, split));
    expect(writersOf(world, K, n1, n2)).toEqual([22]);
    // It has written and starts again elsewhere from there; its DONE is still on the way.
    const late = world.done(n2, [d(22)], K, "write");
    await world.handle(
      world.registration(n1, [{ id: d(22), table: 20n, start: "m", life: 2n, checkpoint: 100n }]),
    );
    expect(lines(world.told(n1))).toEqual(["pass 100 21"]);
    await world.handle(late, world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });
});

describe("an epoch", () => {
  it.each([
    ["an old node that opened with 0 gets 0 back", oldNode("old"), 0n, 0n],
    ["a new node that opened with 0 gets 1", n1, 0n, 1n],
    ["a node gets the one that it opened with", oldNode("old"), 7n, 7n],
  ])("#39 is named in every answer: %s", async (_, from, epoch, answered) => {
    const world = new World();
    await world.handle(world.opening(from, T, [], { epoch }));
    await world.handle(world.registration(from, [{ id: T, table: 0n }], { epoch }));
    world.now += 5;
    world.queues.clear();
    await world.handle(world.waiting(from, [T], K, { BlockTables: normal(0n) }));
    const responses = world.queues.get(from.queue)!;
    expect(responses).toHaveLength(1);
    const { maintainerEpoch } = decode("HeartBeatResponse", "json", responses[0]!.body);
    expect(maintainerEpoch).toBe(answered);
  });
});

describe("a capture node that follows into another epoch", () => {
  it("#53 says of a syncpoint that it is behind it, and of a DDL by its checkpoint", async () => {
    const capture = await Capture.start();
    const one = await capture.dispatcher(10);
    for (const key of [K, S]) {
      const handled = one.handle({ key, blockTables: { type: "all" }, payload: undefined });
      await capture.settle();
      await capture.respond(key, "pass", [one]);
      await handled;
      capture.reports();
      void capture.node.follow(key.isSyncPoint ? 3n : 2n);
      await capture.settle();
      const [span] = capture.registered();
      expect(span!.checkpointTs).toBe(100n);
      if (key.isSyncPoint)
        expect(span!.blockState).toMatchObject({
          IsBlocked: true,
          BlockTs: 100n,
          IsSyncPoint: true,
          stage: BlockStage.DONE,
        });
      else expect(span!.blockState).toBeUndefined();
      await capture.accept();
    }
    await capture.stop();
  });
});
