import type { Mutant } from "./mutant.ts";

/** Faults in what happens before an item is full (docs/bounds.md; protocol.md M20). */
export const BOUNDS: readonly Mutant[] = [
  {
    id: "full-root-shuts-out-the-lowest",
    rule: "the lower a key is, the more room there is for it (protocol.md M20; invariants.md I6)",
    file: "src/maintainer/base/bounds.ts",
    from: "if (other > key) above++;",
    to: "if (other < key) above++;",
  },
  {
    id: "root-opens-until-full",
    rule: "barriers are admitted as long as there is room for lower ones (protocol.md M20; decision 0030)",
    file: "src/maintainer/base/bounds.ts",
    from: "const share = root.steps.size === 0 ? lowest : highest + (lowest - highest) * (above / root.steps.size);",
    to: "const share = highest + lowest + above > 0 ? 1 : 0;",
    tests: ["src/maintainer/base/bounds.test.ts"],
  },
  {
    id: "nothing-set-aside-for-grants",
    rule: "room for the grants of all that are open is set aside (protocol.md M20; decision 0030)",
    file: "src/maintainer/base/bounds.ts",
    from: "return PROGRESS_BYTES + grant + conflict;",
    to: "return PROGRESS_BYTES + conflict + 0 * grant;",
    tests: ["src/maintainer/base/bounds.test.ts"],
  },
  {
    id: "each-error-is-a-change",
    rule: "what a node says is wrong changes the roster once a minute at most (decision 0046)",
    file: "src/barrier/membership.ts",
    from: "at - node.failureAt < FAILURE_EVERY",
    to: "at < node.failureAt",
    tests: ["src/maintainer/roster/failure.test.ts"],
  },
];
