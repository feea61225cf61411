import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { type Explored, explore } from "./explore.ts";
import type { Faults, Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import type { WorkerAnswer, WorkerTask } from "./worker.ts";

export type { Violation } from "./explore.ts";

/** What was found out about one scenario. */
export interface Verdict extends Explored {
  readonly about: string;
  readonly faults: Faults;
}

export interface CheckOptions {
  /** The bounds of the run inside of the tests. Default: the full ones. */
  readonly quick?: boolean;
  /** No further scenario begins after a violation. */
  readonly stopAtFirst?: boolean;
  /** Names of the scenarios; all if absent. */
  readonly only?: readonly string[];
  /** Those with few states come first: what is wrong is found sooner. The verdicts are in the order of the list. */
  readonly smallestFirst?: boolean;
  /** Scenarios at a time, each in a thread of its own; 0: one after the other, in this one. Default: one for each core. */
  readonly workers?: number;
  readonly onVerdict?: (verdict: Verdict) => void;
  readonly onProgress?: (scenario: string, states: number, depth: number) => void;
}

export function boundsOf(scenario: Scenario, quick: boolean): Faults | undefined {
  if (!quick) return scenario.faults;
  return scenario.quick === "skip" ? undefined : { ...scenario.faults, ...scenario.quick };
}

/**
 * Explores scenarios and gives a verdict for each, in the order of the list.
 * @throws RangeError if a name is none of a scenario
 */
export async function checkAll(options: CheckOptions = {}): Promise<Verdict[]> {
  const { quick = false, stopAtFirst = false, only, workers = availableParallelism() } = options;
  for (const name of only ?? [])
    if (!SCENARIOS.some((one) => one.name === name))
      throw new RangeError(`there is no scenario "${name}": --list names them`);
  const waiting = SCENARIOS.filter((one) => only === undefined || only.includes(one.name)).flatMap(
    (scenario) => {
      const faults = boundsOf(scenario, quick);
      return faults === undefined ? [] : [{ scenario, faults }];
    },
  );
  const order = waiting.map(({ scenario }) => scenario.name);
  if (options.smallestFirst) waiting.sort((a, b) => a.scenario.least - b.scenario.least);
  const verdicts: Verdict[] = [];
  const take = async (work: (scenario: Scenario, faults: Faults) => Promise<Explored>): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { scenario, faults } = next;
      const verdict = { ...(await work(scenario, faults)), about: scenario.about, faults };
      verdicts.push(verdict);
      options.onVerdict?.(verdict);
      if (stopAtFirst && verdict.violation !== undefined) waiting.length = 0;
    }
  };
  if (workers === 0)
    await take((scenario, faults) =>
      explore(scenario, faults, {
        onProgress: (states, depth) => options.onProgress?.(scenario.name, states, depth),
      }),
    );
  else
    await Promise.all(
      Array.from({ length: Math.min(workers, waiting.length) }, () =>
        take((scenario, faults) => exploreApart(scenario, faults, options.onProgress)),
      ),
    );
  return verdicts.sort((a, b) => order.indexOf(a.scenario) - order.indexOf(b.scenario));
}

/** In a thread of its own, so that what it has learnt goes with it. */
function exploreApart(
  scenario: Scenario,
  faults: Faults,
  onProgress: CheckOptions["onProgress"],
): Promise<Explored> {
  const task: WorkerTask = { scenario: scenario.name, faults };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  return new Promise<Explored>((resolve, reject) => {
    worker.on("message", (answer: WorkerAnswer) => {
      if ("explored" in answer) resolve(answer.explored);
      else onProgress?.(scenario.name, answer.states, answer.depth);
    });
    worker.on("error", reject);
    worker.on("exit", (code) =>
      reject(new Error(`scenario ${scenario.name}: its thread ended with ${code}`)),
    );
  });
}

const HEAP_MB = 8_192;
