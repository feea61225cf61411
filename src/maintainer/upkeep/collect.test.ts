/** Chunk versions that nobody points to are collected, and never one that somebody may still point to (decisions/0044). */
import { beforeEach, expect, it } from "vitest";
import { COLLECT_EVERY } from "../base/bounds.ts";
import { A, B, n1, n2, T } from "../testing/split.ts";
import { d, World } from "../testing/world.ts";
import { hasTurn } from "./collect.ts";

let world: World;
const openingOf = (epoch: bigint) => world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch });
const first = (epoch = 1n) => world.registration(n1, [{ id: T, table: 0n }], { epoch });
const another = (id: number, epoch = 1n) =>
  world.registration(n2, [{ id: d(id), table: BigInt(id) }], { epoch });

class Crash extends Error {}

beforeEach(async () => {
  world = new World();
  world.settings = { ...world.settings, collectEvery: 1 };
  await world.handle(openingOf(1n), first());
});

/** Handles a message, and ends before or after the first operation of a method. */
async function handleAndDie(when: "before" | "after", at: string, message: ReturnType<typeof first>) {
  const hook = async (now: "before" | "after", method: string) => {
    if (now === when && method === at) throw new Crash(at);
  };
  await world.handleHooked(hook, message).catch((error) => {
    if (!(error instanceof Crash)) throw error;
  });
}

const stored = () => [...world.store.chunks.keys()].map((path) => path.slice(path.indexOf(" ") + 1)).sort();
const pointedTo = () =>
  [...world.store.roots.values()].flatMap((root) => root.pointers.map((one) => one.name)).sort();

/** The roster is there, for one who remembers nothing. */
async function readable(...ids: string[]) {
  const status = world.registration(
    n2,
    ids.map((id) => ({ id, table: 10n, life: 1n })),
    { epoch: 1n },
  );
  expect((await world.handleCold(status)).failed).toEqual([]);
}

it("collects what an invocation wrote that ended before the root pointed to it, once the roster is past it", async () => {
  await handleAndDie("before", "commitRoot", another(20));
  const orphans = stored().filter((name) => !pointedTo().includes(name));
  expect(orphans.length).toBeGreaterThan(0);
  await world.sweep();
  expect(stored()).toEqual(expect.arrayContaining(orphans));
  await world.handle(another(20));
  await world.sweep();
  expect(stored()).toEqual(pointedTo());
  await readable(d(20));
});

it("collects what a commit replaced whose invocation ended before it let that expire", async () => {
  await handleAndDie("after", "commitRoot", another(20));
  expect(stored().length).toBeGreaterThan(pointedTo().length);
  await world.sweep();
  expect(stored()).toEqual(pointedTo());
});

it("collects what is left of a former epoch", async () => {
  await handleAndDie("before", "commitRoot", another(20));
  await handleAndDie("before", "commitRoot", openingOf(2n));
  await world.sweep();
  expect(stored().length).toBeGreaterThan(pointedTo().length);
  await world.handle(openingOf(2n), first(2n));
  await world.sweep();
  expect(stored()).toEqual(pointedTo());
});

it("leaves everything of an attempt under way, wherever it is: it commits, and its roster can be read", async () => {
  for (const message of [() => another(20), () => another(30), () => openingOf(2n), () => first(2n)]) {
    const hook = async () => void (await world.sweep());
    expect((await world.handleHooked(hook, message())).failed).toEqual([]);
    const names = pointedTo();
    expect(stored()).toEqual(expect.arrayContaining(names));
  }
  expect([...world.store.roots.values()][0]!.epoch).toBe(2n);
  await readable(A, B);
});

it("collects under the hands of one that has lost its race: it loses, and writes them again", async () => {
  let raced = false;
  const hook = async (when: "before" | "after", method: string) => {
    if (raced || when === "after" || method !== "commitRoot") return;
    raced = true;
    await world.handleCold(another(30));
    await world.sweep();
    expect(stored()).toEqual(pointedTo());
  };
  expect((await world.handleHooked(hook, another(20))).failed).toEqual([]);
  const [root] = world.store.roots.values();
  const chunks = root!.pointers.flatMap(
    ({ name }) =>
      world.store.chunks.get([...world.store.chunks.keys()].find((path) => path.endsWith(name))!)!,
  );
  const lives = chunks.flatMap((chunk) =>
    chunk.kind === "dispatchers" ? chunk.lives.map((one) => one.tableId) : [],
  );
  expect(lives.sort()).toEqual([0n, 20n, 30n]);
});

it("leaves what was named before names told their epoch, and reads it", async () => {
  const [space, root] = [...world.store.roots][0]!;
  const former = root.pointers.map((one) => ({ ...one, name: one.name.slice(2) }));
  for (const { name } of root.pointers) {
    world.store.chunks.set(`${space} ${name.slice(2)}`, world.store.chunks.get(`${space} ${name}`)!);
    world.store.chunks.delete(`${space} ${name}`);
  }
  world.store.roots.set(space, { ...root, pointers: former });
  world.store.chunks.set(`${space} i0.1.0`, { kind: "nodes", id: 9, version: 1, nodes: [] });
  expect((await world.sweep()).failed).toEqual([]);
  expect(stored()).toEqual([...pointedTo(), "i0.1.0"].sort());
  expect((await world.handleCold(another(20))).failed).toEqual([]);
  await readable(d(20));
});

it("is done once a day for each changefeed, at whatever interval sweeps come", async () => {
  for (const minutes of [1, 2, 3, 5, 7, 60])
    for (const space of ["default/a//0", "default/b//0", "default/b//1"]) {
      let times = 0;
      for (let sweep = 0; sweep < COLLECT_EVERY; sweep++)
        if (hasTurn(space, world.now + sweep * minutes * 60_000, COLLECT_EVERY)) times++;
      expect(times).toBe(1);
    }
});
