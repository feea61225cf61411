import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { copyWith, ROOT } from "./apply.ts";
import type { Mutant } from "./mutant.ts";
import type { Kill } from "./seek.ts";

/** What became of a mutant. */
export interface Hunted {
  readonly mutant: Mutant;
  /** What noticed it; undefined: it survives. */
  readonly kill: Kill | undefined;
  /** The hunt was ended without an answer. That is no kill: nobody has said what is wrong. */
  readonly ranOut: boolean;
  readonly ms: number;
}

/** A hunt without an answer is ended. */
const TIME = 600_000;
/** A unit test may take so long in a hunt: many run beside each other. */
const TEST_TIME = 120_000;

/**
 * Looks for a mutant in a process of its own.
 * @param seeds how many seeds are simulated before it is said to survive; with more than 40 the checker's quick run is among them
 */
export async function hunt(mutant: Mutant, seeds: number): Promise<Hunted> {
  const began = performance.now();
  if (mutant.tests) await checkSound(mutant, mutant.tests);
  const folder = copyWith(mutant);
  try {
    const noticed = mutant.tests && testsIn(await outputOf(folder, testArgs(folder, mutant.tests)));
    const said = noticed ?? (await outputOf(folder, [join(folder, "proof/mutants/seek.ts"), String(seeds)]));
    const kill = typeof said === "string" ? seekingIn(folder, said) : said;
    return { mutant, kill: kill || undefined, ranOut: kill === false, ms: performance.now() - began };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a process says; "" if it takes too long. @throws if it cannot be started */
function outputOf(folder: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    let ranOut = false;
    const timer = setTimeout(() => {
      ranOut = true;
      child.kill("SIGKILL");
    }, TIME);
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      if (ranOut) resolve("");
      else if (out.trim() !== "") resolve(out);
      else reject(new Error(`the search in ${folder} said nothing: ${err.slice(-2_000)}`));
    });
  });
}

/** @returns false if the search took too long */
function seekingIn(folder: string, out: string): Kill | undefined | false {
  if (out === "") return false;
  try {
    return (JSON.parse(out.trim().split("\n").at(-1)!) as Kill | null) ?? undefined;
  } catch {
    throw new Error(`the search in ${folder} ended with: ${out.slice(-2_000)}`);
  }
}

/** What is to be noticed must be the mutant: in a copy without one the same tests find nothing. */
const sound = new Map<string, Promise<void>>();

function checkSound(mutant: Mutant, tests: readonly string[]): Promise<void> {
  const name = tests.join();
  const known = sound.get(name) ?? run();
  sound.set(name, known);
  return known;

  async function run() {
    const folder = copyWith({ ...mutant, to: mutant.from });
    try {
      const found = testsIn(await outputOf(folder, testArgs(folder, tests)));
      if (found) throw new Error(`without any mutant "${found.what}" fails in a copy of the sources`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

function testArgs(folder: string, tests: readonly string[]): string[] {
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const how = ["--root", folder, "--reporter=json", "--bail=1", `--testTimeout=${TEST_TIME}`];
  return [vitest, "run", ...tests, ...how];
}

/** The test that noticed a mutant; one that only took too long has noticed nothing. @throws if no test ran */
function testsIn(out: string): Kill | undefined {
  if (out === "") return undefined;
  const report = JSON.parse(out.slice(out.indexOf("{"))) as {
    numTotalTests: number;
    testResults: { assertionResults: { status: string; fullName: string; failureMessages: string[] }[] }[];
  };
  if (report.numTotalTests === 0) throw new Error(`no test ran: ${out.slice(0, 2_000)}`);
  const all = report.testResults.flatMap((file) => file.assertionResults);
  const failed = all.find(
    ({ status, failureMessages }) =>
      status === "failed" && !failureMessages.every((message) => message.includes("timed out")),
  );
  return failed && { by: "tests", what: failed.fullName, after: `${all.length} tests` };
}

/** Hunts mutants, so many at a time. */
export async function huntAll(
  mutants: readonly Mutant[],
  jobs: number,
  seeds: number,
  onHunted: (hunted: Hunted) => void = () => undefined,
): Promise<Hunted[]> {
  const queue = mutants.entries();
  const all: Hunted[] = [];
  const hunter = async () => {
    for (const [index, mutant] of queue) {
      all[index] = await hunt(mutant, seeds);
      onHunted(all[index]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, mutants.length) }, hunter));
  return all;
}
