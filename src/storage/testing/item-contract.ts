import { beforeEach, expect, it } from "vitest";
import type { Chunk, ChunkPointer } from "../../barrier/roster.ts";
import { NOTHING_CLOSED } from "../../maintainer/base/port.ts";
import { spaceOf } from "../../maintainer/base/space.ts";
import type { Store } from "../memory.ts";
import { K1, K2, kept, name, pointer, roster, space } from "./samples.ts";

/**
 * What any store must do with barriers, tallies, chunks, kept messages and spaces.
 * @param make gives an empty store
 */
export function itemContract(make: () => Promise<Store>): void {
  let store: Store;
  beforeEach(async () => {
    store = await make();
  });

  // invariants.md S3, I9
  it("adds up marks, stamps and tallies whatever their order, and a tombstone is final", async () => {
    const create = { event: new Uint8Array([7]), openedAt: 11 };
    await store.touchBarrier(name(K1), { notClosed: true }, { create, addWaiting: ["1.1"], stamp: 9 });
    await store.touchBarrier(name(K1), { notClosed: true }, { routes: new Uint8Array([5]) });
    const other = { event: new Uint8Array([8]), openedAt: 12 };
    const both = await Promise.all([
      store.touchBarrier(
        name(K1),
        { notClosed: true },
        { create: other, routes: new Uint8Array([6]), addWaiting: ["2.1", "1.1"], stamp: 4 },
      ),
      store.touchBarrier(name(K1), { notClosed: true }, { addPassed: ["3.1"], addUnreachable: ["q"] }),
    ]);
    expect(both.every((result) => result.done)).toBe(true);
    const item = await store.readBarrier(name(K1));
    expect(item).toEqual({
      event: new Uint8Array([7]),
      routes: new Uint8Array([5]),
      openedAt: 11,
      stamp: 9,
      waiting: new Set(["1.1", "2.1"]),
      passed: new Set(["3.1"]),
      sentAt: 0,
      unreachable: new Set(["q"]),
      tombstone: undefined,
      bytes: item!.bytes,
    });
    const foreign = await store.touchBarrier(
      name(K1),
      { notClosed: true, sameEvent: other.event },
      { addWaiting: ["8.1"] },
    );
    expect(foreign).toEqual({ done: false, item });
    const same = { notClosed: true, sameEvent: create.event } as const;
    expect((await store.touchBarrier(name(K1), same, { addWaiting: ["1.1"] })).done).toBe(true);
    const first = await store.touchBarrier(name(K2), same, { create });
    expect([first.done, first.item!.event]).toEqual([true, create.event]);
    const tombstone = { closedAt: 5, closedOn: 6, grantedAt: 3, writtenAt: 4, writer: "w", lives: 2 };
    await store.touchBarrier(name(K1), {}, { tombstone });
    const late = await store.touchBarrier(name(K1), { notClosed: true }, { addWaiting: ["9.9"] });
    expect(late.done).toBe(false);
    expect(late.item).toEqual({ ...item, tombstone, bytes: late.item!.bytes });

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

  it("keeps the last position of each chunk and start, in its epoch", async () => {
    const at = (chunk: number, start: bigint, atLeast: bigint) => ({ chunk, version: 3, start, atLeast });
    await store.notePositions(space, 1n, [at(10, 0n, 5n), at(2, 7n, 2n ** 64n - 2n)]);
    await store.notePositions(space, 1n, [at(10, 0n, 4n), at(10, 2n ** 63n, 9n)]);
    await store.notePositions(space, 2n, [at(1, 0n, 1n)]);
    expect(await store.readPositions(space, 1n)).toEqual([
      at(2, 7n, 2n ** 64n - 2n),
      at(10, 0n, 4n),
      at(10, 2n ** 63n, 9n),
    ]);
  });

  it("gives the history newest first, as much as is wanted", async () => {
    const keys = [K1, K2, "00000000000000000300-0"];
    for (const key of keys) await store.touchBarrier(name(key), {}, { stamp: 1 });
    await store.touchBarrier({ ...name(K1), epoch: 2n }, {}, { stamp: 1 });
    const list = async (limit: number) => (await store.readHistory(space, 1n, limit)).map((one) => one.key);
    expect(await list(10)).toEqual(keys.toReversed());
    expect(await list(2)).toEqual(keys.toReversed().slice(0, 2));
    expect(await list(0)).toEqual([]);
    const between = async (above: string, upTo: string, limit = 9, oldestFirst?: true) =>
      (await store.readHistory(space, 1n, limit, { above, upTo, ...(oldestFirst && { oldestFirst }) })).map(
        (one) => one.key,
      );
    expect(await between(NOTHING_CLOSED, K2)).toEqual([K2, K1]);
    expect(await between(K1, "~")).toEqual([keys[2], K2]);
    expect(await between(K1, "~", 1)).toEqual([keys[2]]);
    expect(await between(K1, "~", 1, true)).toEqual([K2]);
    expect(await between(K2, K1)).toEqual([]);
    expect(await between(K1, K1)).toEqual([]);
  });

  // invariants.md Q4
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
      schemaSince: 449779372969249751n,
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
        {
          tableId: 5n,
          schemaId: 1n,
          since: 9n,
          schemaSince: 3n,
          scheduled: { node: "n1", life: 7n, at: 1_700_000_000_000 },
        },
        { tableId: 6n, schemaId: 1n, since: 0n, schemaSince: 0n },
      ],
      dropped: [{ tableId: 7n, droppedAt: 8, droppedBy: 18446744073709551615n }],
    };
    chunks.push({ pointer: { ...pointer(40, 2), kind: "tables" }, chunk: tables });
    await store.putChunks(space, chunks);
    const read = await store.readChunks(space, [...chunks.map((one) => one.pointer), pointer(99, 1)]);
    expect(read.slice(0, -1)).toEqual(chunks.map((one) => one.chunk));
    expect(read.at(-1)).toBeUndefined();

    await store.keep(space, kept("k2"));
    await store.keep(space, kept("k1"));
    await store.keep(space, { ...kept("k1"), sentAt: 6 });
    expect((await store.readKept(space)).map((one) => [one.id, one.sentAt])).toEqual([
      ["k1", 6],
      ["k2", 5],
    ]);
    await store.dropKept(space, ["k1", "k2"]);
    expect(await store.readKept(space)).toEqual([]);

    await store.registerSpace(space, "t1");
    await store.registerSpace(space, "t2");
    expect(await store.listSpaces()).toEqual([space]);
  });

  const nodes = (id: number, size: number): { pointer: ChunkPointer; chunk: Chunk } => ({
    pointer: { ...pointer(id, 1), kind: "nodes" },
    chunk: {
      kind: "nodes",
      id,
      version: 1,
      nodes: [{ id: "n".repeat(size), start: 1n, nodeQueue: "q", encoding: "json", principal: "" }],
    },
  });

  it("reads more chunks than one request holds, in the order of the pointers, doubles too", async () => {
    const chunks = Array.from({ length: 230 }, (_, id) => nodes(id, 10));
    await store.putChunks(space, [...chunks, chunks[0]!]);
    const wanted = [...chunks.toReversed(), chunks[5]!];
    expect(
      await store.readChunks(
        space,
        wanted.map((one) => one.pointer),
      ),
    ).toEqual(wanted.map((one) => one.chunk));
    expect(await store.readChunks(space, [])).toEqual([]);
  });

  it("never lets a chunk expire that the root points to", async () => {
    const [used, unused] = [nodes(1, 10), nodes(2, 10)];
    await store.putChunks(space, [used, unused]);
    await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1, [used.pointer]) });
    await store.expireChunks(space, [used.pointer, unused.pointer, pointer(99, 9)]);
    expect((await store.readChunks(space, [used.pointer]))[0]).toEqual(used.chunk);
  });

  it("lists chunks under names that tell their epoch, whether a root points to them or not, until they expire", async () => {
    const chunks = Array.from({ length: 70 }, (_, id) => {
      const { pointer: old, chunk } = nodes(id, 10);
      return { pointer: { ...old, name: `${id % 3}:r.${id}` }, chunk };
    });
    const former = nodes(80, 10);
    await store.putChunks(space, [...chunks, former]);
    const pointers = chunks.map((one) => one.pointer);
    const [used, unused] = [[pointers[3]!], pointers.slice(4, 7)];
    await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1, used) });
    await store.expireChunks(space, [...used, ...unused]);
    const names = (await store.listChunks(space)).map((one) => one.name);
    expect(names.sort()).toEqual(
      [...pointers.slice(0, 4), ...pointers.slice(7)].map((one) => one.name).sort(),
    );
    const listed = (await store.listChunks(space)).sort((a, b) => a.id - b.id);
    expect(listed[4]).toEqual(pointers[7]);
    expect(await store.readChunks(space, [...used, former.pointer])).toEqual([
      chunks[3]!.chunk,
      former.chunk,
    ]);
    expect(await store.listChunks({ ...space, text: "another" } as typeof space)).toEqual([]);
  });

  it("gives out values that later writes do not change", async () => {
    const first = await store.touchBarrier(name(K1), {}, { addWaiting: ["1.1"] });
    const tally = await store.touchTally(name(K1), "waiting", 1, { add: [1] });
    await store.touchBarrier(name(K1), {}, { addWaiting: ["2.1"], stamp: 3 });
    await store.touchTally(name(K1), "waiting", 1, { add: [2] });
    expect(first.item!.waiting).toEqual(new Set(["1.1"]));
    expect(tally.reported).toEqual(new Set([1]));
  });

  // invariants.md S3
  it("takes the same member twice, in one write and in two", async () => {
    const twice = { addWaiting: ["1.1", "1.1"], addPassed: ["1.1", "1.1"], addUnreachable: ["q", "q"] };
    await store.touchBarrier(name(K1), {}, twice);
    const { item } = await store.touchBarrier(name(K1), {}, twice);
    expect([item!.waiting, item!.passed, item!.unreachable]).toEqual([
      new Set(["1.1"]),
      new Set(["1.1"]),
      new Set(["q"]),
    ]);
    await store.touchTally(name(K1), "passed", 1, { add: [4, 4] });
    expect((await store.touchTally(name(K1), "passed", 1, { add: [4] })).reported).toEqual(new Set([4]));
    await store.keep(space, kept("k"));
    await store.dropKept(space, ["k", "k", "was never there"]);
    expect(await store.readKept(space)).toEqual([]);
  });

  it("keeps spaces, epochs, barriers and counts apart", async () => {
    const other = spaceOf(space.changefeed, 1n);
    await store.touchTally(name(K1), "waiting", 1, { add: [1] });
    await store.touchBarrier(name(K1), {}, { addWaiting: ["1.1"] });
    await store.keep(space, kept("k"));
    for (const elsewhere of [{ ...name(K1), epoch: 2n }, { ...name(K1), space: other }, name(K2)]) {
      expect(await store.readTallies(elsewhere, "waiting")).toEqual([]);
      expect(await store.readBarrier(elsewhere)).toBeUndefined();
    }
    expect(await store.readTallies(name(K1), "passed")).toEqual([]);
    expect(await store.readKept(other)).toEqual([]);
    await store.registerSpace(other, "t3");
    await store.registerSpace(space, "t4");
    expect(await store.listSpaces()).toEqual([space, other]);
  });

  it("holds an event over many tables, and a kept message over many dispatchers", async () => {
    const event = new Uint8Array(200 * 1024).fill(7);
    await store.touchBarrier(name(K1), {}, { create: { event, openedAt: 1 } });
    expect((await store.readBarrier(name(K1)))!.event).toEqual(event);
    const body = Buffer.alloc(380 * 1024, 7).toString("base64");
    await store.keep(space, { ...kept("k"), body });
    expect(await store.readKept(space)).toEqual([{ ...kept("k"), body }]);
    // More than fits into one answer.
    for (const id of ["l", "m", "n"]) await store.keep(space, { ...kept(id), body });
    expect((await store.readKept(space)).map((one) => one.id)).toEqual(["k", "l", "m", "n"]);
  });
}
