/** docs/deploy.md says what there is: every option and output, and the numbers of the template. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CONTEXT_OPTIONS } from "../cdk/context.ts";
import { METRICS } from "../src/maintainer/base/metrics.ts";
import { ALARMS } from "./checks/watch.ts";
import { resource, synthesize } from "./template.ts";

const read = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), "utf8");
const DEPLOY = read("deploy.md");

/** Names in the first cell of each row of the table that has this head. */
function named(text: string, head: string): string[] {
  const table = text.slice(text.indexOf(head)).split("\n\n")[0]!;
  return table
    .split("\n")
    .slice(2)
    .flatMap((row) => [...row.split("|")[1]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
}

describe("docs/deploy.md", () => {
  const all = synthesize({});

  it("lists every option, and no other", () => {
    expect(named(DEPLOY, "| option | property |").sort()).toEqual([...CONTEXT_OPTIONS].sort());
  });

  it("lists every output, and no other", () => {
    expect(named(DEPLOY, "| output |").sort()).toEqual(Object.keys(all.outputs).sort());
  });

  it("has the defaults right", () => {
    expect(DEPLOY).toContain(
      `| \`memorySize\` | \`memorySize\` | ${resource(all, "Sweeper").Properties["MemorySize"]} |`,
    );
    const { MaximumConcurrency } = resource(all, "Reports").Properties["ScalingConfig"] as Record<
      string,
      number
    >;
    expect(DEPLOY).toContain(`| \`maximumConcurrency\` | \`maximumConcurrency\` | ${MaximumConcurrency} |`);
    expect(DEPLOY).toContain(
      `| ${resource(all, "SweeperLogs").Properties["RetentionInDays"]} | a number of days`,
    );
    const threshold = (name: string) => (resource(all, name).Properties["Threshold"] as number) / 60_000;
    expect(DEPLOY).toContain(`| \`oldestBarrierAlarm\` | ${threshold("OldestBarrierAlarm")} minutes |`);
    expect(DEPLOY).toContain(`| \`longWriteAlarm\` | ${threshold("LongWriteAlarm") / 60} hour |`);
    expect(DEPLOY).toContain("eleven alarms");
    expect(Object.keys(ALARMS)).toHaveLength(11);
  });
});

describe("docs/operations.md", () => {
  it("lists every metric, and no other", () => {
    const rows = named(read("operations.md"), "| metric | unit |").filter((name) => name !== "phase");
    expect(rows.sort()).toEqual(Object.keys(METRICS).sort());
  });

  it("says of each alarm what it means, what to look at and what to do", () => {
    const paragraphs = read("operations.md").split("\n### ").slice(1);
    expect(paragraphs.map((one) => one.split("\n")[0]).sort()).toEqual(Object.keys(ALARMS).sort());
    for (const one of paragraphs) expect(one).toMatch(/\*\*Means\*\* .*\*\*Look at\*\*.*\*\*(Do|do)\*\* /s);
  });
});
