/** Rules, what cites them, and docs/rules.md, which is written from both (docs/decisions/0050-rules-at-home.md). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { citable, citationsIn, ROOT } from "../release/citations.ts";
import { KEPT_ELSEWHERE, rulesAndCitations, rulesPage } from "../release/rules.ts";

const { kept, citations } = rulesAndCitations();
const ids = kept.map(({ rule }) => rule.id);

describe("docs/rules.md", () => {
  it("is as npm run rules writes it", () => {
    const page = readFileSync(`${ROOT}docs/rules.md`, "utf8");
    expect(page === rulesPage(kept), "run npm run rules, and commit docs/rules.md").toBe(true);
  });

  it("has every rule once, and those that everything else stands on", () => {
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ["R1", "R10", "D1", "D14", "M1", "M23", "I1", "I10", "S5", "Q5"])
      expect(ids).toContain(id);
  });
});

describe("a citation", () => {
  it("names what exists: a rule, a section, a decision, a page", () => {
    const wrong = citations
      .filter((one) => !one.exists)
      .map(
        ({ path, what }) =>
          `${path} cites ${what}, which is nowhere: name a rule or section of docs/protocol.md, docs/invariants.md or docs/ticdc.md, a decision, or a page`,
      );
    expect(wrong).toEqual([]);
  });

  it("is found where it stands, and what is no citation is not", () => {
    const sources = [
      {
        path: "docs/protocol.md",
        text: '# 1. Messages\n### 1.1 Encoding\n### <a id="r1"></a>R1: Opening\n### <a id="m17a"></a>M17a: Late\n',
      },
      { path: "docs/ticdc.md", text: '<a id="tm59"></a>**TM59.** Where\n| <a id="t-a5"></a>T-A5 | x |\n' },
      { path: "docs/decisions/0004-rename.md", text: "" },
    ];
    const known = citable(sources);
    const cited = (text: string, path = "src/a.ts") =>
      citationsIn({ path, text }, known).map((one) => `${one.what}${one.exists ? "" : "?"}`);
    expect(cited("/** So (protocol.md R1,\n * M17a to M19). See M2. */")).toEqual([
      "R1",
      "M17a",
      "M18?",
      "M19?",
      "M2?",
    ]);
    expect(cited("// ticdc.md TM59, T-A5; protocol.md 1.1; decision 4, decisions/0005")).toEqual([
      "TM59",
      "T-A5",
      "1.1",
      "decision 0004",
      "decision 0005?",
    ]);
    expect(cited("// docs/protocol.md and design.md")).toEqual(["design.md?"]);
    expect(cited('const R2 = "M3"; it("R1: opens", () => {});')).toEqual(["R1"]);
    expect(cited("By R2 and `R3`, [a](b.md#r4).\n", "docs/x.md")).toEqual(["R2?", "b.md?"]);
  });
});

describe("a rule", () => {
  const lacking = (what: "code" | "tests") =>
    kept
      .filter((one) => one[what].length === 0 && !(one.rule.id in KEPT_ELSEWHERE))
      .map((one) => one.rule.id);

  it("is cited by the code that keeps it", () => {
    expect(
      lacking("code"),
      "cite the rule in the comment of the code that keeps it (protocol.md R1), or say in KEPT_ELSEWHERE of release/rules.ts who keeps it",
    ).toEqual([]);
  });

  it("is cited by a test that shows it", () => {
    expect(
      lacking("tests"),
      "write a test that fails without the rule, and cite it there (protocol.md R1), or say in KEPT_ELSEWHERE of release/rules.ts why there can be none",
    ).toEqual([]);
  });

  it("is said to be kept elsewhere only if it exists and is not kept here", () => {
    const needless = Object.keys(KEPT_ELSEWHERE).filter((id) => {
      const one = kept.find(({ rule }) => rule.id === id);
      return one === undefined || (one.code.length > 0 && one.tests.length > 0);
    });
    expect(needless).toEqual([]);
  });
});
