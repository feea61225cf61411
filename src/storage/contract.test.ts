/** What any store must do, tried on the store in memory and on DynamoDB's own expressions in an embedded engine. */
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Chunk, type ChunkPointer, EMPTY_META } from "../barrier/roster.ts";
import { grantedStep, openedStep, type Step } from "../barrier/step.ts";
import type { BarrierName, Root, RootChanges, RootConditions } from "../maintainer/port.ts";
import { spaceOf } from "../maintainer/space.ts";
import { MemoryStore, type Store } from "./memory.ts";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "./testing/embedded.ts";

const space = spaceOf({ high: 1n, low: 18446744073709551615n, name: "orders/1 %", keyspace: "default" }, 0n);
const K1 = "00000000000000000100-0";
const K2 = "00000000000000000100-1";
const name = (key: string): BarrierName => ({ space, epoch: 1n, key });
const step = (now = 5): Step =>
  openedStep(
    { event: new Uint8Array([1, 2]), digest: "d", changesRoster: false, lateTablesHold: false, openedOn: 1 },
    now,
  );
const roster = (version: number, pointers: ChunkPointer[] = []): NonNullable<RootChanges["roster"]> => ({
  version,
  meta: { ...EMPTY_META, trigger: "0".repeat(32), openedByStart: 18446744073709551615n },
  pointers,
});
const pointer = (id: number, version: number): ChunkPointer => ({
  kind: "dispatchers",
  id,
  version,
  name: `i.${id}.${version}`,
});

let embedded: EmbeddedDynamo;
beforeAll(async () => {
  embedded = await startEmbeddedDynamo();
});
afterAll(() => embedded.stop());

const engines: readonly [string, () => Promise<Store>][] = [
  ["memory", async () => new MemoryStore()],
  ["DynamoDB expressions", () => embedded.store()],
];

