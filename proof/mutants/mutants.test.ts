/** The table of mutants keeps up with the sources, and a few of them are hunted; `npm run mutants` hunts them all. */
import { describe, expect, it } from "vitest";
import { mutate, mutatedSource } from "./apply.ts";
import { huntAll } from "./hunt.ts";
import { MUTANTS } from "./table.ts";

const SMOKE = ["any-chunk-covers", "close-without-passes", "failed-message-goes", "deleted-before-done"];

describe("mutants", () => {
  it("are many, each with an id of its own", () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(35);
    expect(new Set(MUTANTS.map((mutant) => mutant.id)).size).toBe(MUTANTS.length);
  });

  it.each(MUTANTS.map((mutant) => [mutant.id, mutant] as const))(
    "%s changes a text that is there once",
    (_, mutant) => {
      expect(mutatedSource(mutant)).toContain(mutant.to);
    },
  );

  it("says which one has lost its text", () => {
    const [mutant] = MUTANTS;
    expect(() => mutate(mutant!, "something else")).toThrow(
      `mutant ${mutant!.id}: its text occurs 0 times in ${mutant!.file}, not once`,
    );
    expect(() => mutate(mutant!, `${mutant!.from}${mutant!.from}`)).toThrow("2 times");
  });

  it("are noticed, and what is no fault is not", { timeout: 900_000 }, async () => {
    const comment = {
      id: "comment",
      rule: "",
      file: "src/maintainer/steps/judge.ts",
      from: "/** Phase waiting.",
      to: "/** In phase waiting.",
    };
    const chosen = MUTANTS.filter((mutant) => SMOKE.includes(mutant.id));
    const hunted = await huntAll([...chosen, comment], 2, 36);
    expect(hunted.map(({ mutant, kill }) => [mutant.id, kill !== undefined])).toEqual([
      ...chosen.map((mutant) => [mutant.id, true]),
      ["comment", false],
    ]);
  });
});
