import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mutant } from "./mutant.ts";

export const ROOT = new URL("../..", import.meta.url).pathname;

/**
 * A source text with a mutant in it.
 * @throws if what the mutant changes is not there exactly once: the source has moved on, and the table must follow
 */
export function mutate(mutant: Mutant, source: string): string {
  const found = source.split(mutant.from).length - 1;
  if (found !== 1)
    throw new Error(
      `mutant ${mutant.id}: its text occurs ${found} times in ${mutant.file}, not once: put the present text into proof/mutants/table.ts`,
    );
  return source.replace(mutant.from, () => mutant.to);
}

/** @throws as `mutate` */
export function mutatedSource(mutant: Mutant): string {
  return mutate(mutant, readFileSync(join(ROOT, mutant.file), "utf8"));
}

/** A copy of the sources with a mutant in it, in a folder of its own. @returns the folder, which the caller removes */
export function copyWith(mutant: Mutant): string {
  const changed = mutatedSource(mutant);
  const folder = mkdtempSync(join(tmpdir(), `weir-mutant-${mutant.id}-`));
  for (const name of ["src", "proof"])
    cpSync(join(ROOT, name), join(folder, name), {
      recursive: true,
      filter: (path) => mutant.tests !== undefined || !path.endsWith(".test.ts"),
    });
  cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
  for (const name of ["node_modules", "docs", "cdk", "functions", "examples"])
    symlinkSync(join(ROOT, name), join(folder, name));
  // Otherwise a configuration of tests that lies above the folder counts.
  writeFileSync(join(folder, "vitest.config.mjs"), "export default {};\n");
  writeFileSync(join(folder, mutant.file), changed);
  return folder;
}
