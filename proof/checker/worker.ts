/** A thread that explores one scenario. */
import { parentPort, workerData } from "node:worker_threads";
import { type Explored, explore } from "./explore.ts";
import type { Faults } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

export interface WorkerTask {
  readonly scenario: string;
  readonly faults: Faults;
}

export type WorkerAnswer =
  | { readonly explored: Explored }
  | { readonly states: number; readonly depth: number };

const { scenario, faults } = workerData as WorkerTask;
const port = parentPort!;
const found = SCENARIOS.find((one) => one.name === scenario)!;
const explored = await explore(found, faults, {
  onProgress: (states, depth) => port.postMessage({ states, depth } satisfies WorkerAnswer),
});
port.postMessage({ explored } satisfies WorkerAnswer);
