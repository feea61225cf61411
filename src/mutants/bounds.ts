import type { Mutant } from "./mutant.ts";

/** Faults in what happens before an item is full (docs/bounds.md; protocol.md M20). */
export const BOUNDS: readonly Mutant[] = [
  {
    id: "full-root-shuts-out-the-lowest",
    rule: "the lower a key is, the more room there is for it (protocol.md M20; invariants.md I6)",
    file: "src/maintainer/bounds.ts",
    from: "if (other > key) above++;",
    to: "if (other < key) above++;",
  },
  {
    id: "each-error-is-a-change",
    rule: "what a node says is wrong changes the roster once a minute at most (decision 0046)",
    file: "src/barrier/membership.ts",
    from: "at - node.failureAt < FAILURE_EVERY",
    to: "at < node.failureAt",
    tests: ["src/maintainer/failure.test.ts"],
  },
];
