/** A sweep of more changefeeds than there is time for (decisions/0042). */
import { expect, it } from "vitest";
import { MemoryStore } from "../storage/memory.ts";
import type { Port } from "./base/port.ts";
import { run } from "./base/program.ts";
import { type Space, spaceOf } from "./base/space.ts";
import { newMemory } from "./batch.ts";
import { sweep } from "./sweep.ts";
import { World } from "./testing/world.ts";

const COUNT = 100;
const spaces: Space[] = Array.from({ length: COUNT }, (_, at) =>
  spaceOf({ high: 0n, low: BigInt(at), name: "c", keyspace: "k" }, 0n),
);

async function prepared(): Promise<World> {
  const world = new World(new MemoryStore());
  for (const space of spaces) await world.store.registerSpace(space, "t");
  return world;
}

/** Sweeps until as many roots were read as there is time for. @returns whose, in order */
async function sweepFor(
  world: World,
  most: number,
  before: (space: Space) => Promise<void> = async () => undefined,
) {
  const stop = { aborted: false };
  const read: string[] = [];
  const port = new Proxy(world.port, {
    get: (target, name: keyof Port) => {
      if (name !== "readRoot") return target[name];
      return async (space: Space) => {
        read.push(space.text);
        if (read.length >= most) stop.aborted = true;
        await before(space);
        return target.readRoot(space);
      };
    },
  });
  const result = await run(sweep({ ...world.invocation(), memory: newMemory(), stop }), port);
  return { read, result };
}

it("ends when it is told to, says how many are left, and the next begins with them", async () => {
  const world = await prepared();
  const seen: string[] = [];
  const lefts: number[] = [];
  for (let sweeps = 0; sweeps < 3; sweeps++) {
    // Each in an environment that remembers nothing.
    const { read, result } = await sweepFor(world, 30);
    seen.push(...read);
    lefts.push(result.left);
    expect(result.failed).toEqual([]);
  }
  expect(lefts.every((left) => left >= COUNT - 46 && left <= COUNT - 30)).toBe(true);
  // In turn: the first hundred that are looked at are all of them.
  await sweepFor(world, 30).then(({ read }) => seen.push(...read));
  expect(new Set(seen.slice(0, COUNT)).size).toBe(COUNT);
});

it("looks at all of them where there is time, wherever it begins", async () => {
  const world = await prepared();
  await world.store.nextSweepFrom(spaces[70]!.text);
  const { read, result } = await sweepFor(world, 1_000);
  expect([new Set(read).size, read.length, read[0], result.left]).toEqual([
    COUNT,
    COUNT,
    spaces[70]!.text,
    0,
  ]);
  // It begins anew where the one that it was to begin with is gone, and all behind it.
  await world.store.nextSweepFrom("~");
  expect((await sweepFor(world, 1_000)).read[0]).toBe(spaces[0]!.text);
});

it("is not held up by one that is slow, or fails", async () => {
  const world = await prepared();
  const held = Promise.withResolvers<void>();
  let others = 0;
  const { read, result } = await sweepFor(world, 1_000, async (space) => {
    if (space === undefined) return;
    if (space.text === spaces[3]!.text) return held.promise;
    if (space.text === spaces[4]!.text) throw new Error("it does not answer");
    if (++others === COUNT - 2) held.resolve();
  });
  expect(read).toHaveLength(COUNT);
  expect(result.failed).toEqual([{ space: spaces[4]!.text, reason: "it does not answer" }]);
});

it("says where the next begins though one of them never ends", async () => {
  const world = await prepared();
  const never = new Promise<void>(() => undefined);
  const first = spaces[0]!.text;
  void sweepFor(world, 30, async (space) => (space.text === first ? never : undefined));
  await expect.poll(async () => (await world.store.readRegistry()).from).not.toBe("");
  expect((await world.store.readRegistry()).from > spaces[20]!.text).toBe(true);
});
