/** The process that runs what `weir local` runs, and says how much it has done and worked. Its parent sends anything to ask. */
import { readdirSync, readFileSync } from "node:fs";
import { type Endpoints, type LocalCounts, startLocal } from "../../src/local/deployment.ts";

export interface LocalReport {
  readonly counts: LocalCounts;
  /** Seconds of processor time of the engines and the event source, which share this process. */
  readonly enginesCpu: number;
  /** The same of the functions' processes; undefined where the system does not say. */
  readonly functionsCpu: number | undefined;
}

const local = await startLocal();
const { endpoint, region, credentials, table, statusQueueUrl, deadLetterQueueUrl } = local;
const { actionQueuePrefix, coordinators } = local;
const endpoints: Endpoints = {
  ...{ endpoint, region, credentials, table, statusQueueUrl, deadLetterQueueUrl },
  ...{ actionQueuePrefix, coordinators },
};
process.on("message", () => process.send!(report()));
process.on("disconnect", () => void local.stop().finally(() => process.exit(0)));
process.send!(endpoints);

function report(): LocalReport {
  const { user, system } = process.cpuUsage();
  return { counts: local.counts(), enginesCpu: (user + system) / 1e6, functionsCpu: cpuOfChildren() };
}

/** Linux counts in hundredths of a second. */
function cpuOfChildren(): number | undefined {
  try {
    let ticks = 0;
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) ticks += ticksIfChild(pid);
    return ticks / 100;
  } catch {
    return undefined;
  }
}

function ticksIfChild(pid: string): number {
  try {
    // Behind the name, which may hold anything: state, parent, ..., and as 14th and 15th of all the time as user and as system.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return Number(fields[1]) === process.pid ? Number(fields[11]) + Number(fields[12]) : 0;
  } catch {
    // It has ended.
    return 0;
  }
}
