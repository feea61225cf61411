/** Holes that TiCDC's checkout still has (ticdc.md 4.2), and that nothing must fall into here (docs/conformance.md). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { run } from "../../src/maintainer/base/program.ts";
import { spaceOf } from "../../src/maintainer/base/space.ts";
import { readCheckpointLimit } from "../../src/maintainer/operator/checkpoint.ts";
import {
  CHANGEFEED,
  d,
  ddl,
  normal,
  syncpoint,
  type TestSpan,
  type World,
} from "../../src/maintainer/testing/world.ts";
import { compareKeys, type EventKey } from "../../src/protocol/event-key.ts";
import { BlockStage } from "../../src/protocol/messages.ts";
import { lines, n1, n2, registered, scheduled, writersOf } from "./testing.ts";

const T = d(1);
const K = ddl(100n);
const split = { BlockTables: normal(20n) };
const truncate = {
  BlockTables: normal(0n, 10n),
  NeedDroppedTables: normal(10n),
  NeedAddedTables: [{ TableID: 11n, SchemaID: 1n }],
};
const at = (stage: BlockStage, state: object) => ({
  blockState: { IsBlocked: true, BlockTs: 100n, stage, ...state },
});

/** A coordinator that knows nothing but what its nodes register: table 10, and 20 in two spans. */
const restored = (states: Record<"T" | "d10" | "d21" | "d22", Partial<TestSpan>>) =>
  registered([
    [
      n1,
      [
        { id: T, table: 0n, ...states.T },
        { id: d(10), table: 10n, ...states.d10 },
        { id: d(21), table: 20n, end: "m", ...states.d21 },
      ],
    ],
    [n2, [{ id: d(22), table: 20n, start: "m", ...states.d22 }]],
  ]);
const nothing = { T: {}, d10: {}, d21: {}, d22: {} };

/** The sweeper looks, again and again, before anybody reports anything. */
async function sweeps(world: World): Promise<void> {
  for (let sweep = 0; sweep < 3; sweep++) {
    await world.sweep();
    world.now += 60_000;
  }
}

