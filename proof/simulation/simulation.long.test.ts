/** Seeded simulations: the same run for the same seed, and nothing that must not happen in 500 of them. */
import { expect, it } from "vitest";
import { commandFor, optionsFor, USUAL_FAULTS } from "./options.ts";
import { seedsFrom, simulateSeeds } from "./seeds.ts";
import { simulate } from "./simulate.ts";

/** As many as keep `.ci/run` to some minutes; `npm run seeds` runs more. */
const SEEDS = 500;
const THREADS = 2;
/**
 * Open findings, each a barrier or a dispatcher that stands still, none a wrong order (docs/decisions/0055-seeds.md): they are left out
 * until they are explained. Whoever mends one takes it out here.
 */
const OPEN: readonly number[] = [71, 273, 332];

it("runs the same way for the same seed", async () => {
  const digests = new Set<string>();
  for (let seed = 1; seed <= 8; seed++) {
    const first = await simulate(optionsFor(seed));
    const [again] = await Promise.all([
      simulate(optionsFor(seed)),
      // Another run beside it changes nothing.
      simulate(optionsFor(seed + 1_000)),
    ]);
    expect(again, `seed ${seed}`).toEqual(first);
    digests.add(first.digest);
  }
  expect(digests.size).toBe(8);
});

it(`finds nothing that must not happen in ${SEEDS} seeds`, { timeout: 600_000 }, async () => {
  const seeds = [...seedsFrom(1, SEEDS)].filter((seed) => !OPEN.includes(seed));
  const summary = await simulateSeeds(seeds, THREADS, (seed) => optionsFor(seed));
  const said = summary.failed.map(
    ({ seed, violation }) =>
      `${violation!.rule}: ${violation!.what}\n  again: ${commandFor(optionsFor(seed))}`,
  );
  expect(said).toEqual([]);
  expect(summary.seeds).toBe(SEEDS - OPEN.length);
  // What the runs are made of: no kind of barrier or fault is missing.
  expect(Object.keys(summary.closedByKind).sort()).toEqual([
    "alter",
    "alter many",
    "alter schema",
    "alter with trigger",
    "create",
    "create like",
    "drop",
    "drop schema",
    "rename",
    "syncpoint",
    "truncate",
    "view",
  ]);
  const counted = USUAL_FAULTS.filter((kind) => kind !== "clock");
  expect(Object.keys(summary.faults).sort()).toEqual([...counted].sort());
});
