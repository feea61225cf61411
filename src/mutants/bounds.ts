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
];
