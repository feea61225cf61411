import { beforeEach, expect, it } from "vitest";
import { MAX_ITEM_BYTES } from "../dynamodb/too-large.ts";
import type { Store } from "../memory.ts";
import { inventory } from "./inventory.ts";
import { K1, kept, name, pointer, roster, space, step } from "./samples.ts";

/**
 * What a store must know of the weight of items.
 * @param make gives an empty store that weighs
 */
export function weightContract(make: () => Promise<Store>): void {
  let store: Store;
  beforeEach(async () => {
    store = await make();
  });
  const weights = async () => Object.values(await inventory(store)).map((one) => one.bytes);

  it("says with the root and with a barrier what they weigh", async () => {
    const { root } = await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });
    expect(await weights()).toEqual([root!.bytes]);
    const next = await store.commitRoot(space, {}, { open: { key: K1, step: step() }, addPending: K1 });
    expect(next.root!.bytes).toBeGreaterThan(root!.bytes);
    expect(await weights()).toEqual([next.root!.bytes]);
    expect((await store.readRoot(space))!.bytes).toBe(next.root!.bytes);
    const { item } = await store.touchBarrier(name(K1), {}, { addWaiting: ["1.1", "21.1"] });
    expect((await weights()).toSorted()).toEqual([next.root!.bytes, item!.bytes].toSorted());
    expect((await store.readBarrier(name(K1)))!.bytes).toBe(item!.bytes);
  });

  it("takes an item of 400 KB and refuses one of a byte more, and then holds what it held", async () => {
    const empty = await store.touchBarrier(
      name(K1),
      {},
      { create: { event: new Uint8Array([7]), openedAt: 1 } },
    );
    const room = MAX_ITEM_BYTES - empty.item!.bytes;
    // A member of a set weighs its bytes, and the set its name.
    const mark = (bytes: number) => ({ addWaiting: ["m".repeat(bytes - "waiting".length)] });
    await expect(store.touchBarrier(name(K1), {}, mark(room + 1))).rejects.toThrow(
      `item ${space.text}#1 B#${K1} is larger than DynamoDB allows`,
    );
    expect(await store.readBarrier(name(K1))).toEqual(empty.item);
    expect((await store.touchBarrier(name(K1), {}, mark(room))).item!.bytes).toBe(MAX_ITEM_BYTES);
  });

  it("refuses a root, a tally, a chunk and a kept message that are too large", async () => {
    const huge = "n".repeat(MAX_ITEM_BYTES);
    await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });
    const root = await store.readRoot(space);
    await expect(
      store.commitRoot(space, {}, { open: { key: K1, step: { ...step(), digest: huge } } }),
    ).rejects.toThrow("too many barriers are open");
    expect(await store.readRoot(space)).toEqual(root);
    const add = Array.from({ length: 150_000 }, (_, slot) => slot);
    await expect(store.touchTally(name(K1), "waiting", 1, { add })).rejects.toThrow("too many lives");
    const nodes = [{ id: huge, start: 1n, nodeQueue: "", encoding: "json" as const, principal: "" }];
    await expect(
      store.putChunks(space, [
        { pointer: pointer(1, 1), chunk: { kind: "nodes", id: 1, version: 1, nodes } },
      ]),
    ).rejects.toThrow("larger than DynamoDB allows");
    const body = Buffer.alloc(MAX_ITEM_BYTES).toString("base64");
    await expect(store.keep(space, { ...kept("k"), body })).rejects.toThrow("larger than DynamoDB allows");
    expect(Object.keys(await inventory(store))).toEqual([`${space.text} ROOT`]);
  });
}
