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
  (store) => store.registerSpace(space),
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
