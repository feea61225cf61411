/** Some seeded simulations; `simulation.long.test.ts` runs more of them, `npm run seeds` as many as you like. */
import { expect, it } from "vitest";
import { commandFor, optionsFor } from "./options.ts";
import { seedsFrom, simulateSeeds } from "./seeds.ts";
import { simulate } from "./simulate.ts";

const SEEDS = 60;
const THREADS = 2;

it("runs the same way for the same seed", async () => {
  const first = await simulate(optionsFor(1));
  // Another run beside it changes nothing.
  const [again] = await Promise.all([simulate(optionsFor(1)), simulate(optionsFor(1_001))]);
  expect(again).toEqual(first);
});

it(`finds nothing that must not happen in ${SEEDS} seeds`, { timeout: 600_000 }, async () => {
  const summary = await simulateSeeds(seedsFrom(1, SEEDS), THREADS, (seed) => optionsFor(seed));
  const said = summary.failed.map(
    ({ seed, violation }) =>
      `${violation!.rule}: ${violation!.what}\n  again: ${commandFor(optionsFor(seed))}`,
  );
  expect(said).toEqual([]);
  expect(summary.seeds).toBe(SEEDS);
});
