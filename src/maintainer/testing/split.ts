import { d, node, normal, World } from "./world.ts";

export const n1 = node("n1");
export const n2 = node("n2");
export const T = d(1);
export const A = d(11);
export const B = d(12);
export const ALTER = { BlockTables: normal(10n) };

/** The table trigger, and table 10 in two spans on two nodes. */
export async function split(): Promise<World> {
  const world = new World();
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: A, table: 10n, end: "m" },
    ]),
    world.registration(n2, [{ id: B, table: 10n, start: "m" }]),
  );
  world.queues.clear();
  return world;
}
