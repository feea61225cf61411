import type { Mutant } from "./mutant.ts";

/** Faults in how a barrier is opened, and in what is written before the root is known (decisions/0024). */
export const OPENING: readonly Mutant[] = [
  {
    id: "sleeper-opens",
    rule: "what was closed is not opened again by who slept (invariants.md I9)",
    file: "src/maintainer/steps/open.ts",
    from: "const fence = above ? { aboveClosed: key } : nothingClosedSince;",
    to: "const fence = {};",
  },
  {
    id: "sleeper-opens-above",
    rule: "a key that is said to be above all that were closed is so when it is opened (invariants.md I9)",
    file: "src/maintainer/steps/open.ts",
    from: "const fence = above ? { aboveClosed: key } : nothingClosedSince;",
    to: "const fence = above ? {} : nothingClosedSince;",
  },
  {
    id: "sleeper-opens-below",
    rule: "below a key that was closed, nothing was closed since the root was read (invariants.md I9)",
    file: "src/maintainer/steps/open.ts",
    from: "const fence = above ? { aboveClosed: key } : nothingClosedSince;",
    to: "const fence = above ? { aboveClosed: key } : {};",
  },
  {
    id: "told-ahead-is-fresh",
    rule: "what was written before the root was read is no proof that the barrier is not closed (invariants.md I9)",
    file: "src/maintainer/steps/open.ts",
    from: "(above || ahead.closedCount === root.closedCount)",
    to: "ahead !== null",
  },
  {
    id: "closed-up-to-unsaid",
    rule: "the root tells the highest key that was closed (invariants.md I9)",
    file: "src/maintainer/session/commit.ts",
    from: "...(isHighest && { closedUpTo: key })",
    to: "",
  },
  {
    id: "closed-item-is-open",
    rule: "no write brings a closed barrier back (invariants.md I9)",
    file: "src/maintainer/steps/open.ts",
    from: "if (item.tombstone !== undefined) return { closed: true };",
    to: "",
  },
  {
    id: "opening-grants-again",
    rule: "Write is granted once, by whoever opens the barrier or finds it open (invariants.md I2)",
    file: "src/maintainer/steps/judge.ts",
    from: "return { ...given, conditions: { ...given.conditions, notGrantedYet: key } };",
    to: "return given;",
  },
  {
    id: "opening-grants-uncovered",
    rule: "Write is granted when everybody waits, with the opening too (invariants.md I1)",
    file: "src/maintainer/steps/judge.ts",
    from: 'if (coverage.verdict !== "covered") return undefined;',
    to: 'if (coverage.verdict === "past") return undefined;\n  if (coverage.verdict === "missing") Object.assign(coverage, { lives: 0 });',
  },
  {
    id: "opening-grants-before-earlier-change",
    rule: "nothing is judged while an earlier event still has to change the roster, with the opening too (protocol.md M9)",
    file: "src/maintainer/steps/judge.ts",
    from: "if ([...session.root!.steps.keys()].some((other) => other < key)) return undefined;",
    to: "",
  },
  {
    id: "waits-before-its-routes",
    rule: "whoever sees that the table trigger waits sees its routes (protocol.md M23)",
    file: "src/maintainer/reports/speculate.ts",
    from: "else if (routes.length === 0) {",
    to: "else {",
  },
  {
    id: "stamp-of-ahead-unread",
    rule: "a report that meets a newer stamp is judged on that roster (invariants.md S5)",
    file: "src/maintainer/reports/speculate.ts",
    from: "if (session.root !== undefined && stamp > session.root.rosterVersion) yield* session.refresh();",
    to: "",
  },
];