describe("after a restore", () => {
  it("T-A1 of WAITING and WRITING no sweep ends the event: it waits for the DONE, then Pass, then the other's DONE", async () => {
    const world = await restored({
      ...nothing,
      d21: at(BlockStage.WAITING, split),
      d22: at(BlockStage.WRITING, split),
    });
    await sweeps(world);
    expect(await world.phase(K)).toBe("writing");
    expect(lines(world.told(n1)).filter((line) => !line.startsWith("ack"))).toEqual([]);
    await world.handle(world.done(n2, [d(22)], K, "write"));
    expect(lines(world.told(n1))).toEqual(["pass 100 21"]);
    await sweeps(world);
    expect(await world.phase(K)).toBe("passing");
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("T-A1 of WAITING and DONE Pass is repeated until it is answered", async () => {
    const world = await restored({
      ...nothing,
      d21: at(BlockStage.WAITING, split),
      d22: at(BlockStage.DONE, split),
    });
    world.queues.clear();
    await sweeps(world);
    // The first sweep comes within the interval of the first wave.
    expect(lines(world.told(n1))).toEqual(["pass 100 21", "pass 100 21"]);
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("T-A2 of WAITING alone, ACKed by the coordinator before, Write is granted without another report", async () => {
    const world = await restored({
      ...nothing,
      d21: at(BlockStage.WAITING, split),
      d22: at(BlockStage.WAITING, split),
    });
    expect(writersOf(world, K, n1, n2)).toHaveLength(1);
  });

  it("T-A3 of WRITING of an event that changes tables its DONE applies the changes, and Write is not sent again", async () => {
    const world = await restored({
      ...nothing,
      T: at(BlockStage.WRITING, truncate),
      d10: at(BlockStage.WAITING, truncate),
    });
    world.queues.clear();
    await world.handle(world.done(n1, [T], K, "write"));
    expect(scheduled(world, n1, n2)).toEqual(["create 11", "remove 10"]);
    await sweeps(world);
    expect(writersOf(world, K, n1, n2)).toEqual([]);
    expect(await world.phase(K)).toBeUndefined();
  });

  it("T-A4 of two that execute, one is taken for the writer and the DONE of either ends the phase rightly", async () => {
    for (const [from, id, other] of [
      [n1, d(21), d(22)],
      [n2, d(22), d(21)],
    ] as const) {
      const writing = at(BlockStage.WRITING, split);
      const world = await restored({ ...nothing, d21: writing, d22: writing });
      await sweeps(world);
      // What reaches it while it executes does nothing there (protocol.md D6), and it reaches one of them only.
      expect(new Set(writersOf(world, K, n1, n2)).size).toBe(1);
      // Whoever it is that passed: an earlier coordinator sent Pass only after the event was written.
      await world.handle(world.done(from, [id], K, "pass"));
      await world.handle(world.done(other === d(21) ? n1 : n2, [other], K, "pass"));
      // What came before the phase is asked for again.
      await world.handle(world.done(from, [id], K, "pass"));
      expect(await world.phase(K)).toBeUndefined();
    }
  });
});

describe("while it collects and writes", () => {
  const open = () => restored(nothing);

  it("T-A5 DDL and syncpoint of one commitTs stay apart from end to end, and their actions name which", async () => {
    const world = await open();
    const S = syncpoint(100n);
    const all = { BlockTables: {} };
    await world.handle(world.waiting(n1, [d(21)], K, split), world.waiting(n2, [d(22)], K, split));
    const [writer] = writersOf(world, K, n1, n2) as [number];
    const from = writer === 21 ? n1 : n2;
    await world.handle(world.done(from, [d(writer)], K, "write"));
    // The writer goes on to the syncpoint while the other has still to pass the DDL.
    await world.handle(world.waiting(from, [d(writer)], S, all), world.waiting(n1, [T, d(10)], S, all));
    expect(await world.phase(S)).toBe("waiting");
    expect(await world.phase(K)).toBe("passing");
    const [otherNode, other] = writer === 21 ? [n2, d(22)] : [n1, d(21)];
    for (const action of ["write", "pass"] as const)
      await world.handle(world.done(otherNode, [other], S, action));
    expect(await world.phase(S)).toBe("waiting");
    await world.handle(world.done(otherNode, [other], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
    await world.handle(world.waiting(otherNode, [other], S, all));
    expect(writersOf(world, S, n1, n2)).toEqual([1]);
  });

  it("T-A6 DONE before anybody was chosen is no WAITING, and counts for no later phase, whatever it says was done", async () => {
    const world = await open();
    await world.handle(world.waiting(n1, [d(21)], K, split));
    for (const action of ["write", "pass", "untyped"] as const)
      await world.handle(world.done(n2, [d(22)], K, action), world.done(n1, [d(21)], K, action));
    await sweeps(world);
    expect(await world.phase(K)).toBe("waiting");
    expect(writersOf(world, K, n1, n2)).toEqual([]);

    await world.handle(world.waiting(n2, [d(22)], K, split));
    expect(writersOf(world, K, n1, n2)).toEqual([22]);
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    await world.handle(world.done(n2, [d(22)], K, "write"));
    expect(await world.phase(K)).toBe("passing");
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("T-A10 a WAITING that comes late for a closed event finds its tombstone: Pass at once, no second life, no checkpoint held", async () => {
    const world = await open();
    const report = world.waiting(n1, [T, d(10)], K, truncate);
    await world.handle(report);
    await world.handle(world.done(n1, [T], K, "write"));
    expect(await world.phase(K)).toBeUndefined();
    await world.handle(world.registration(n2, [{ id: d(11), table: 11n, checkpoint: 100n }]));
    world.queues.clear();
    await world.handleCold(report);
    expect(await world.phase(K)).toBeUndefined();
    expect(lines(world.told(n1))).toEqual(["ack 100 1", "pass 100 10,1"]);
    expect(scheduled(world, n1, n2)).toEqual([]);
    const limit = await run(readCheckpointLimit(spaceOf(CHANGEFEED, 0n)), world.port);
    expect(limit!.atMost).toBeUndefined();
  });

  it("T-A11 BlockTs 0 is refused with the reason and moves no checkpoint", async () => {
    const world = await open();
    const roots = world.store.clone().roots;
    await world.handle(world.waiting(n1, [d(21)], ddl(0n), split));
    expect(world.deadLetters.map((letter) => letter.reason)).toEqual([
      expect.stringMatching(/BlockTs is 0: name the event's commitTs/),
    ]);
    expect(world.store.clone().roots).toEqual(roots);
  });

  it("T-A13 an event that somebody is past is not written again, and what it drops and adds is applied", async () => {
    const world = await open();
    await world.handle(world.waiting(n1, [T], K, truncate));
    await world.handle(world.waiting(n1, [d(10)], ddl(130n), { BlockTables: normal(10n) }));
    expect(writersOf(world, K, n1, n2)).toEqual([]);
    expect(scheduled(world, n1, n2)).toEqual(["create 11", "remove 10"]);
    expect(await world.phase(K)).toBe("passing");
  });
});

describe("keys", () => {
  it("T-A16 compare as equal with themselves, and the other way round with the sign turned", () => {
    const key: fc.Arbitrary<EventKey> = fc.record({
      commitTs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      isSyncPoint: fc.boolean(),
    });
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(compareKeys(a, { ...a })).toBe(0);
        expect(Math.sign(compareKeys(a, b)) + Math.sign(compareKeys(b, a))).toBe(0);
        expect(compareKeys(a, b) === 0).toBe(a.commitTs === b.commitTs && a.isSyncPoint === b.isSyncPoint);
      }),
    );
    expect(compareKeys(ddl(5n), syncpoint(5n))).toBeLessThan(0);
  });
});
