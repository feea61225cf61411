import { Worker } from "node:worker_threads";
import type { FaultKind, SimulationOptions } from "./options.ts";
import type { SimulationResult } from "./simulate.ts";

/** What many runs came to. */
export interface Summary {
  seeds: number;
  /** Barriers closed, by the kind of their event. */
  readonly closedByKind: Record<string, number>;
  readonly faults: Partial<Record<FaultKind, number>>;
  /** Milliseconds of virtual time. */
  time: number;
  /** Requests of the functions to table and queues. */
  requests: number;
  /** Events that were applied again because who applied them was lost. */
  appliedAgain: number;
  readonly failed: SimulationResult[];
}

/**
 * Simulates seeds in threads. Stops with the first that fails, if nothing else is said; those that run then are waited for.
 * @param jobs threads
 * @param optionsOf the run of a seed
 * @param onResult told of each, in the order in which they end
 * @param keepGoing whether seeds behind one that fails are run too
 */
export async function simulateSeeds(
  seeds: Iterable<number>,
  jobs: number,
  optionsOf: (seed: number) => SimulationOptions,
  onResult: (result: SimulationResult, summary: Summary) => void = () => undefined,
  keepGoing = false,
): Promise<Summary> {
  const summary: Summary = {
    seeds: 0,
    closedByKind: {},
    faults: {},
    time: 0,
    requests: 0,
    appliedAgain: 0,
    failed: [],
  };
  const queue = seeds[Symbol.iterator]();
  const thread = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL("./worker.ts", import.meta.url), {
        execArgv: [],
        // A world makes much that is soon forgotten: fewer collections.
        resourceLimits: { maxYoungGenerationSizeMb: 64 },
      });
      const next = () => {
        const seed = summary.failed.length > 0 && !keepGoing ? undefined : queue.next().value;
        if (seed === undefined) void worker.terminate().then(() => resolve());
        else worker.postMessage(optionsOf(seed));
      };
      worker.on("error", reject);
      worker.on("message", (result: SimulationResult) => {
        add(summary, result);
        onResult(result, summary);
        next();
      });
      next();
    });
  await Promise.all(Array.from({ length: jobs }, thread));
  return summary;
}

/** Seeds from one number on. */
export function* seedsFrom(first: number, count: number): Iterable<number> {
  for (let seed = first; seed < first + count; seed++) yield seed;
}

function add(summary: Summary, result: SimulationResult): void {
  summary.seeds++;
  summary.time += result.time;
  summary.requests += result.requests;
  summary.appliedAgain += result.appliedAgain;
  for (const [kind, count] of Object.entries(result.closedByKind))
    summary.closedByKind[kind] = (summary.closedByKind[kind] ?? 0) + count;
  for (const [kind, count] of Object.entries(result.faults) as [FaultKind, number][])
    summary.faults[kind] = (summary.faults[kind] ?? 0) + count;
  if (result.violation !== undefined) summary.failed.push(result);
}
