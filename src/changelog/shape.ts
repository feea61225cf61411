/** A table's columns and keys, and what clauses of ALTER TABLE make of them. */
import type { Clause } from "./alter.ts";
import type { ColumnDefinition, KeyDefinition } from "./columns.ts";
import type { CreateTable } from "./statement.ts";
import type { Column } from "./types.ts";

export interface TableShape {
  readonly columns: readonly ColumnDefinition[];
  readonly primary: readonly string[];
  readonly uniques: readonly KeyDefinition[];
}

/** Names of columns and indexes are the same in any case. */
export const sameName = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** What a CREATE TABLE says; for LIKE the other table's shape is taken instead. */
export function shapeOf(statement: CreateTable): TableShape {
  const columns: ColumnDefinition[] = [];
  for (const column of statement.columns)
    if (!columns.some((one) => sameName(one.name, column.name))) columns.push(column);
  const keys = statement.keys;
  const primary = [
    ...columns.filter((one) => one.primary).map((one) => one.name),
    ...keys.filter((one) => one.primary).flatMap((one) => one.key.columns),
  ];
  const uniques = [
    ...columns.filter((one) => one.unique).map((one) => keyOf(one.name)),
    ...keys.filter((one) => !one.primary).map((one) => named(one.key)),
  ];
  return settle({ columns, primary, uniques });
}

const keyOf = (column: string): KeyDefinition => ({ name: column, columns: [column], whole: true });
/** A key without a name has its first column's. */
const named = (key: KeyDefinition): KeyDefinition => ({ ...key, name: key.name || (key.columns[0] ?? "") });

/** Spells keys as their columns are spelled, leaves out what is gone, and makes the primary key's columns NOT NULL. */
function settle(shape: TableShape): TableShape {
  const spelled = (names: readonly string[]) => [
    ...new Set(
      names
        .map((name) => shape.columns.find((one) => sameName(one.name, name))?.name)
        .filter((name) => name !== undefined),
    ),
  ];
  const primary = spelled(shape.primary);
  return {
    columns: shape.columns.map((one) => (primary.includes(one.name) ? { ...one, notNull: true } : one)),
    primary,
    uniques: shape.uniques
      .map((one) => ({ ...one, columns: spelled(one.columns) }))
      .filter((one) => one.columns.length > 0),
  };
}

/** What tells one row from another: the primary key, or else the first unique key without NULL; empty if there is none. */
export function handleOf(shape: TableShape): readonly string[] {
  if (shape.primary.length > 0) return shape.primary;
  const notNull = (name: string) => shape.columns.find((one) => one.name === name)?.notNull === true;
  return shape.uniques.find((one) => one.whole && one.columns.every(notNull))?.columns ?? [];
}

/** The columns as a schema file says them. */
export function columnsOf(shape: TableShape): Column[] {
  return shape.columns.map((one) => ({
    name: one.name,
    type: one.type,
    isPrimaryKey: shape.primary.includes(one.name),
    nullable: !one.notNull,
    ...(one.default.kind === "value" && { default: one.default.text }),
    ...(one.default.kind === "expression" && { default: expressionText(one.default.text) }),
  }));
}

/** The time of a row has one name in schema files, whatever the statement calls it. */
const expressionText = (text: string) =>
  /^(current_timestamp|now|localtime|localtimestamp)\b/i.test(text) ? "CURRENT_TIMESTAMP" : text;

/** A shape after clauses, and for each of its columns the one before that it comes from. */
export interface Changed {
  readonly shape: TableShape;
  /** By new name; absent: a new column. */
  readonly sources: ReadonlyMap<string, string>;
}

/**
 * Changes a shape as MySQL does: old names are those before the statement, what stands behind AFTER is a name after it.
 * @param warn is told of what does not fit; it is left out then
 */
export function changeShape(
  before: TableShape,
  clauses: readonly Clause[],
  warn: (what: string) => void = () => {},
): Changed {
  const sources = new Map<string, string>();
  const list: ColumnDefinition[] = [];
  const late: { column: ColumnDefinition; first?: boolean; after?: string | undefined }[] = [];
  const renamed = new Map<string, string>();
  const of = (name: string) => (clause: Clause) => "name" in clause && sameName(clause.name, name);
  for (const old of before.columns) {
    const about = clauses.filter(of(old.name));
    if (about.some((one) => one.do === "drop")) continue;
    let column = old;
    let place: { first?: boolean; after?: string | undefined } | undefined;
    for (const clause of about)
      if (clause.do === "change") {
        column = clause.column;
        const { first, after } = clause.position;
        if (first || after !== undefined) place = { ...(first && { first }), after };
      } else if (clause.do === "rename-column") column = { ...column, name: clause.to };
      else if (clause.do === "default") column = { ...column, default: clause.default };
    renamed.set(old.name.toLowerCase(), column.name);
    sources.set(column.name, old.name);
    if (place) late.push({ column, ...place });
    else list.push(column);
  }
  for (const clause of clauses) {
    if (clause.do === "add") {
      const there = [...list, ...late.map((one) => one.column)].some((one) =>
        sameName(one.name, clause.column.name),
      );
      if (!there) late.push({ column: clause.column, ...clause.position });
      else if (!clause.ifNotExists) warn(`column "${clause.column.name}" is there already`);
    }
    const names = clause.do === "drop" || clause.do === "change" || clause.do === "rename-column";
    if ((names || clause.do === "default") && !before.columns.some((one) => sameName(one.name, clause.name)))
      if (!("ifExists" in clause && clause.ifExists)) warn(`column "${clause.name}" does not exist`);
  }
  // In the order of the clauses: a changed column's place may be behind a new one.
  const order = (column: ColumnDefinition) =>
    clauses.findIndex((one) => (one.do === "add" || one.do === "change") && one.column === column);
  for (const { column, first, after } of late.sort((a, b) => order(a.column) - order(b.column))) {
    const behind = after === undefined ? -1 : list.findIndex((one) => sameName(one.name, after));
    if (after !== undefined && behind < 0) warn(`column "${after}" does not exist`);
    list.splice(first ? 0 : behind >= 0 ? behind + 1 : list.length, 0, column);
  }
  return { shape: settle({ columns: list, ...keysAfter(before, clauses, renamed) }), sources };
}

function keysAfter(before: TableShape, clauses: readonly Clause[], renamed: ReadonlyMap<string, string>) {
  const follow = (names: readonly string[]) => names.flatMap((name) => renamed.get(name.toLowerCase()) ?? []);
  let primary = follow(before.primary);
  let uniques = before.uniques.map((one) => ({ ...one, columns: follow(one.columns) }));
  if (clauses.some((one) => one.do === "drop-primary")) primary = [];
  for (const clause of clauses)
    if (clause.do === "drop-index") uniques = uniques.filter((one) => !sameName(one.name, clause.name));
    else if (clause.do === "rename-index")
      uniques = uniques.map((one) => (sameName(one.name, clause.name) ? { ...one, name: clause.to } : one));
  for (const clause of clauses)
    if (clause.do === "add-primary") primary = [...clause.key.columns];
    else if (clause.do === "add-unique")
      uniques.push({ ...named(clause.key), columns: [...clause.key.columns] });
    else if (clause.do === "add" || clause.do === "change") {
      if (clause.column.primary) primary = [clause.column.name];
      if (clause.column.unique) uniques.push({ ...keyOf(clause.column.name), columns: [clause.column.name] });
    }
  return { primary, uniques };
}
