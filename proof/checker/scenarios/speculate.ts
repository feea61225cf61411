import type { CaptureEvent } from "../../../src/dispatcher/event.ts";
import { normal } from "../../../src/dispatcher/testing/doubles.ts";
import { ddl } from "../../../src/maintainer/testing/world.ts";
import type { Scenario } from "../scenario.ts";
import { A, ADMIT100, ALTER, ALTERED, B, C, COLD, CREATE105, some, T, T10, T20, W, WARM } from "./cast.ts";

/** A DDL that blocks the table trigger and table 20, and adds a table. */
const GROW90: CaptureEvent = {
  ...ALTER,
  key: ddl(90n),
  blockTables: normal(0n, 20n),
  needAddedTables: [{ tableId: 40n, schemaId: 1n }],
};

/** What an environment writes while it reads the root, and barriers that are opened where others were closed (decision 24). */
export const AHEAD: readonly Scenario[] = [
  {
    name: "long-ago",
    about: "an environment remembers the barrier from long ago, and messages come twice",
    ...ALTERED,
    environments: WARM,
    longAgo: true,
    faults: some({ crashes: 1, duplicates: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 2_000,
  },
  {
    name: "long-ago-changes",
    about: "the same, and dispatchers come and go",
    ...ALTERED,
    changes: [
      { does: "restart", node: "n2", from: "start" },
      { does: "move", who: "B", to: "n1", from: "start", tells: true },
    ],
    environments: WARM,
    longAgo: true,
    faults: some({ changes: 1, overlaps: 1 }),
    quick: { overlaps: 0 },
    least: 2_000,
  },
  {
    name: "sleeper",
    about:
      "a CREATE is closed before the DDL at an earlier commitTs is opened, and invocations sleep as long as they like",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER, CREATE105],
    environments: COLD,
    faults: some({}),
    quick: {},
    least: 10_000,
  },
  {
    name: "beside-waiting",
    about: "an event that adds a table is waited for, and a DDL behind it has nothing to do with its tables",
    cast: [T, A, B, C],
    tables: [T10, T20],
    events: [GROW90, ALTER],
    environments: COLD,
    faults: some({ overlaps: 1 }),
    quick: {},
    least: 50_000,
  },
  {
    name: "ahead-routes",
    about:
      "a DDL that blocks brings a route, the table trigger shares its chunk, and an environment remembers from long ago",
    cast: [T, { ...W, node: "n1" }],
    tables: [T10],
    events: [ADMIT100],
    routed: ["t10"],
    late: [{ registration: "n1" }],
    environments: WARM,
    longAgo: true,
    faults: some({ crashes: 1, duplicates: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 1_000,
  },
];