describe.each(engines)("store: %s", (_, make) => {
  let store: Store;
  beforeEach(async () => {
    store = await make();
  });
  const start = () => store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });

  it("starts an epoch once, and a higher one empty", async () => {
    expect(await store.readRoot(space)).toBeUndefined();
    expect((await start()).committed).toBe(true);
    expect((await start()).committed).toBe(false);
    await store.commitRoot(
      space,
      { sameEpoch: 1n },
      { open: { key: K1, step: step() }, addPending: K1, countClosed: true },
    );
    const high = 18446744073709551615n;
    const next = await store.commitRoot(space, { epochIsNew: high }, { startEpoch: high, roster: roster(1) });
    expect(next.root).toEqual({
      epoch: high,
      rosterVersion: 1,
      meta: roster(1).meta,
      pointers: [],
      closedCount: 0,
      pending: [],
      steps: new Map(),
    } satisfies Root);
    expect((await store.commitRoot(space, { sameEpoch: 1n }, { countClosed: true })).committed).toBe(false);
    expect(await store.readRoot(space)).toEqual(next.root);
  });

  it("opens a barrier for both of two who open it at a time, with the first's step", async () => {
    await start();
    const results = await Promise.all(
      [1, 2, 3].map((now) =>
        store.commitRoot(
          space,
          { sameEpoch: 1n, nothingClosedSince: 0 },
          { open: { key: K1, step: step(now) } },
        ),
      ),
    );
    expect(results.map((result) => result.committed)).toEqual([true, true, true]);
    const opened = new Set(results.map((result) => result.root!.steps.get(K1)!.openedAt));
    expect(opened.size).toBe(1);
  });

  it("gives a step to one winner", async () => {
    await start();
    await store.commitRoot(space, {}, { open: { key: K1, step: step() } });
    const grant = { id: "a".repeat(32), life: 18446744073709551615n, chunk: 3, slot: 4 };
    const granted = grantedStep(step(), grant, 1, 2, 9);
    const results = await Promise.all(
      [1, 2, 3, 4].map(() =>
        store.commitRoot(
          space,
          {
            sameEpoch: 1n,
            sameRoster: 1,
            sameStep: { key: K1, phase: "waiting", grants: 0 },
            samePending: [],
          },
          { step: { key: K1, step: granted } },
        ),
      ),
    );
    expect(results.filter((result) => result.committed)).toHaveLength(1);
    for (const { root } of results) expect(root!.steps.get(K1)).toEqual(granted);
  });

  it.each<[string, RootConditions]>([
    ["sameEpoch", { sameEpoch: 2n }],
    ["epochIsNew", { epochIsNew: 1n }],
    ["sameRoster", { sameRoster: 2 }],
    ["sameStep by phase", { sameStep: { key: K1, phase: "writing", grants: 0 } }],
    ["sameStep by grants", { sameStep: { key: K1, phase: "waiting", grants: 1 } }],
    ["sameStep of a barrier that is not open", { sameStep: { key: K2, phase: "waiting", grants: 0 } }],
    ["notOpenYet", { notOpenYet: K1 }],
    ["nothingClosedSince", { nothingClosedSince: 1 }],
    ["samePending, empty", { samePending: [] }],
    ["samePending, fewer", { samePending: [K1] }],
    ["samePending, more", { samePending: [K1, K2, "00000000000000000300-0"] }],
  ])("refuses a write when %s does not hold, and says what is there", async (_, conditions) => {
    await start();
    await store.commitRoot(space, {}, { open: { key: K1, step: step() }, addPending: K1 });
    await store.commitRoot(space, {}, { addPending: K2 });
    const before = await store.readRoot(space);
    const result = await store.commitRoot(space, conditions, { countClosed: true, remove: K1 });
    expect(result.committed).toBe(false);
    expect(result.root).toEqual(before);
    expect(await store.readRoot(space)).toEqual(before);
    const holds: RootConditions = {
      sameEpoch: 1n,
      epochIsNew: 2n,
      sameRoster: 1,
      sameStep: { key: K1, phase: "waiting", grants: 0 },
      notOpenYet: K2,
      nothingClosedSince: 0,
      samePending: [K2, K1],
    };
    const good = await store.commitRoot(space, holds, { countClosed: true, remove: K1, removePending: K1 });
    expect(good.committed).toBe(true);
    expect(good.root!.steps.size).toBe(0);
    expect(good.root!.pending).toEqual([K2]);
    expect(good.root!.closedCount).toBe(1);
    expect(
      (await store.commitRoot(space, { samePending: [K2] }, { removePending: K2 })).root!.pending,
    ).toEqual([]);
    expect((await store.commitRoot(space, { samePending: [] }, {})).committed).toBe(true);
  });

  it("adds up marks, stamps and tallies whatever their order, and a tombstone is final", async () => {
    const create = { event: new Uint8Array([7]), openedAt: 11 };
    await store.touchBarrier(name(K1), { notClosed: true }, { create, addWaiting: ["1.1"], stamp: 9 });
    const other = { event: new Uint8Array([8]), openedAt: 12 };
    const both = await Promise.all([
      store.touchBarrier(
        name(K1),
        { notClosed: true },
        { create: other, addWaiting: ["2.1", "1.1"], stamp: 4 },
      ),
      store.touchBarrier(name(K1), { notClosed: true }, { addPassed: ["3.1"], addUnreachable: ["q"] }),
    ]);
    expect(both.every((result) => result.done)).toBe(true);
    const item = await store.readBarrier(name(K1));
    expect(item).toEqual({
      event: new Uint8Array([7]),
      openedAt: 11,
      stamp: 9,
      waiting: new Set(["1.1", "2.1"]),
      passed: new Set(["3.1"]),
      sentAt: 0,
      unreachable: new Set(["q"]),
      tombstone: undefined,
    });
    const tombstone = { closedAt: 5, grantedAt: 3, writtenAt: 4, writer: "w", lives: 2 };
    await store.touchBarrier(name(K1), {}, { tombstone });
    const late = await store.touchBarrier(name(K1), { notClosed: true }, { addWaiting: ["9.9"] });
    expect(late.done).toBe(false);
    expect(late.item).toEqual({ ...item, tombstone });
    expect(await store.readBarrier(name(K2))).toBeUndefined();

    const tallies = await Promise.all(
      [[1, 2], [2, 3], [400]].map((add) => store.touchTally(name(K1), "waiting", 7, { add })),
    );
    expect(Math.max(...tallies.map((tally) => tally.reported.size))).toBe(4);
    await store.touchTally(name(K1), "waiting", 7, { stamp: 12 });
    await store.touchTally(name(K1), "waiting", 7, { stamp: 3 });
    await store.touchTally(name(K1), "waiting", 8, { add: [1] });
    await store.touchTally(name(K1), "passed", 7, { add: [1] });
    expect(await store.readTallies(name(K1), "waiting")).toEqual([
      { chunk: 7, reported: new Set([1, 2, 3, 400]), stamp: 12 },
      { chunk: 8, reported: new Set([1]), stamp: 0 },
    ]);
  });

  it("lets one of many repeat an action", async () => {
    await store.touchBarrier(name(K1), {}, { create: { event: new Uint8Array([7]), openedAt: 11 } });
    const results = await Promise.all(
      [1, 2, 3].map(() =>
        store.touchBarrier(name(K1), { notClosed: true, notSentSince: 100 }, { sentAt: 103 }),
      ),
    );
    expect(results.filter((result) => result.done)).toHaveLength(1);
    expect((await store.touchBarrier(name(K1), { notSentSince: 103 }, { sentAt: 200 })).done).toBe(true);
  });

  it("keeps chunks, kept messages and spaces", async () => {
    const lives = Array.from({ length: 400 }, (_, slot) => ({
      slot,
      id: slot.toString(16).padStart(32, "0"),
      life: BigInt(slot + 1),
      node: "n1",
      queue: "weir-action-n1",
      tableId: BigInt(slot),
      schemaId: 1n,
      start: new Uint8Array(40).fill(1),
      end: new Uint8Array(40).fill(2),
      state: 0,
      stateAt: 1_700_000_000_000,
      since: 449779372969249750n,
      addedAt: 3,
      schemaAt: 2,
    }));
    const ended = [{ id: "f".repeat(32), life: 3n, node: "n1", queue: "", endedAt: 4 }];
    const chunks: { pointer: ChunkPointer; chunk: Chunk }[] = [];
    for (let id = 1; id <= 30; id++)
      chunks.push({
        pointer: pointer(id, 2),
        chunk: { kind: "dispatchers", id, node: "n1", version: 2, nextSlot: 500, lives, ended },
      });
    const tables: Chunk = {
      kind: "tables",
      id: 40,
      version: 2,
      tables: [
        { tableId: 5n, schemaId: 1n, since: 9n, scheduledOn: "n1" },
        { tableId: 6n, schemaId: 1n, since: 0n },
      ],
      dropped: [{ tableId: 7n, droppedAt: 8 }],
    };
    chunks.push({ pointer: { ...pointer(40, 2), kind: "tables" }, chunk: tables });
    await store.putChunks(space, chunks);
    const read = await store.readChunks(space, [...chunks.map((one) => one.pointer), pointer(99, 1)]);
    expect(read.slice(0, -1)).toEqual(chunks.map((one) => one.chunk));
    expect(read.at(-1)).toBeUndefined();

    const kept = {
      id: "k1",
      type: "BlockStatusRequest" as const,
      body: "AA==",
      node: "n1",
      start: 18446744073709551615n,
      principal: "",
      sentAt: 5,
    };
    await store.keep(space, kept);
    await store.keep(space, { ...kept, sentAt: 6 });
    await store.keep(space, { ...kept, id: "k2" });
    expect((await store.readKept(space)).map((one) => [one.id, one.sentAt])).toEqual([
      ["k1", 6],
      ["k2", 5],
    ]);
    await store.dropKept(space, ["k1", "k2"]);
    expect(await store.readKept(space)).toEqual([]);

    await store.registerSpace(space);
    await store.registerSpace(space);
    expect(await store.listSpaces()).toEqual([space]);
  });
});

