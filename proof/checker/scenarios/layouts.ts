import type { Scenario } from "../scenario.ts";
import { A, ALTER, ALTERED, B, C, COLD, SYNC100, some, T, T10, T20, TRIGGERED, W, WARM } from "./cast.ts";

const own = { ownQueue: true } as const;
const redo = { redo: true } as const;

/** Queues of single dispatchers, redo mode beside the default one, and nodes of before. */
export const LAYOUTS: readonly Scenario[] = [
  {
    name: "one-committs",
    about: "old nodes that compare the commitTs alone: a DDL and a syncpoint at one commitTs, in any order",
    cast: [T, W],
    tables: [T10],
    events: [TRIGGERED, SYNC100],
    oldNodes: ["n1", "n2"],
    environments: COLD,
    // Without the gate of the bridge a repeat may meet who has gone on (decision 39): nothing is repeated here.
    faults: some({ overlaps: 1 }),
    quick: {},
    least: 800,
  },
  {
    name: "slices",
    about: "each dispatcher has a queue of its own, and waves are handed over to other invocations",
    cast: [
      { ...T, ...own },
      { ...A, ...own },
      { ...B, ...own },
    ],
    tables: [T10],
    events: [ALTER],
    sendsAtOnce: 0,
    environments: WARM,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 5_000,
  },
  {
    name: "slices-syncpoint",
    about: "the same with a syncpoint for everybody",
    cast: [
      { ...T, ...own },
      { ...A, ...own },
      { ...B, ...own },
    ],
    tables: [T10],
    events: [SYNC100],
    sendsAtOnce: 0,
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 600,
  },
  {
    name: "redo",
    about: "a DDL in redo mode and in the default mode, each a barrier space of its own",
    cast: [
      T,
      A,
      B,
      { ...T, name: "rT", ...redo },
      { ...A, name: "rA", ...redo },
      { ...B, name: "rB", ...redo },
    ],
    tables: [T10],
    events: [ALTER],
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 2_000,
  },
  {
    name: "old-node",
    about: "a node that sends neither start nor lives, and a DDL over a table that it has a part of",
    ...ALTERED,
    oldNodes: ["n2"],
    environments: WARM,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 400,
  },
  {
    name: "old-syncpoint",
    about: "the same with a syncpoint, whose Pass an old node gets once for all of its dispatchers",
    cast: [T, A, B, C],
    tables: [T10, T20],
    events: [SYNC100],
    oldNodes: ["n2"],
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 400,
  },
];
