/** Invocations that change one roster at the same time: one wins, the others try again. */
import { expect, it } from "vitest";
import { d, node, World } from "../testing/world.ts";

it("tries again on the roster as it is after the pause, not as it was when the race was lost", async () => {
  const world = new World();
  // As in the table, where a chunk that was replaced stays for long: here it would expire at once and be missed.
  world.store.expireChunks = async () => undefined;
  const [n1, n2, n3, n4] = [node("n1"), node("n2"), node("n3"), node("n4")];
  await world.handle(
    world.opening(n1, d(1), [{ id: 10n, schema: 1n }]),
    world.registration(n1, [{ id: d(1), table: 0n }]),
  );
  const others = [world.registration(n2, [{ id: d(20), table: 10n, end: "h" }])];
  const later = [world.registration(n3, [{ id: d(30), table: 10n, start: "h", end: "p" }])];
  const result = await world.handleHooked(
    async (when, method) => {
      if (when !== "before") return;
      // One wins the race, another registers while the loser pauses.
      if (method === "commitRoot") for (const message of others.splice(0)) await world.handleCold(message);
      if (method === "pause") for (const message of later.splice(0)) await world.handleCold(message);
    },
    world.registration(n4, [{ id: d(40), table: 10n, start: "p" }]),
  );
  expect([result.failed, others, later]).toEqual([[], [], []]);
  expect(world.failedConditions).toEqual(["commitRoot"]);
  for (const on of [n2, n3, n4]) expect(world.take(on, "RegistrationResult")).toHaveLength(1);
});
