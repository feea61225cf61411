/** docs/proof.md says how much is searched, and what goes wrong in the simulation. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { SCENARIOS } from "../proof/checker/scenarios.ts";
import { FAULTY } from "../proof/fuzz/faulty.ts";
import { FAULT_KINDS } from "../proof/simulation/options.ts";

const TEXT = readFileSync(new URL("../docs/proof.md", import.meta.url), "utf8").replaceAll(/\s+/g, " ");

it("has the numbers of scenarios", () => {
  const quick = SCENARIOS.filter((one) => one.quick !== "skip").length;
  expect(TEXT).toContain(`There are ${SCENARIOS.length} scenarios, and ${quick} of them have quick bounds.`);
});

it("names every kind of fault, and no other", () => {
  const table = TEXT.slice(TEXT.indexOf("| `--faults` | what |"), TEXT.indexOf("Order in queues is random"));
  const named = [...table.matchAll(/\| (`[a-z`, ]+`) \|/g)].flatMap(([, cell]) => cell!.split(", "));
  expect(named.sort()).toEqual(FAULT_KINDS.map((kind) => `\`${kind}\``).sort());
});

it("has the number of kinds of faulty messages", () => {
  expect(TEXT).toContain(`messages of ${FAULTY.length} kinds`);
});
