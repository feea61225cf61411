/** `npm run simulate`: any number of seeds, on all cores. */
import { availableParallelism } from "node:os";
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import {
  commandFor,
  DEFAULTS,
  FAULT_KINDS,
  type FaultKind,
  LEAST_ITEM_BYTES,
  type OldNodes,
  optionsFor,
  USUAL_FAULTS,
} from "./options.ts";
import { type Summary, seedsFrom, simulateSeeds } from "./seeds.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";

function whole(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError(`"${text}" is no whole number`);
  return value;
}

function bytes(text: string): number {
  const value = whole(text);
  if (value < LEAST_ITEM_BYTES)
    throw new InvalidArgumentError(
      `an item of ${value} bytes has no room for a chain of barriers: give ${LEAST_ITEM_BYTES} or more`,
    );
  return value;
}

function kinds(text: string): ReadonlySet<FaultKind> {
  if (text === "none") return new Set();
  if (text === "all") return new Set(FAULT_KINDS);
  return new Set(
    text.split(",").map((kind) => {
      if (!(FAULT_KINDS as readonly string[]).includes(kind))
        throw new InvalidArgumentError(
          `"${kind}" is no fault: use none, all, or some of ${FAULT_KINDS.join(",")}`,
        );
      return kind as FaultKind;
    }),
  );
}

function old(text: string): OldNodes {
  if (text !== "all" && text !== "some" && text !== "none")
    throw new InvalidArgumentError(`"${text}" is none of all, some, none`);
  return text;
}

const options = new Command("simulate")
  .description("runs seeded worlds: the maintainer, dispatchers and storage sink that ship, in virtual time")
  .option("--seeds <n>", "how many seeds", whole, 1_000)
  .option("--from <n>", "the first of them", whole, 1)
  .option("--seed <n>", "one seed only, and what happens in it", whole)
  .option("--jobs <n>", "threads", whole, availableParallelism())
  .option("--nodes <n>", "capture nodes", whole, DEFAULTS.nodes)
  .option("--dispatchers <n>", "dispatchers at the beginning", whole, DEFAULTS.dispatchers)
  .option("--barriers <n>", "DDLs and syncpoints in the log", whole, DEFAULTS.barriers)
  .option("--max-faults <n>", "no more faults than this", whole, DEFAULTS.maxFaults)
  .option(
    "--item-bytes <n>",
    "bytes that an item of the table may have (default: few in one seed of eight)",
    bytes,
  )
  .option(
    "--old <nodes>",
    "old nodes: all, some, none (default: all in one seed of six, some in another)",
    old,
  )
  .option("--faults <kinds>", "kinds of faults, with commas; none; all", kinds, new Set(USUAL_FAULTS))
  .option("--trace <n>", "lines of the trace of a seed that fails", whole, 60)
  .option("--keep-going", "run the other seeds too when one fails", false)
  .option("--no-shrink", "show a seed that fails as it is")
  .parse()
  .opts<{
    seeds: number;
    from: number;
    seed?: number;
    jobs: number;
    nodes: number;
    dispatchers: number;
    barriers: number;
    maxFaults: number;
    itemBytes?: number;
    old?: OldNodes;
    faults: ReadonlySet<FaultKind>;
    trace: number;
    keepGoing: boolean;
    shrink: boolean;
  }>();

const { nodes, dispatchers, barriers, maxFaults, itemBytes, old: oldNodes, faults } = options;
const optionsOf = (seed: number) =>
  optionsFor(seed, {
    nodes,
    dispatchers,
    barriers,
    maxFaults,
    ...(itemBytes !== undefined && { itemBytes }),
    ...(oldNodes !== undefined && { old: oldNodes }),
    faults,
  });
const seeds = options.seed === undefined ? seedsFrom(options.from, options.seeds) : [options.seed];
const count = options.seed === undefined ? options.seeds : 1;
const began = performance.now();

const summary = await simulateSeeds(
  seeds,
  Math.min(options.jobs, count),
  optionsOf,
  ({ seed, violation }, so) => {
    const { isTTY } = process.stderr;
    if (violation !== undefined)
      process.stderr.write(`${isTTY ? "\n" : ""}seed ${seed}: ${violation.rule}\n`);
    if (!isTTY && so.seeds % 1_000 !== 0) return;
    const perSecond = (so.seeds / (performance.now() - began)) * 1_000;
    process.stderr.write(
      `${isTTY ? "\r" : ""}${so.seeds} of ${count} seeds, ${perSecond.toFixed(1)} a second, ${so.failed.length} failed${isTTY ? "" : "\n"}`,
    );
  },
  options.keepGoing,
);
if (process.stderr.isTTY) process.stderr.write("\n");
console.log(tableOf(summary));
for (const failed of summary.failed) {
  console.log(`\nseed ${failed.seed}: ${failed.violation!.rule}: ${failed.violation!.what}`);
  if (options.shrink) await showShrunk(failed.seed);
  else console.log((await simulate(optionsOf(failed.seed), options.trace)).last.join("\n"));
}
process.exitCode = summary.failed.length > 0 ? 1 : 0;

async function showShrunk(seed: number): Promise<void> {
  const shrunk = await shrink(optionsOf(seed), options.trace);
  if (shrunk === undefined) {
    console.log(
      "the same seed does not fail here: the run is not deterministic, which is a fault of its own",
    );
    return;
  }
  const { result, runs } = shrunk;
  console.log(`shrunk in ${runs} runs: ${result.violation!.rule}: ${result.violation!.what}\n`);
  console.log(result.last.join("\n"));
  console.log(`\nagain: ${commandFor(shrunk.options)} --no-shrink --trace ${options.trace}`);
}

function tableOf(of: Summary): string {
  const table = new Table({ style: { head: [], border: [] } });
  const list = (counts: object) =>
    Object.entries(counts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, number]) => `${kind} ${number}`)
      .join("\n");
  table.push(
    { seeds: of.seeds },
    { failed: of.failed.length },
    { "barriers closed": list(of.closedByKind) },
    { faults: list(of.faults) },
    { "events applied again after a loss": of.appliedAgain },
    { "virtual time": `${(of.time / 3_600_000).toFixed(1)} h` },
    { "requests of the functions": of.requests },
    { "time here": `${((performance.now() - began) / 1_000).toFixed(1)} s` },
  );
  return table.toString();
}
