/** Writes docs/rules.md: for each rule the code that keeps it, the tests that show it, and the mutants that break it (docs/decisions/0050-rules-at-home.md). */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { MUTANTS } from "../proof/mutants/table.ts";
import { type Citation, citable, citationsIn, ROOT, type Rule, readSources } from "./citations.ts";

/** Rules that nothing here can keep or show, and why. Whoever adds one says who keeps it instead. */
export const KEPT_ELSEWHERE: Readonly<Record<string, string>> = {};

/** A rule, and where it is cited. Paths are from the root of the repository. */
export interface Kept {
  readonly rule: Rule;
  readonly code: readonly string[];
  readonly tests: readonly string[];
  /** Checker, simulation, fuzzer and what tests share. */
  readonly watchers: readonly string[];
  readonly mutants: readonly string[];
}

/** Stores and sinks are tested by contracts that several test files run. */
const TEST = /\.test\.ts$|contract\.ts$|_test\.go$|^infra-tests\//;
const WATCHER = /(^|\/)(checker|simulation|fuzz|conformance|testing|bench|proof)\//;
const MUTANT = /(^|\/)mutants\//;

function keptBy(rule: Rule, citations: readonly Citation[]): Kept {
  const paths = citations
    .filter((one) => one.what === rule.id && !one.path.endsWith(".md") && !one.path.startsWith("release/"))
    .map((one) => one.path);
  const tests = paths.filter((path) => TEST.test(path));
  const watchers = paths.filter((path) => !TEST.test(path) && WATCHER.test(path) && !MUTANT.test(path));
  const code = paths.filter((path) => !TEST.test(path) && !WATCHER.test(path) && !MUTANT.test(path));
  const mutants = MUTANTS.filter((mutant) => namesRule(mutant.rule, rule.id)).map((mutant) => mutant.id);
  return { rule, code, tests, watchers, mutants: mutants.sort() };
}

function namesRule(text: string, id: string): boolean {
  const known = {
    rules: [],
    of: { protocol: new Set([id]), invariants: new Set([id]), ticdc: new Set<string>() },
  };
  const none = { ...known, decisions: new Set<string>(), pages: new Set<string>() };
  return citationsIn({ path: "mutant.ts", text }, none).some((one) => one.what === id);
}

/** All rules, in the order of their pages, and every citation. */
export function rulesAndCitations(): {
  readonly kept: readonly Kept[];
  readonly citations: readonly Citation[];
} {
  const sources = readSources();
  const known = citable(sources);
  const citations = sources.flatMap((source) => citationsIn(source, known));
  return { kept: known.rules.map((rule) => keptBy(rule, citations)), citations };
}

const WIDTH = 118;

function list(name: string, entries: readonly string[]): string[] {
  if (entries.length === 0) return [];
  const lines: string[] = [];
  let line = `- ${name}:`;
  for (const [at, entry] of entries.entries()) {
    const word = ` \`${entry}\`${at + 1 < entries.length ? "," : ""}`;
    if (line.length + word.length > WIDTH) {
      lines.push(line);
      line = ` ${word}`;
    } else line += word;
  }
  return [...lines, line];
}

/** The text of docs/rules.md. It names files and no lines, so that it changes when what keeps a rule does. */
export function rulesPage(kept: readonly Kept[]): string {
  const head = [
    "# Rules, and what keeps them",
    "",
    "Written by `npm run rules`; do not change it by hand. A test compares it with the sources.",
    "",
    "Each rule of [the protocol](protocol.md) and each [invariant](invariants.md), with:",
    "",
    "- **code**: the files that cite the rule, because they keep it;",
    "- **tests**: the tests that cite it, because they show it;",
    "- **watchers**: checker, simulation, fuzzer and what tests share ([proof.md](proof.md));",
    "- **mutants**: deliberate faults that take the rule out (`npm run mutants -- --only ID`), each of which something notices.",
    "",
  ];
  const body = kept.flatMap(({ rule, code, tests, watchers, mutants }) => [
    `## ${rule.id}`,
    "",
    `[${rule.title}](${rule.link})`,
    "",
    ...list("code", code),
    ...list("tests", tests),
    ...list("watchers", watchers),
    ...list("mutants", mutants),
    ...(KEPT_ELSEWHERE[rule.id] ? [`- kept elsewhere: ${KEPT_ELSEWHERE[rule.id]}`] : []),
    "",
  ]);
  return `${[...head, ...body].join("\n").trimEnd()}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { kept } = rulesAndCitations();
  writeFileSync(`${ROOT}docs/rules.md`, rulesPage(kept));
  console.log(`docs/rules.md: ${kept.length} rules`);
}
