/** Redo mode is a barrier space of its own (protocol.md M17), by messages in and messages out. */
import { expect, it } from "vitest";
import { d, ddl, everybody, idsOf, node, normal, syncpoint, World } from "../testing/world.ts";

const n1 = node("n1");
const r1 = { ...node("r1"), id: "n1", queue: "weir-action-n1-redo" };
const T = d(1);
const K = ddl(100n);
const drop = { BlockTables: normal(0n, 10n), NeedDroppedTables: normal(10n) };

async function both(): Promise<World> {
  const world = new World();
  const spans = (mode: bigint) => [
    { id: T, table: 0n, mode },
    { id: d(10), table: 10n, mode },
  ];
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }], { redo: true }),
    world.registration(n1, spans(0n)),
    world.registration(r1, spans(1n)),
  );
  world.queues.clear();
  return world;
}

it("has its own barriers, writers and roster: the same key at a time in both", async () => {
  const world = await both();
  await world.handle(world.waiting(r1, [T, d(10)], K, drop, 1n), world.waiting(n1, [d(10)], K, drop));
  expect([await world.phase(K, 1), await world.phase(K, 0)]).toEqual(["writing", "waiting"]);
  expect(idsOf(world.told(r1), "write", K)).toEqual([T]);
  expect(idsOf(world.told(n1), "write", K)).toEqual([]);
  // A DONE counts in the mode that it names.
  await world.handle(world.done(n1, [T], K, "write"));
  expect(await world.phase(K, 1)).toBe("writing");
  await world.handle(world.done(r1, [T], K, "write", 1n));
  expect([await world.phase(K, 1), await world.phase(K, 0)]).toEqual([undefined, "waiting"]);
  expect(idsOf(world.told(r1), "pass", K)).toEqual([T, d(10)]);
  // The table left the redo roster only.
  await world.handle(world.waiting(n1, [T], K, drop));
  expect(await world.phase(K, 0)).toBe("writing");
});

it("is opened by redo schemas alone, and nothing else with them", async () => {
  const world = new World();
  const message = world.opening(r1, T, [{ id: 10n, schema: 1n }], { redo: true });
  const body = JSON.parse(message.body);
  delete body.schemas;
  await world.handle(
    { ...message, body: JSON.stringify(body) },
    world.registration(r1, [{ id: T, table: 0n, mode: 1n }]),
  );
  expect([...world.store.roots.keys()].map((text) => text.at(-1))).toEqual(["1"]);
});

it("has no syncpoints: one is kept with the reason, and the rest of its message counts", async () => {
  const world = await both();
  await world.handle(
    world.waiting(r1, [T], syncpoint(90n), { BlockTables: everybody }, 1n),
    world.waiting(r1, [T, d(10)], K, drop, 1n),
  );
  expect(world.deadLetters[0]!.reason).toMatch(/redo has no syncpoints/);
  expect(await world.phase(K, 1)).toBe("writing");
});

it("ends what lived there when its node has started again, though it brings nobody back and says so (R5)", async () => {
  const world = await both();
  const lives = async (mode: number) => {
    const space = (await world.store.listSpaces()).find(({ text }) => text.endsWith(`/${mode}`))!;
    const { pointers } = world.store.roots.get(space.text)!;
    const chunks = await world.store.readChunks(space, pointers);
    return chunks.flatMap((chunk) => (chunk?.kind === "dispatchers" ? chunk.lives : [])).length;
  };
  await world.handle(world.registration({ ...r1, start: 2 }, [], { mode: 1n }));
  expect([await lives(0), await lives(1)]).toEqual([2, 0]);
});
