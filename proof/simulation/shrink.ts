import type { SimulationOptions } from "./options.ts";
import { type SimulationResult, simulate } from "./simulate.ts";

/** Runs that shrinking may take. */
const MOST_RUNS = 300;

export interface Shrunk {
  readonly options: SimulationOptions;
  readonly result: SimulationResult;
  readonly runs: number;
}

/**
 * Looks for a smaller run of the same seed that breaks the same rule: without kinds of faults, with fewer barriers,
 * dispatchers, nodes, and faults.
 */
export async function shrink(failed: SimulationOptions, traceLines = 60): Promise<Shrunk | undefined> {
  const first = await simulate(failed, traceLines);
  if (first.violation === undefined) return undefined;
  const { rule } = first.violation;
  let best = { options: failed, result: first };
  let runs = 1;
  const better = async (change: Partial<SimulationOptions>): Promise<boolean> => {
    if (runs >= MOST_RUNS) return false;
    runs++;
    const options = { ...best.options, ...change };
    const result = await simulate(options, traceLines);
    if (result.violation?.rule !== rule) return false;
    best = { options, result };
    return true;
  };
  /** The smallest value that still breaks the rule, found by halves. */
  const least = async (name: "barriers" | "dispatchers" | "nodes" | "maxFaults", floor: number) => {
    let low = floor;
    while (low < best.options[name] && runs < MOST_RUNS) {
      const middle = Math.floor((low + best.options[name]) / 2);
      if (!(await better({ [name]: middle }))) low = middle + 1;
    }
  };
  for (let size = Number.POSITIVE_INFINITY; runs < MOST_RUNS; ) {
    for (const kind of best.options.faults) {
      const faults = new Set(best.options.faults);
      faults.delete(kind);
      await better({ faults });
    }
    await least("barriers", 1);
    await least("dispatchers", 2);
    await least("nodes", 1);
    const happened = Object.values(best.result.faults).reduce((sum, count) => sum + count, 0);
    if (happened < best.options.maxFaults) await better({ maxFaults: happened });
    await least("maxFaults", 0);
    const { barriers, dispatchers, nodes, faults, maxFaults } = best.options;
    const now = barriers + dispatchers + nodes + faults.size + maxFaults;
    if (now >= size) break;
    size = now;
  }
  return { ...best, runs };
}