describe("both stores", () => {
  const key = fc.constantFrom(K1, K2);
  const condition: fc.Arbitrary<RootConditions> = fc.record(
    {
      sameEpoch: fc.constantFrom(1n, 2n),
      sameRoster: fc.constantFrom(1, 2),
      sameStep: fc.record({
        key,
        phase: fc.constantFrom("waiting" as const, "writing" as const),
        grants: fc.constantFrom(0, 1),
      }),
      notOpenYet: key,
      nothingClosedSince: fc.constantFrom(0, 1),
      samePending: fc.uniqueArray(key),
    },
    { requiredKeys: [] },
  );
  const granted = grantedStep(step(), { id: "b".repeat(32), life: 2n, chunk: 1, slot: 1 }, 1, 1, 6);
  const change: fc.Arbitrary<RootChanges> = fc.oneof(
    fc.record(
      { open: fc.record({ key, step: fc.constant(step()) }), addPending: key },
      { requiredKeys: ["open"] },
    ),
    fc.record({ step: fc.record({ key, step: fc.constantFrom(step(), granted) }) }),
    fc.record({ roster: fc.constantFrom(roster(1), roster(2, [pointer(1, 2)])) }),
    fc.record({ remove: key, removePending: key }),
    fc.record({ countClosed: fc.constant(true) }),
    fc.record({ startEpoch: fc.constant(2n), roster: fc.constant(roster(1)) }),
  );

  it("do the same for any sequence of writes of the root", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(condition, change), { maxLength: 12 }), async (writes) => {
        const stores: Store[] = [new MemoryStore(), await embedded.store()];
        const seen = await Promise.all(
          stores.map(async (store) => {
            const results = [
              await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) }),
            ];
            for (const [conditions, changes] of writes)
              results.push(await store.commitRoot(space, conditions, changes));
            return results;
          }),
        );
        expect(seen[1]).toEqual(seen[0]);
      }),
      { numRuns: 60 },
    );
  });
});
