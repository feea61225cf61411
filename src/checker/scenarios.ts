import type { CaptureEvent } from "../dispatcher/event.ts";
import { ddl, everybody, normal, schema, syncpoint } from "../maintainer/testing/world.ts";
import { ComponentState } from "../protocol/messages.ts";
import { type CastMember, type Faults, NO_FAULTS, type Scenario } from "./scenario.ts";

/** The table trigger, a table 10 that is split over both nodes, and a table 20. */
const T: CastMember = { name: "T", node: "n1", table: 0n };
const A: CastMember = { name: "A", node: "n1", table: 10n, end: "m" };
const B: CastMember = { name: "B", node: "n2", table: 10n, start: "m" };
const W: CastMember = { name: "W", node: "n2", table: 10n };
const C: CastMember = { name: "C", node: "n2", table: 20n };
const T10 = { id: 10n, schema: 1n };
const T20 = { id: 20n, schema: 1n };

const payload = "";
const ALTER: CaptureEvent = { key: ddl(100n), blockTables: normal(10n), payload };
const SYNC100: CaptureEvent = { key: syncpoint(100n), blockTables: everybody, payload };
const SYNC110: CaptureEvent = { key: syncpoint(110n), blockTables: everybody, payload };
const CREATE90: CaptureEvent = {
  key: ddl(90n),
  needAddedTables: [{ TableID: 40n, SchemaID: 1n }],
  payload,
};
const TRUNCATE: CaptureEvent = {
  key: ddl(100n),
  blockTables: normal(0n, 10n),
  needDroppedTables: normal(10n),
  needAddedTables: [{ TableID: 11n, SchemaID: 1n }],
  payload,
};
/** Tables 10 and 20 change their schema, and the table trigger has nothing to do with it. */
const RENAME: CaptureEvent = {
  key: ddl(100n),
  blockTables: normal(10n, 20n),
  updatedSchemas: [{ TableID: 10n, OldSchemaID: 1n, NewSchemaID: 2n }],
  payload,
};
const BOTH: CaptureEvent = { key: ddl(100n), blockTables: normal(10n, 20n), payload };
const CREATE105: CaptureEvent = { ...CREATE90, key: ddl(105n) };
const DROP_DB: CaptureEvent = {
  key: ddl(110n),
  blockTables: schema(1n),
  needDroppedTables: schema(1n),
  payload,
};

