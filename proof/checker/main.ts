/** `npm run check`: explores all scenarios, or those that are named, and prints a table. Exit code 1: a violation. */
import Table from "cli-table3";
import { Command } from "commander";
import { boundsOf, checkAll, type Verdict } from "./index.ts";
import type { Faults, Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

interface Options {
  readonly scenario?: readonly string[];
  readonly list?: boolean;
  readonly quick?: boolean;
  readonly keepGoing?: boolean;
  readonly json?: boolean;
  readonly workers?: string;
}

const number = new Intl.NumberFormat("en");

function faultsText(faults: Faults): string {
  const { overlaps, ...others } = faults;
  const words = Object.entries(others)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`);
  if (Number.isFinite(overlaps)) words.push(`overlaps ${overlaps}`);
  return words.join(", ") || "none";
}

function list(scenarios: readonly Scenario[], quick: boolean): void {
  const table = new Table({ head: ["scenario", "what is in it", quick ? "at most (quick)" : "at most"] });
  for (const scenario of scenarios) {
    const faults = boundsOf(scenario, quick);
    table.push([scenario.name, scenario.about, faults ? faultsText(faults) : "not in quick bounds"]);
  }
  console.log(table.toString());
}

function show(verdicts: readonly Verdict[]): void {
  const table = new Table({
    head: ["scenario", "states", "transitions", "depth", "seconds", "at most", "verdict"],
    colAligns: ["left", "right", "right", "right", "right", "left", "left"],
  });
  for (const one of verdicts)
    table.push([
      one.scenario,
      number.format(one.states),
      number.format(one.transitions),
      one.depth,
      (one.ms / 1000).toFixed(1),
      faultsText(one.faults),
      one.violation ? one.violation.faults[0]!.split(":")[0]! : "holds",
    ]);
  console.log(table.toString());
  const sum = (of: (verdict: Verdict) => number) => verdicts.reduce((total, one) => total + of(one), 0);
  console.log(
    `${number.format(sum((one) => one.states))} states, ${number.format(sum((one) => one.transitions))} transitions, ` +
      `${verdicts.length} scenarios`,
  );
}

function showViolation({ scenario, violation }: Verdict): void {
  if (violation === undefined) return;
  console.log(`\n${scenario}: the shortest way to a violation`);
  for (const line of violation.trace) console.log(`  ${line}`);
  for (const fault of violation.faults) console.log(`  => ${fault}`);
}

async function main(): Promise<number> {
  const program = new Command("check")
    .description(
      "visit every state of small worlds around the maintainer that ships, and check I1 to I10 in each",
    )
    .option("--scenario <name...>", "only these")
    .option("--list", "name the scenarios and what is in them")
    .option("--quick", "the smaller bounds that npm test uses")
    .option("--keep-going", "go on after a violation")
    .option("--json", "print the verdicts as JSON")
    .option("--workers <n>", "scenarios at a time")
    .parse();
  const options = program.opts<Options>();
  const only = options.scenario && { only: options.scenario };
  if (options.list) {
    list(
      SCENARIOS.filter((one) => options.scenario?.includes(one.name) ?? true),
      options.quick ?? false,
    );
    return 0;
  }
  const verdicts = await checkAll({
    quick: options.quick ?? false,
    stopAtFirst: !options.keepGoing,
    ...only,
    ...(options.workers !== undefined && { workers: Number(options.workers) }),
    onVerdict: ({ scenario, states, ms, violation }) => {
      const verdict = violation ? "VIOLATION" : "holds";
      console.error(
        `${scenario}: ${number.format(states)} states in ${(ms / 1000).toFixed(1)} s, ${verdict}`,
      );
    },
    onProgress: (scenario, states, depth) => {
      if (states % 262_144 === 0)
        console.error(`${scenario}: ${number.format(states)} states, depth ${depth} ...`);
    },
  });
  if (options.json) console.log(JSON.stringify(verdicts, undefined, 2));
  else {
    show(verdicts);
    for (const verdict of verdicts) showViolation(verdict);
  }
  return verdicts.some((one) => one.violation) ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof RangeError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
