/** A changefeed that is removed, and what comes late of it (protocol.md R14). */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { A, ALTER, B, n1, n2, T } from "../../maintainer/testing/split.ts";
import { d, ddl, World } from "../../maintainer/testing/world.ts";
import type { MemoryStore } from "../memory.ts";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "../testing/embedded.ts";
import { inventory } from "../testing/inventory.ts";
import { auditPartition, removeSpace } from "./remove.ts";
import type { DynamoStore } from "./store.ts";

let embedded: EmbeddedDynamo;
beforeAll(async () => {
  embedded = await startEmbeddedDynamo();
});
afterAll(() => embedded.stop());

let store: DynamoStore;
let world: World;
const removal = { who: { by: "operator" }, reason: "the tenant left", now: 1_700_000_000_000 };
const key = ddl(100n);
const openingOf = (epoch: bigint) => world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch });
const registrations = (epoch: bigint) => [
  world.registration(
    n1,
    [
      { id: T, table: 0n },
      { id: A, table: 10n, end: "m" },
    ],
    { epoch },
  ),
  world.registration(n2, [{ id: B, table: 10n, start: "m" }], { epoch }),
];

beforeEach(async () => {
  store = await embedded.store();
  world = new World(store as unknown as MemoryStore);
  await world.handle(openingOf(1n), ...registrations(1n));
  await world.handle(world.waiting(n1, [A], key, ALTER));
  await world.handle(world.waiting(n1, [d(99)], key, ALTER));
  world.queues.clear();
});
const names = async () => Object.keys(await inventory(store));

it("leaves nothing but the root that says so and who did it, and is not swept", async () => {
  const [space] = await store.listSpaces();
  await store.touchTally({ space: space!, epoch: 1n, key: "00000000000000000100-0" }, "waiting", 1, {
    add: [1],
  });
  expect(await removeSpace(store, space!, removal)).toBeGreaterThan(3);
  expect((await names()).toSorted()).toEqual(
    [`${space!.text} ROOT`, `${auditPartition(space!)} 2023-11-14T22:13:20.000Z remove 1`].toSorted(),
  );
  const [audit] = await store.table.query(auditPartition(space!));
  expect([audit!["by"]!.S, audit!["reason"]!.S, audit!["open"]!.S]).toEqual([
    "operator",
    "the tenant left",
    "00000000000000000100-0",
  ]);
  expect((await world.sweep()).spaces).toBe(0);
});

it("is not brought back by late copies: they are refused, with the epoch that would", async () => {
  const late = [openingOf(1n), ...registrations(1n)];
  const [space] = await store.listSpaces();
  await removeSpace(store, space!, removal);
  const before = await names();
  for (const message of [...late, openingOf(2n), ...registrations(2n), world.waiting(n1, [A], key, ALTER)]) {
    expect((await world.handle(message)).failed).toEqual([]);
    expect((await world.handleCold(message)).failed).toEqual([]);
  }
  expect(await names()).toEqual(before);
  expect((await store.readRoot(space!))!.pointers).toEqual([]);
});

it("fences an invocation that was at work", async () => {
  const [space] = await store.listSpaces();
  const hook = async (when: "before" | "after", method: string) => {
    if (when === "before" && method === "commitRoot" && (await store.readRoot(space!))!.epoch === 1n)
      await removeSpace(store, space!, removal);
  };
  await world.handleHooked(hook, world.waiting(n2, [B], key, ALTER));
  const root = (await store.readRoot(space!))!;
  expect([root.meta.removed, root.steps.size]).toEqual([true, 0]);
  expect(world.told(n1)).toEqual([]);
});

it("comes back with a higher epoch, and is swept again", async () => {
  const [space] = await store.listSpaces();
  await removeSpace(store, space!, removal);
  await world.handle(openingOf(3n), ...registrations(3n));
  expect(await store.listSpaces()).toEqual([space]);
  await world.handle(world.waiting(n1, [A], key, ALTER), world.waiting(n2, [B], key, ALTER));
  expect((await store.readRoot(space!))!.steps.values().next().value!.phase).toBe("writing");
});

it("is removed to the end by who calls it again, wherever it stopped", async () => {
  const [space] = await store.listSpaces();
  const { deleteMany } = store.table;
  for (let stop = 1; stop < 4; stop++) {
    let calls = 0;
    store.table.deleteMany = async (keys) => {
      if (++calls === stop) throw new Error("stopped");
      return deleteMany.call(store.table, keys);
    };
    await expect(removeSpace(store, space!, removal)).rejects.toThrow("stopped");
    expect(await store.listSpaces()).toEqual([space]);
  }
  store.table.deleteMany = deleteMany;
  await removeSpace(store, space!, removal);
  expect(await names()).toHaveLength(2);
  expect(await store.listSpaces()).toEqual([]);
});
