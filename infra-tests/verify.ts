/**
 * What is worth a minute before a commit: types, style, and the tests of what has changed since this branch left main. What
 * takes longer is named and left to `npm test`; all of it runs in `.ci/run`. `npm run verify`
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PROJECTS = ["--project", "short", "--project", "short-stack"];
/** Whole systems, which almost every change touches: they run here only if they have changed themselves. */
const WHOLE = [
  "proof/checker/checker.test.ts",
  "proof/simulation/simulation.test.ts",
  "proof/mutants/mutants.test.ts",
  "proof/bench/counts.test.ts",
  "proof/fuzz/fuzz.test.ts",
  "src/maintainer/crash.test.ts",
  "src/cli/",
  "src/local/",
  "functions/functions.test.ts",
];

run("npm", ["run", "--silent", "types"]);
run("npm", ["run", "--silent", "lint"]);

const base = mergeBase();
if (base === undefined) {
  console.log("verify: there is no main or origin/main to compare with, so all of npm test runs");
  run("npm", ["test"]);
} else verifySince(base);

function verifySince(base: string): void {
  const changed = changedSince(base);
  const tests = testFiles();
  // What is no source is in nobody's imports: tests that name such a file are those that read it.
  const named = changed.filter((file) => !/\.[jt]s$/.test(file)).map((file) => basename(file));
  const reads = (test: string) => {
    const text = readFileSync(join(ROOT, test), "utf8");
    return named.some((name) => text.includes(name));
  };
  const chosen = new Set([...testFiles("--changed", base), ...tests.filter(reads)]);
  const isLeft = (test: string) => WHOLE.some((one) => test.startsWith(one)) && !changed.includes(test);
  const left = [...chosen].filter(isLeft).sort();
  const now = [...chosen].filter((test) => !isLeft(test)).sort();
  console.log(
    `verify: ${changed.length} files have changed since ${base.slice(0, 9)}: ${now.length} of ${tests.length} test files run`,
  );
  if (now.length > 0) runVitest("run", ...PROJECTS, "--reporter=dot", ...now);
  if (left.length > 0) console.log(`verify: left to npm test, which takes minutes: ${left.join(", ")}`);
}

/** Where this branch left main; undefined: there is none. */
function mergeBase(): string | undefined {
  for (const main of ["main", "origin/main"]) {
    const { status, stdout } = spawnSync("git", ["merge-base", main, "HEAD"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    if (status === 0) return stdout.trim();
  }
  return undefined;
}

/** Files that differ from a commit, committed or not, and those that are not in the repository yet. */
function changedSince(base: string): string[] {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).split("\0");
  const all = [
    ...git("diff", "--name-only", "--diff-filter=d", "-z", base),
    ...git("ls-files", "--others", "--exclude-standard", "-z"),
  ];
  return [...new Set(all)].filter((name) => name !== "");
}

/** Test files, from the root of the repository. @param args of vitest that choose some */
function testFiles(...args: string[]): string[] {
  const vitest = [join(ROOT, "node_modules/vitest/vitest.mjs"), "list", ...PROJECTS];
  const out = execFileSync(process.execPath, [...vitest, "--filesOnly", "--json", ...args], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const found = JSON.parse(out.slice(out.indexOf("["))) as { file: string }[];
  return found.map(({ file }) => relative(ROOT, file).replaceAll("\\", "/"));
}

function runVitest(...args: string[]): void {
  run(process.execPath, [join(ROOT, "node_modules/vitest/vitest.mjs"), ...args]);
}

/** Ends with the exit code of a command that fails: it has said why. */
function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
