/** The exhaustive checker in quick bounds, and that it can find something (docs/proof.md). */
import { describe, expect, it } from "vitest";
import { checkAll } from "./index.ts";
import { SCENARIOS } from "./scenarios.ts";

const quick = SCENARIOS.filter((one) => one.quick !== "skip");

describe("every reachable state of every scenario", () => {
  it("keeps I1 to I10, and a fair course leads from it to the end", { timeout: 600_000 }, async () => {
    const verdicts = await checkAll({ quick: true });
    for (const { scenario, violation } of verdicts)
      expect(
        violation,
        [scenario, ...(violation?.trace ?? []), ...(violation?.faults ?? [])].join("\n"),
      ).toBe(undefined);
    expect(verdicts.map((one) => one.scenario)).toEqual(quick.map((one) => one.name));
    for (const { scenario, states, ends } of verdicts) {
      const { least } = SCENARIOS.find((one) => one.name === scenario)!;
      expect(states, `states of ${scenario}`).toBeGreaterThanOrEqual(least);
      expect(ends, `ends of ${scenario}`).toBeGreaterThan(0);
    }
  });
});
