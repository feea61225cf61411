/** A few scenarios of the exhaustive checker; `checker.long.test.ts` takes all of them (docs/proof.md). */
import { expect, it } from "vitest";
import { checkAll } from "./index.ts";

const SOME = ["alter", "create", "restart", "split"];

it("keeps I1 to I10 in every state of some scenarios", { timeout: 300_000 }, async () => {
  const verdicts = await checkAll({ quick: true, only: SOME });
  for (const { scenario, violation } of verdicts)
    expect(violation, [scenario, ...(violation?.trace ?? []), ...(violation?.faults ?? [])].join("\n")).toBe(
      undefined,
    );
  expect(verdicts.map((one) => one.scenario).sort()).toEqual([...SOME].sort());
});
