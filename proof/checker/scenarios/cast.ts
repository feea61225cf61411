import type { CaptureEvent, RouteAdmission } from "../../../src/dispatcher/event.ts";
import { everybody, normal, schema } from "../../../src/dispatcher/testing/doubles.ts";
import { ddl, syncpoint } from "../../../src/maintainer/testing/world.ts";
import { type CastMember, type Faults, NO_FAULTS, type Scenario } from "../scenario.ts";

/** The table trigger, a table 10 that is split over both nodes, and a table 20. */
export const T: CastMember = { name: "T", node: "n1", table: 0n };
export const A: CastMember = { name: "A", node: "n1", table: 10n, end: "m" };
export const B: CastMember = { name: "B", node: "n2", table: 10n, start: "m" };
export const W: CastMember = { name: "W", node: "n2", table: 10n };
export const C: CastMember = { name: "C", node: "n2", table: 20n };
export const T10 = { id: 10n, schema: 1n };
export const T20 = { id: 20n, schema: 1n };

const payload = "";
export const ALTER: CaptureEvent = { key: ddl(100n), blockTables: normal(10n), payload };
export const SYNC100: CaptureEvent = { key: syncpoint(100n), blockTables: everybody, payload };
/** The table trigger takes part. */
export const TRIGGERED: CaptureEvent = { key: ddl(100n), blockTables: normal(0n, 10n), payload };
export const SYNC110: CaptureEvent = { key: syncpoint(110n), blockTables: everybody, payload };
export const CREATE90: CaptureEvent = {
  key: ddl(90n),
  needAddedTables: [{ tableId: 40n, schemaId: 1n }],
  payload,
};
export const TRUNCATE: CaptureEvent = {
  key: ddl(100n),
  blockTables: normal(0n, 10n),
  needDroppedTables: normal(10n),
  needAddedTables: [{ tableId: 11n, schemaId: 1n }],
  payload,
};
/** Tables 10 and 20 change their schema, and the table trigger has nothing to do with it. */
export const RENAME: CaptureEvent = {
  key: ddl(100n),
  blockTables: normal(10n, 20n),
  updatedSchemas: [{ tableId: 10n, oldSchemaId: 1n, newSchemaId: 2n }],
  payload,
};
export const BOTH: CaptureEvent = { key: ddl(100n), blockTables: normal(10n, 20n), payload };
export const CREATE105: CaptureEvent = { ...CREATE90, key: ddl(105n) };
/** Two tables are routed to one target, the second one when the first has been released. */
const route = (table: string, action: RouteAdmission["action"]) => ({
  action,
  sourceSchema: "s1",
  sourceTable: table,
  targetSchema: "t",
  targetTable: "one",
});
export const ADMIT80: CaptureEvent = {
  key: ddl(80n),
  routeAdmissions: [route("t30", "admit")],
  payload,
};
export const RELEASE100: CaptureEvent = {
  key: ddl(100n),
  blockTables: normal(0n, 10n),
  routeAdmissions: [route("t30", "release")],
  payload,
};
export const ADMIT100: CaptureEvent = {
  ...RELEASE100,
  routeAdmissions: [route("t10", "admit")],
};
export const ADMIT105: CaptureEvent = {
  ...CREATE90,
  key: ddl(105n),
  routeAdmissions: [route("t40", "admit")],
};
export const DROP_DB: CaptureEvent = {
  key: ddl(110n),
  blockTables: schema(1n),
  needDroppedTables: schema(1n),
  payload,
};

export const some = (faults: Partial<Faults>): Faults => ({ ...NO_FAULTS, ...faults });
export const COLD = ["cold", "cold"] as const;
export const WARM = ["warm", "cold"] as const;

/** A DDL over a table that is split over both nodes: the world of most scenarios. */
export const ALTERED = {
  cast: [T, A, B],
  tables: [T10],
  events: [ALTER],
} as const satisfies Partial<Scenario>;
