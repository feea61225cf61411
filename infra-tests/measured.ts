/** The process that `memory.ts` measures: loads a bundled function, and handles what it is sent, one event after the other. */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

export interface Measured {
  /** Milliseconds. */
  readonly cpu: number;
  readonly wall: number;
  /** MB. */
  readonly peak: number;
  readonly failures: number;
}

type Handler = (
  event: unknown,
  context: unknown,
) => Promise<{ readonly batchItemFailures: readonly unknown[] }>;

const [, , bundle = ""] = process.argv;
let handler: Handler;
const loaded = await measured(async () => {
  ({ handler } = (await import(pathToFileURL(bundle).href)) as { handler: Handler });
  return 0;
});
let invocation = 0;
process.on("message", async (event) => {
  const context = { awsRequestId: `r${invocation++}`, functionName: "Maintainer" };
  process.send!(await measured(async () => (await handler(event, context)).batchItemFailures.length));
});
process.on("disconnect", () => process.exit(0));
process.send!(loaded);

async function measured(work: () => Promise<number>): Promise<Measured> {
  const before = process.cpuUsage();
  const started = performance.now();
  const failures = await work();
  const { user, system } = process.cpuUsage(before);
  const wall = performance.now() - started;
  return { cpu: (user + system) / 1000, wall, peak: peak(), failures };
}

/** Peak memory in MB. That of resourceUsage() holds the peak of who started this process too; Linux has its own. */
function peak(): number {
  const [, own] = /VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(own ?? process.resourceUsage().maxRSS) / 1024;
}
