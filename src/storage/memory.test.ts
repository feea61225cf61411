import { describe, expect, it } from "vitest";
import { MemoryStore } from "./memory.ts";
import { K1, K2, kept, name, pointer, roster, space, step } from "./testing/samples.ts";

const nodes = (id: number) => ({
  pointer: { ...pointer(id, 1), kind: "nodes" as const },
  chunk: { kind: "nodes" as const, id, version: 1, nodes: [] },
});

/** Writes that commute, each once. */
const WRITES: readonly ((store: MemoryStore) => Promise<unknown>)[] = [
  (store) => store.commitRoot(space, {}, { open: { key: K1, step: step() }, addPending: K1 }),
  (store) => store.commitRoot(space, {}, { open: { key: K2, step: step() }, addPending: K2 }),
  (store) => store.touchBarrier(name(K1), {}, { addWaiting: ["1.1"], stamp: 2 }),
  (store) => store.touchBarrier(name(K1), {}, { addWaiting: ["2.1"], addPassed: ["9.1"] }),
  (store) => store.touchBarrier(name(K2), {}, { create: { event: new Uint8Array([7]), openedAt: 3 } }),
  (store) => store.touchTally(name(K1), "waiting", 1, { add: [3, 1] }),
  (store) => store.touchTally(name(K1), "waiting", 1, { add: [2] }),
  (store) => store.touchTally(name(K1), "passed", 1, { add: [2], stamp: 4 }),
  (store) => store.putChunks(space, [nodes(1)]),
  (store) => store.putChunks(space, [nodes(2)]),
  (store) => store.keep(space, kept("a")),
  (store) => store.keep(space, kept("b")),
  (store) => store.registerSpace(space, "t1"),
];

async function storeAfter(writes: typeof WRITES): Promise<MemoryStore> {
  const store = new MemoryStore();
  await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });
  for (const write of writes) await write(store);
  return store;
}

describe("the snapshot of a store in memory", () => {
  it("is the same whatever the order of what it holds", async () => {
    const one = await storeAfter(WRITES);
    const other = await storeAfter(WRITES.toReversed());
    expect(other.snapshot()).toBe(one.snapshot());
  });

  it("differs with each write", async () => {
    const all = await Promise.all(
      [...WRITES.keys()].map(async (left) => (await storeAfter(WRITES.toSpliced(left, 1))).snapshot()),
    );
    all.push((await storeAfter(WRITES)).snapshot());
    expect(new Set(all).size).toBe(all.length);
  });

  it("of a copy is its own", async () => {
    const store = await storeAfter(WRITES);
    const copy = store.clone();
    const before = store.snapshot();
    expect(copy.snapshot()).toBe(before);
    await copy.touchTally(name(K1), "waiting", 1, { add: [17] });
    await copy.commitRoot(space, {}, { remove: K1, countClosed: true });
    await copy.dropKept(space, ["a"]);
    expect(store.snapshot()).toBe(before);
    expect(copy.snapshot()).not.toBe(before);
  });
});

describe("a store in memory with a clock", () => {
  const DAY = 24 * 3600_000;
  let now = 0;
  const filled = async () => {
    now = DAY;
    const store = new MemoryStore({ now: () => now, keepSeconds: 15 * 24 * 3600, supersededSeconds: 3600 });
    await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });
    await store.putChunks(space, [nodes(1), nodes(2)]);
    await store.expireChunks(space, [nodes(1).pointer]);
    await store.touchBarrier(name(K1), {}, { stamp: 1 });
    await store.touchBarrier(name(K2), {}, { tombstone });
    await store.expireBarriers(space, 1n, [K2]);
    await store.notePositions(space, 1n, [{ chunk: 1, version: 1, start: 1n, atLeast: 1n }]);
    await store.touchTally(name(K1), "waiting", 1, { add: [1] });
    await store.keep(space, kept("a"));
    return store;
  };
  const tombstone = { closedAt: 5, closedOn: 6, grantedAt: 3, writtenAt: 4, writer: "w", lives: 2 };
  const parts = (gone: readonly { part: string }[]) => gone.map((one) => one.part).sort();

  it("deletes what is over, and nothing else, when it is told to", async () => {
    const store = await filled();
    expect(store.expire(now + 3600_000 - 1)).toEqual([]);
    expect(await store.readChunks(space, [nodes(1).pointer])).toEqual([nodes(1).chunk]);
    expect(parts(store.expire(now + 3600_000))).toEqual(["chunks"]);
    expect(await store.readChunks(space, [nodes(1).pointer, nodes(2).pointer])).toEqual([
      undefined,
      nodes(2).chunk,
    ]);
    expect(parts(store.expire(now + 15 * DAY))).toEqual(["barriers", "kept", "positions", "tallies"]);
    expect(await store.readBarrier(name(K2))).toBeUndefined();
    expect(await store.readTallies(name(K1), "waiting")).toEqual([]);
    expect(await store.readKept(space)).toEqual([]);
    expect(store.expire(now + 10_000 * DAY)).toEqual([]);
    expect(await store.readBarrier(name(K1))).toBeDefined();
    expect(await store.readRoot(space)).toBeDefined();
  });

  it("keeps what the table has not come to yet, and what was written again since", async () => {
    const store = await filled();
    expect(parts(store.expire(now + 40 * DAY, (item) => item.part === "kept"))).toEqual(["kept"]);
    now += 40 * DAY;
    await store.putChunks(space, [nodes(1)]);
    await store.touchTally(name(K1), "waiting", 1, { add: [2] });
    expect(parts(store.expire(now))).toEqual(["barriers", "positions"]);
    expect((await store.readTallies(name(K1), "waiting"))[0]!.reported).toEqual(new Set([1, 2]));
  });

  it("shares nothing of that with a copy", async () => {
    const store = await filled();
    const copy = store.clone();
    copy.expire(now + 40 * DAY);
    expect(await store.readBarrier(name(K2))).toBeDefined();
    expect(parts(store.expire(now + 40 * DAY))).toEqual([
      "barriers",
      "chunks",
      "kept",
      "positions",
      "tallies",
    ]);
  });
});

describe("values in the store in memory", () => {
  it("cannot be changed by who wrote or read them", async () => {
    const store = await storeAfter([]);
    const chunk = { kind: "nodes" as const, id: 1, version: 1, nodes: [] as never[] };
    await store.putChunks(space, [{ pointer: pointer(1, 1), chunk }]);
    expect(() => chunk.nodes.push()).toThrow(TypeError);
    const event = new Uint8Array([1]);
    await store.touchBarrier(name(K1), {}, { create: { event, openedAt: 1 } });
    event[0] = 2;
    expect((await store.readBarrier(name(K1)))!.event).toEqual(new Uint8Array([1]));
    const root = (await store.readRoot(space))!;
    expect(() => Object.assign(root.meta, { nextChunk: 9 })).toThrow(TypeError);
  });
});
