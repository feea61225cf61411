import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { copyWith } from "./apply.ts";
import type { Mutant } from "./mutant.ts";
import type { Kill } from "./seek.ts";

/** What became of a mutant. */
export interface Hunted {
  readonly mutant: Mutant;
  /** What noticed it; undefined: it survives. */
  readonly kill: Kill | undefined;
  readonly ms: number;
}

/** After so long without an answer a mutant counts as one that never ends, which is noticed as well. */
const TIME = 600_000;

/**
 * Looks for a mutant in a process of its own.
 * @param seeds how many seeds are simulated before it is said to survive; with more than 40 the checker's quick run is among them
 */
export async function hunt(mutant: Mutant, seeds: number): Promise<Hunted> {
  const began = performance.now();
  const folder = copyWith(mutant);
  try {
    const kill = await seekIn(folder, seeds);
    return { mutant, kill, ms: performance.now() - began };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function seekIn(folder: string, seeds: number): Promise<Kill | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(folder, "src/mutants/seek.ts"), String(seeds)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve({ by: "simulation", what: `it does not end in ${TIME / 1_000} s`, after: "" });
    }, TIME);
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      const last = out.trim().split("\n").at(-1) ?? "";
      try {
        resolve((JSON.parse(last) as Kill | null) ?? undefined);
      } catch {
        reject(new Error(`the search in ${folder} said nothing: ${err.slice(-2_000)}`));
      }
    });
  });
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
