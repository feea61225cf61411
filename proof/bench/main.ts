/** `npm run bench`: what Weir costs and how long it takes. `--write` puts the results into docs/performance.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { type Line, picture } from "./picture.ts";
import type { SectionResult } from "./section.ts";
import { SECTIONS, type SectionName } from "./sections.ts";
import { asMarkdown, asText } from "./tables.ts";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const SIZES = [100, 1_000, 10_000, 100_000];
const NAMES = Object.keys(SECTIONS) as SectionName[];
/** A quarter of an hour at the largest size, and what is measured on a quiet machine only: run where they are named. */
const USUAL = NAMES.filter((name) => name !== "single" && name !== "onenode");

const { json, write, only, dispatchers } = new Command("bench")
  .description("Counts what a barrier costs, and measures how long the maintainer works for it.")
  .option("--json", "as JSON")
  .option("--write", "write docs/performance.md and docs/performance.svg")
  .option(
    "--only <names>",
    `some parts, separated by commas: ${NAMES.join(", ")}; single and onenode take minutes and are run if named`,
    names,
    USUAL,
  )
  .option("--dispatchers <numbers>", "numbers of dispatchers, separated by commas", numbers, SIZES)
  .parse()
  .opts<{ json?: boolean; write?: boolean; only: SectionName[]; dispatchers: number[] }>();

const results = new Map<SectionName, SectionResult>();
for (const name of only) {
  if (!json) console.error(`${name} ...`);
  const result = await SECTIONS[name](dispatchers);
  results.set(name, result);
  if (!json) for (const table of result.tables) console.log(`\n${asText(table)}\n`);
}
if (json) console.log(JSON.stringify({ machine: machine(), results: plain() }, bigintsAsText, 2));
if (write) document();

function machine() {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
  };
}

function plain() {
  return Object.fromEntries([...results].map(([name, { data }]) => [name, data]));
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** Replaces what stands between the markers of each part that was run; the rest of the page is written by hand. */
function document(): void {
  const file = `${DOCS}performance.md`;
  let page = readFileSync(file, "utf8");
  const { cores, cpu, memoryGb, node } = machine();
  const put = (name: string, text: string) => {
    const pattern = new RegExp(`(<!-- ${name} -->)[\\s\\S]*?(<!-- /${name} -->)`);
    if (!pattern.test(page)) throw new Error(`docs/performance.md has no place for ${name}`);
    page = page.replace(pattern, (_, begin, end) => `${begin}\n${text}\n${end}`);
  };
  put(
    "machine",
    `${cores} cores of ${cpu}, ${memoryGb} GB, Node ${node}. Command: \`npm run bench -- --write\`.`,
  );
  for (const [name, { tables }] of results) put(name, tables.map(asMarkdown).join("\n\n"));
  const lines: Line[] = [...results.values()].flatMap((result) => result.lines ?? []);
  if (lines.length > 0)
    writeFileSync(
      `${DOCS}performance.svg`,
      picture("DynamoDB units of one barrier, influence All", "write and read units", lines),
    );
  writeFileSync(file, page);
}

function names(text: string): SectionName[] {
  return text.split(",").map((name) => {
    if (!(NAMES as string[]).includes(name)) fail(`--only ${name}: use some of ${NAMES.join(", ")}`);
    return name as SectionName;
  });
}

function numbers(text: string): number[] {
  return text.split(",").map((one) => {
    const value = Number(one);
    if (!/^\d+$/.test(one) || value < 10 || value > 200_000)
      fail(`--dispatchers ${one}: use whole numbers from 10 to 200000`);
    return value;
  });
}

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}
