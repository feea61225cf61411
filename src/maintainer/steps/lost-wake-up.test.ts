/** A report that meets a change of the roster, where earlier versions of its chunk speak for the others (decision 0002). */
import { expect, it } from "vitest";
import { d, ddl, node, normal, World } from "../testing/world.ts";

it("completes the newest version of a chunk when a report is looked at again", async () => {
  const world = new World();
  const n1 = node("n1");
  const n2 = node("n2");
  const key = ddl(100n);
  const about = { BlockTables: normal(10n, 20n) };
  await world.handle(
    world.opening(n1, d(1), [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
      { id: 30n, schema: 1n },
    ]),
    world.registration(n1, [{ id: d(1), table: 0n }]),
    world.registration(n2, [
      { id: d(10), table: 10n },
      { id: d(20), table: 20n, end: "m" },
      { id: d(21), table: 20n, start: "m" },
    ]),
  );
  // 21 is away, so that nothing is granted; the chunk's present version is complete by one folded report, without a tally.
  await world.handle(world.status(n2, d(21), 1n, 2));
  await world.handle(world.waiting(n2, [d(10), d(20)], key, about));
  // 20 starts again and reports; meanwhile somebody whom the event does not touch joins the chunk, and 21 is back.
  await world.handle(world.registration(n2, [{ id: d(20), table: 20n, end: "m", life: 2n }]));
  await world.handle(world.registration(n2, [{ id: d(21), table: 20n, start: "m", life: 2n }]));
  await world.handle(world.waiting(n2, [{ id: d(21), life: 2n }], key, about));
  expect(await world.phase(key)).toBe("waiting");
  let joined = false;
  await world.handleHooked(
    async (when, method) => {
      if (when !== "before" || method !== "touchTally" || joined) return;
      joined = true;
      await world.handleCold(world.registration(n2, [{ id: d(30), table: 30n }]));
    },
    world.waiting(n2, [{ id: d(20), life: 2n }], key, about),
  );
  expect(joined).toBe(true);
  expect(await world.phase(key)).toBe("writing");
});
