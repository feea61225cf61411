/** The exhaustive checker in quick bounds, and that it can find something (docs/proof.md). */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { RootConditions } from "../../src/maintainer/base/port.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import { explore } from "./explore.ts";
import { boundsOf, checkAll } from "./index.ts";
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

describe("a store that forgets a condition of the root", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    ["sameStep", "alter", /I[12]/],
    ["sameRoster", "restart", /I[1257]/],
  ] as const)("is found out: %s", async (clause, name, faults) => {
    const { commitRoot } = MemoryStore.prototype;
    vi.spyOn(MemoryStore.prototype, "commitRoot").mockImplementation(function (
      this: MemoryStore,
      space,
      conditions,
      changes,
    ) {
      const forgetful: RootConditions = Object.fromEntries(
        Object.entries(conditions).filter(([condition]) => condition !== clause),
      );
      return commitRoot.call(this, space, forgetful, changes);
    });
    const scenario = SCENARIOS.find((one) => one.name === name)!;
    const { violation, states } = await explore(scenario, boundsOf(scenario, true)!);
    expect(violation?.faults.join("; ")).toMatch(faults);
    expect(violation!.trace.length, "told in words").toBeGreaterThan(5);
    expect(states).toBeLessThan(20_000);
  });
});
