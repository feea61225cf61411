/** A thread that simulates the seeds which it is given, one after the other. */
import { parentPort } from "node:worker_threads";
import type { SimulationOptions } from "./options.ts";
import { simulate } from "./simulate.ts";

parentPort!.on("message", async (options: SimulationOptions) => {
  parentPort!.postMessage(await simulate(options));
});
