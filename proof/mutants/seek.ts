/** Runs in a copy of the sources: looks for what is wrong with it, and prints what it found first as one line of JSON. */
import { checkAll } from "../checker/index.ts";
import { optionsFor } from "../simulation/options.ts";
import { simulate } from "../simulation/simulate.ts";

/** What noticed a mutant. */
export interface Kill {
  readonly by: "simulation" | "checker" | "tests";
  readonly what: string;
  /** `12 seeds`, `5,858 states`. */
  readonly after: string;
}

const seeds = Number(process.argv[2]);
/** Most faults show in the first seeds; what needs a race that is narrower is left to the checker before the others. */
const FIRST = 40;

let stage: "simulation" | "checker" = "simulation";

async function seekInSeeds(from: number, to: number): Promise<Kill | undefined> {
  stage = "simulation";
  for (let seed = from; seed <= to; seed++) {
    const { violation } = await simulate(optionsFor(seed));
    if (violation) return { by: stage, what: `${violation.rule}: ${violation.what}`, after: `${seed} seeds` };
  }
  return undefined;
}

async function seekInStates(): Promise<Kill | undefined> {
  stage = "checker";
  const verdicts = await checkAll({ quick: true, stopAtFirst: true, workers: 0, smallestFirst: true });
  const found = verdicts.find((verdict) => verdict.violation);
  if (found?.violation === undefined) return undefined;
  const states = verdicts.reduce((sum, verdict) => sum + verdict.states, 0);
  return {
    by: stage,
    what: `${found.scenario}: ${found.violation.faults[0]}`,
    after: `${states.toLocaleString("en")} states`,
  };
}

// What throws outside of any run is noticed too.
process.on("uncaughtException", (error) => {
  console.log(JSON.stringify({ by: stage, what: `it threw: ${error.message}`, after: "" }));
  process.exit(0);
});
const kill =
  (await seekInSeeds(1, Math.min(FIRST, seeds))) ??
  (seeds > FIRST ? ((await seekInStates()) ?? (await seekInSeeds(FIRST + 1, seeds))) : undefined);
console.log(JSON.stringify(kill ?? null));
