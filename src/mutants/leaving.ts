import type { Mutant } from "./mutant.ts";

/** Faults in what becomes of those who leave for good (decisions/0028, 0029). */
export const LEAVING: readonly Mutant[] = [
  {
    id: "gone-node-keeps-its-tables",
    rule: "a table goes to another node when the one that was asked cannot be told, or does not obey (decision 0028; design.md I6)",
    file: "src/maintainer/schedule.ts",
    from: "const due = unhosted(roster).filter((table) => isDue(session, roster, table));",
    to: "const due = unhosted(roster).filter((table) => table.scheduled === undefined);",
  },
];
