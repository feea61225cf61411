/** What DDLs do to tables, and several of them as one event. */
import { InfluenceType } from "../protocol/messages.ts";
import { quote, type TableName } from "./cursor.ts";
import type { DdlChange, Influence, TableDefinition } from "./types.ts";

/** The id under which the table trigger stands in BlockTables (protocol.md R3). */
export const TRIGGER = 0n;
export const normal = (...tableIds: bigint[]): Influence => ({
  type: InfluenceType.Normal,
  tableIds: [...new Set(tableIds)],
  schemaId: 0n,
});
export const ofSchema = (schemaId: bigint): Influence => ({ type: InfluenceType.DB, tableIds: [], schemaId });
export const everybody: Influence = { type: InfluenceType.All, tableIds: [], schemaId: 0n };

/** One table's part of a DDL, in the order in which it happens. `definition` is the table after it; of a dropped one as it was. */
export type Step =
  | { readonly do: "create" | "change" | "drop"; readonly definition: TableDefinition }
  | { readonly do: "move"; readonly from: TableName; readonly definition: TableDefinition };

export interface Effects
  extends Pick<
    DdlChange,
    | "blockTables"
    | "needDroppedTables"
    | "needAddedTables"
    | "updatedSchemas"
    | "steps"
    | "own"
    | "carriesRows"
    | "warnings"
  > {
  /** The physical tables that go, where `needDroppedTables` says only of which schema. */
  readonly dropped: readonly bigint[];
}

export const NO_EFFECTS: Effects = {
  blockTables: normal(),
  needDroppedTables: undefined,
  needAddedTables: [],
  updatedSchemas: [],
  steps: [],
  own: [],
  carriesRows: false,
  warnings: [],
  dropped: [],
};

/** Why several DDLs cannot be one event; undefined: they can. */
export function notOneEvent(all: readonly Pick<Effects, "steps" | "carriesRows">[]): string | undefined {
  const changing = all.filter((one) => one.steps.length > 0);
  return changing.length > 1 && changing.some((one) => one.carriesRows)
    ? "it carries rows from one table to another, and other DDLs have the same commitTs: give each a commitTs of its own"
    : undefined;
}

/**
 * Several DDLs as one event: statements of one message, and messages of one commitTs, for an event is known by its commitTs
 * (protocol.md D2). Who stops at one of them stops at all; a table that comes and goes within is not heard of.
 */
export function mergeEffects(all: readonly Effects[]): Effects {
  const [only, another] = all;
  if (only === undefined) return NO_EFFECTS;
  if (another === undefined) return only;
  const added = all.flatMap((one) => one.needAddedTables);
  const dropped = new Set(all.flatMap((one) => one.dropped));
  const within = new Set(added.map((one) => one.tableId).filter((id) => dropped.has(id)));
  const gone = [...dropped].filter((id) => !within.has(id));
  const new_ = new Set(added.map((one) => one.tableId));
  const whole = all.map((one) => one.needDroppedTables).filter((one) => one?.type === InfluenceType.DB);
  return {
    blockTables: mergeInfluence(
      all.map((one) => one.blockTables),
      new_,
    ),
    needDroppedTables:
      whole.length === 1 && all.filter((one) => one.dropped.length > 0).length <= 1
        ? whole[0]
        : gone.length > 0
          ? normal(...gone)
          : undefined,
    needAddedTables: added.filter((one) => !within.has(one.tableId)),
    updatedSchemas: mergeMoves(all.flatMap((one) => one.updatedSchemas)).filter(
      (one) => !dropped.has(one.tableId) && !new_.has(one.tableId),
    ),
    steps: all.flatMap((one) => one.steps),
    own: all.flatMap((one) => one.own),
    carriesRows: all.some((one) => one.carriesRows),
    warnings: all.flatMap((one) => one.warnings),
    dropped: gone,
  };
}

/** Who stops at any of them; a table that is new within cannot stop yet. */
function mergeInfluence(all: readonly Influence[], added: ReadonlySet<bigint>): Influence {
  const ids = all.flatMap((one) => one.tableIds).filter((id) => !added.has(id));
  const schemas = new Set(all.filter((one) => one.type === InfluenceType.DB).map((one) => one.schemaId));
  if (all.some((one) => one.type === InfluenceType.All)) return everybody;
  if (schemas.size === 0) return normal(...ids);
  // A database's tables and others: there is no type for it, so everybody stops.
  return schemas.size === 1 && ids.every((id) => id === TRIGGER) ? ofSchema([...schemas][0]!) : everybody;
}

function mergeMoves(moves: Effects["updatedSchemas"]): Effects["updatedSchemas"] {
  const merged = new Map<bigint, Effects["updatedSchemas"][number]>();
  for (const move of moves)
    merged.set(move.tableId, {
      ...move,
      oldSchemaId: merged.get(move.tableId)?.oldSchemaId ?? move.oldSchemaId,
    });
  return [...merged.values()].filter((one) => one.oldSchemaId !== one.newSchemaId);
}

const nameOf = ({ schema, table }: TableName) => ({ schema, table });

interface Net {
  definition: TableDefinition;
  /** The name before the event; undefined: there was none. */
  origin: TableName | undefined;
  created: boolean;
  moved: boolean;
  queries: string[];
}

/**
 * The schema files of an event: one for each table that has another definition after it, and one for each that is gone. A reader
 * may take those of one version in any order: moves are given from the name before the event to the one after it, and a name
 * that another table took over has no DROP.
 */
export function netDefinitions(steps: readonly Step[]): TableDefinition[] {
  const now = new Map<string, Net>();
  const gone = new Map<string, TableDefinition>();
  const id = ({ schema, table }: TableName) => JSON.stringify([schema, table]);
  for (const step of steps) {
    const { definition } = step;
    const name = id(definition);
    if (step.do === "create") {
      // OR REPLACE: what had the name goes, under the name that it had before the event.
      const replaced = now.get(name);
      if (replaced?.origin)
        gone.set(id(replaced.origin), { ...replaced.definition, ...nameOf(replaced.origin) });
      now.set(name, {
        definition,
        origin: undefined,
        created: true,
        moved: false,
        queries: [definition.query],
      });
    } else if (step.do === "move") {
      const before = now.get(id(step.from));
      now.delete(id(step.from));
      now.set(name, {
        definition,
        origin: before ? before.origin : step.from,
        created: before?.created ?? false,
        moved: true,
        queries: [...(before?.queries ?? []), definition.query],
      });
    } else if (step.do === "change") {
      const before = now.get(name);
      const queries = before?.queries ?? [];
      now.set(name, {
        ...(before ?? { origin: definition, created: false, moved: false }),
        definition,
        // One statement may say a table's move and its change.
        queries: queries.at(-1) === definition.query ? queries : [...queries, definition.query],
      });
    } else {
      const before = now.get(name);
      now.delete(name);
      const origin = before ? before.origin : definition;
      if (origin) gone.set(id(origin), { ...definition, ...nameOf(origin) });
    }
  }
  const definitions: TableDefinition[] = [];
  for (const [name, definition] of gone)
    if (!now.has(name)) definitions.push({ ...definition, query: `DROP TABLE ${quote(definition)}` });
  for (const { definition, origin, moved, queries } of now.values()) {
    const onlyMoved = moved && origin !== undefined && queries.every((one) => /^RENAME TABLE /.test(one));
    const query = onlyMoved
      ? `RENAME TABLE ${quote(origin)} TO ${quote(definition)}`
      : queries.map((one) => one.trim().replace(/;$/, "")).join("; ");
    definitions.push({ ...definition, query });
  }
  return definitions;
}