const some = (faults: Partial<Faults>): Faults => ({ ...NO_FAULTS, ...faults });
const COLD = ["cold", "cold"] as const;
const WARM = ["warm", "cold"] as const;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "alter",
    about: "a DDL over a table that is split over two nodes",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    environments: COLD,
    faults: some({ crashes: 1, duplicates: 1 }),
    quick: { duplicates: 0 },
    least: 10_000,
  },
  {
    name: "alter-warm",
    about: "the same, one environment remembers",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    environments: WARM,
    faults: some({ crashes: 1, duplicates: 1, overlaps: 2 }),
    quick: { duplicates: 0, overlaps: 1 },
    least: 20_000,
  },
  {
    name: "alter-lost",
    about: "the same, the answer of an operation is lost",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    environments: WARM,
    faults: some({ lostAnswers: 1, crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 20_000,
  },
  {
    name: "alter-sweep",
    about: "the same, with the sweeper",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    environments: COLD,
    faults: some({ sweeps: 1, crashes: 1, overlaps: 2 }),
    quick: { crashes: 0 },
    least: 2_000,
  },
  {
    name: "alter-slow",
    about: "the same, sinks take time, reports and actions come twice",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    environments: WARM,
    slowSinks: true,
    faults: some({ repeats: 1, repeatedActions: 1, crashes: 1, overlaps: 1 }),
    quick: { crashes: 0, repeatedActions: 0 },
    least: 50_000,
  },
  {
    name: "syncpoint",
    about: "a syncpoint for everybody",
    cast: [T, A, B],
    tables: [T10],
    events: [SYNC100],
    environments: WARM,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 3_000,
  },
  {
    name: "one-commit-ts",
    about: "a DDL and a syncpoint at one commitTs",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER, SYNC100],
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 6_000,
  },
  {
    name: "truncate",
    about: "a TRUNCATE, then a syncpoint for the new table too",
    cast: [T, W],
    tables: [T10],
    events: [TRUNCATE, SYNC110],
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 30_000,
  },
  {
    name: "create",
    about: "a CREATE that nobody waits for, and a syncpoint behind it",
    cast: [T, W],
    tables: [T10],
    events: [CREATE90, SYNC100],
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 2_000,
  },
  {
    name: "order",
    about: "a rename and a CREATE behind it that is there first",
    cast: [T, W, C],
    tables: [T10, T20],
    events: [RENAME, CREATE105],
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 4_000,
  },
  {
    name: "drop-database",
    about: "a TRUNCATE, and a DROP DATABASE that another dispatcher waits for already",
    cast: [T, W, C],
    tables: [T10, T20],
    events: [TRUNCATE, DROP_DB],
    environments: COLD,
    faults: some({ overlaps: 1 }),
    quick: { overlaps: 0 },
    least: 40_000,
  },
  {
    name: "move",
    about: "a dispatcher moves to the other node",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    changes: [
      { does: "move", who: "B", to: "n1", from: "start", tells: true },
      { does: "move", who: "B", to: "n1", from: "finished", tells: false },
    ],
    environments: WARM,
    faults: some({ changes: 1, overlaps: 1 }),
    quick: { overlaps: 0 },
    least: 40_000,
  },
  {
    name: "restart",
    about: "a node starts again, behind or before the barrier",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    changes: [
      { does: "restart", node: "n2", from: "start" },
      { does: "restart", node: "n1", from: "finished" },
    ],
    environments: WARM,
    faults: some({ changes: 1, crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 50_000,
  },
  {
    name: "restart-late",
    about: "a node starts again, and old messages come late",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    changes: [{ does: "restart", node: "n2", from: "start" }],
    late: [{ registration: "n2" }, "opening"],
    environments: COLD,
    faults: some({ changes: 1, duplicates: 1, overlaps: 1 }),
    quick: { duplicates: 0 },
    least: 10_000,
  },
  {
    name: "split",
    about: "a table is split while its neighbour waits",
    cast: [T, { ...W, node: "n1" }, C],
    tables: [T10, T20],
    events: [BOTH],
    changes: [{ does: "replace", who: ["W"], by: [A, B], from: "finished" }],
    environments: COLD,
    faults: some({ changes: 1, overlaps: 1 }),
    quick: { overlaps: 0 },
    least: 30_000,
  },
  {
    name: "merge",
    about: "two spans of a table become one",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER, SYNC110],
    changes: [{ does: "replace", who: ["A", "B"], by: [{ ...W, name: "M" }], from: "finished" }],
    environments: COLD,
    rests: "a WAITING of a span that was merged away may come after the last word of the whole table",
    faults: some({ changes: 1, overlaps: 1 }),
    quick: "skip",
    least: 0,
  },
  {
    name: "writer-gone",
    about: "the writer leaves for good, another dispatcher takes its table",
    cast: [T, { ...W, node: "n1" }, C],
    tables: [T10, T20],
    events: [BOTH],
    changes: [{ does: "replace", who: ["C"], by: [{ ...C, name: "D" }], from: "start" }],
    environments: COLD,
    faults: some({ changes: 1, crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 30_000,
  },
  {
    name: "beginning",
    about: "everybody registers while reports are on their way",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    unregistered: true,
    environments: COLD,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 6_000,
  },
  {
    name: "not-yet",
    about: "a dispatcher that does not replicate yet",
    cast: [T, A, { ...B, state: ComponentState.Initializing }],
    tables: [T10],
    events: [ALTER],
    starting: ["B"],
    environments: WARM,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: { crashes: 0 },
    least: 1_500,
  },
  {
    name: "malformed",
    about: "messages that nobody understands among the others of a batch",
    cast: [T, A, B],
    tables: [T10],
    events: [ALTER],
    malformed: [{ type: "BlockStatusRequest", from: "n1", body: "{" }],
    environments: COLD,
    batch: 2,
    faults: some({ crashes: 1, overlaps: 1 }),
    quick: {},
    least: 50_000,
  },
];
