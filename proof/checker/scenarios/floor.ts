import type { Scenario } from "../scenario.ts";
import { COLD, SYNC100, SYNC110, some, T, T10, W } from "./cast.ts";

/** The floor rises while barriers are open, opened and met again (protocol.md M19). Tombstones below the former one are gone at once. */
export const FLOOR: readonly Scenario[] = [
  {
    name: "floor-restart",
    about: "the floor rises twice, and a node starts again below it, where tombstones are gone",
    cast: [T, W],
    tables: [T10],
    events: [SYNC100, SYNC110],
    changes: [{ does: "restart", node: "n2", from: "start" }],
    environments: ["cold"],
    faults: some({ changes: 1, sweeps: 2 }),
    quick: "skip",
    least: 0,
  },
  {
    name: "floor-beside",
    about: "the floor rises while others open and close barriers",
    cast: [T, W],
    tables: [T10],
    events: [SYNC100, SYNC110],
    changes: [{ does: "restart", node: "n2", from: "start" }],
    environments: COLD,
    faults: some({ changes: 1, sweeps: 1, overlaps: 1 }),
    quick: { changes: 0 },
    least: 500,
  },
];
