import type { Mutant } from "./mutant.ts";

/** Faults in what everybody is taken to have behind them (protocol.md M19). */
export const FLOOR: readonly Mutant[] = [
  {
    id: "floor-over-open",
    rule: "the floor does not rise over a barrier that is opened meanwhile (invariants.md I9)",
    file: "src/maintainer/upkeep/floor.ts",
    from: "    sameOpen: [...root.steps.keys()],\n",
    to: "",
  },
  {
    id: "opened-below-floor",
    rule: "what everybody has behind them is not opened again (invariants.md I9)",
    file: "src/maintainer/steps/open.ts",
    from: "        aboveFloor: key,\n",
    to: "",
  },
  {
    id: "floor-is-closed-up-to",
    rule: "the floor is no higher than the slowest dispatcher (protocol.md M19)",
    file: "src/maintainer/upkeep/floor.ts",
    from: "const key = reached < highest ? reached : highest;",
    to: "const key = highest;",
  },
  {
    id: "floor-over-gaps",
    rule: "whose dispatchers are missing may have anything before them (protocol.md M19)",
    file: "src/barrier/floor.ts",
    from: " || roster.untiled().size > 0) return undefined;",
    to: ") return undefined;",
  },
  {
    id: "closing-speaks-for-all",
    rule: "a closed barrier says nothing of lives that came after its closing (protocol.md M19)",
    file: "src/barrier/floor.ts",
    from: "touches(event, life) && spokenFor(life, [closedOn], event) && counts(event),",
    to: "touches(event, life) && closedOn > 0 && counts(event),",
  },
  {
    id: "tombstones-expire-at-once",
    rule: "a tombstone stays until the floor has passed it (invariants.md I9)",
    file: "src/maintainer/upkeep/floor.ts",
    from: "const range = { above: root.expiredUpTo, upTo: root.floor, oldestFirst: true as const };",
    to: 'const range = { above: root.expiredUpTo, upTo: "~", oldestFirst: true as const };',
  },
];
