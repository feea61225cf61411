/** What epochs leave behind that are over (decisions/0042). */
import { beforeEach, expect, it } from "vitest";
import { KEEP_SECONDS } from "../../storage/lifetimes.ts";
import { MemoryStore } from "../../storage/memory.ts";
import type { Root } from "../base/port.ts";
import { A, ALTER, B, n1, n2, T } from "../testing/split.ts";
import { ddl, World } from "../testing/world.ts";
import { COLLECTED_AT_ONCE, LEFT_ALONE, MAX_FORMER } from "./former-epochs.ts";

let world: World;
let store: MemoryStore;
const root = (): Root => [...store.roots.values()][0]!;
/** Items of barriers that stay for ever, by epoch. */
const staying = () => {
  const counts: Record<string, number> = {};
  for (const { part, path, ttl } of store.items.values())
    if (part === "barriers" && ttl === undefined) {
      const epoch = path.split(" ")[1]!;
      counts[epoch] = (counts[epoch] ?? 0) + 1;
    }
  return counts;
};
const begin = (epoch: bigint) =>
  world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch }),
    world.registration(
      n1,
      [
        { id: T, table: 0n },
        { id: A, table: 10n, end: "m" },
      ],
      { epoch },
    ),
    world.registration(n2, [{ id: B, table: 10n, start: "m" }], { epoch }),
  );
const open = (commitTs: bigint) => world.handle(world.waiting(n1, [A], ddl(commitTs), ALTER));

beforeEach(async () => {
  store = new MemoryStore({ now: () => world.now });
  world = new World(store);
  await begin(1n);
});

it("expire, those of each epoch, however fast one follows another", async () => {
  await open(100n);
  await open(200n);
  await begin(2n);
  await open(100n);
  await begin(3n);
  await begin(7n);
  await open(300n);
  expect(staying()).toEqual({ 1: 2, 2: 1, 7: 1 });
  world.now += LEFT_ALONE;
  await world.sweep();
  expect([staying(), root().former]).toEqual([{ 7: 1 }, []]);
  store.expire(world.now + KEEP_SECONDS * 1000);
  expect(store.barriers.size).toBe(1);
});

it("are left alone for a while: who began in the epoch may still write one", async () => {
  await open(100n);
  await begin(2n);
  world.now += LEFT_ALONE - 1;
  await world.sweep();
  expect([staying(), root().former.map((one) => one.epoch)]).toEqual([{ 1: 1 }, [1n]]);
  // A clock that is behind the one that began the epoch does not know: nothing depends on it.
  world.now -= 10 * LEFT_ALONE;
  await world.sweep();
  expect([staying(), root().former]).toEqual([{}, []]);
});

it("are let expire in steps, and the next sweep goes on", async () => {
  const [space] = await store.listSpaces();
  const write = async (epoch: bigint, count: number) => {
    for (let at = 1; at <= count; at++)
      await store.touchBarrier(
        { space: space!, epoch, key: `${at.toString().padStart(20, "0")}-0` },
        {},
        { create: { event: new Uint8Array([1]), openedAt: 1 } },
      );
  };
  await write(1n, COLLECTED_AT_ONCE + 100);
  await begin(2n);
  await write(2n, COLLECTED_AT_ONCE);
  await begin(3n);
  world.now += LEFT_ALONE;
  await world.sweep();
  expect(staying()).toEqual({ 1: 100, 2: COLLECTED_AT_ONCE });
  await world.sweep();
  expect(staying()).toEqual({ 2: 100 });
  await world.sweep();
  expect(staying()).toEqual({});
  await world.sweep();
  expect(root().former).toEqual([]);
});

it("are never more than the root remembers: the next begins when the sweep has collected one", async () => {
  for (let epoch = 2n; epoch <= BigInt(MAX_FORMER) + 1n; epoch++)
    await world.handle(world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch }));
  const next = () => world.handle(world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch: 1_000n }));
  expect((await next()).failed).toEqual([
    expect.objectContaining({
      reason: expect.stringContaining("100 earlier epochs are still to be collected"),
    }),
  ]);
  world.now += LEFT_ALONE;
  await world.sweep();
  expect((await next()).failed).toEqual([]);
  expect(root().epoch).toBe(1_000n);
});

it("of two that begin at a time none is passed over", async () => {
  await open(100n);
  const opening = (epoch: bigint) => world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch });
  const lower = opening(2n);
  let done = false;
  await world.handleHooked(async (when, method) => {
    if (when !== "before" || method !== "commitRoot" || done) return;
    done = true;
    await world.handleCold(lower);
  }, opening(3n));
  expect([root().epoch, root().former.map((one) => one.epoch)]).toEqual([3n, [1n, 2n]]);
});

it("of an item that was written in an epoch that had ended, whoever wrote it lets it expire", async () => {
  await open(100n);
  const { memory } = world;
  await world.handleCold(world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch: 2n }));
  world.now += LEFT_ALONE;
  await world.sweep();
  // Remembers epoch 1, and puts what is reported beside the root while it reads that.
  world.memory = memory;
  await world.handle(world.waiting(n1, [A], ddl(200n), ALTER));
  expect(staying()).toEqual({});
});
