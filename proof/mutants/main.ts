/** `npm run mutants`: applies each deliberate fault to a copy of the sources and sees that something notices. */
import { availableParallelism } from "node:os";
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { huntAll } from "./hunt.ts";
import { MUTANTS } from "./table.ts";

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError(`"${text}" is no whole number`);
  return Number(text);
}

const options = new Command("mutants")
  .description(
    "puts deliberate faults into the rules, and looks whether the simulation or the checker notices each",
  )
  .option("--only <ids>", "some of them, with commas")
  .option("--jobs <n>", "mutants at a time", whole, availableParallelism())
  .option("--seeds <n>", "seeds without a finding after which a mutant survives", whole, 300)
  .parse()
  .opts<{ only?: string; jobs: number; seeds: number }>();

const only = options.only?.split(",");
const unknown = only?.find((id) => !MUTANTS.some((mutant) => mutant.id === id));
if (unknown !== undefined) {
  console.error(`there is no mutant "${unknown}": use some of ${MUTANTS.map((one) => one.id).join(", ")}`);
  process.exit(2);
}
const chosen = MUTANTS.filter((mutant) => only?.includes(mutant.id) ?? true);
const began = performance.now();
const hunted = await huntAll(chosen, options.jobs, options.seeds, ({ mutant, kill, ranOut, ms }) => {
  console.error(
    `${kill ? "killed  " : ranOut ? "RAN OUT " : "SURVIVES"} ${mutant.id} in ${(ms / 1_000).toFixed(1)} s`,
  );
});
const table = new Table({
  head: ["mutant", "rule", "noticed by", "after"],
  colWidths: [26, 44, 62, 16],
  wordWrap: true,
  style: { head: [], border: [] },
});
for (const { mutant, kill, ranOut } of hunted)
  table.push([
    mutant.id,
    mutant.rule,
    kill ? `${kill.by}: ${kill.what}` : ranOut ? "NOBODY, in ten minutes" : "NOBODY",
    kill?.after ?? "",
  ]);
console.log(table.toString());
const survivors = hunted.filter((one) => one.kill === undefined);
console.log(
  `${hunted.length} mutants, ${survivors.length} survive, ${((performance.now() - began) / 1_000).toFixed(0)} s`,
);
process.exitCode = survivors.length > 0 ? 1 : 0;
