/** The schema files of one version, applied at once: they come in no order. */
import type { TableName } from "../changelog/cursor.ts";
import { sameName, shapeOf, type TableShape } from "../changelog/shape.ts";
import { readStatements, type Statement } from "../changelog/statement.ts";
import type { Column } from "../changelog/types.ts";
import { columnForm } from "../dispatcher/storage/column-types.ts";
import type { Database, Table } from "./database.ts";
import { alterTable, changeRows, partitionsOf, tableName } from "./ddl.ts";
import type { SchemaFile } from "./folder.ts";

interface Part {
  readonly file: SchemaFile;
  readonly statements: readonly Statement[];
  readonly name: TableName;
  /** The name before this version, where another one. */
  readonly from: TableName | undefined;
  readonly created: Extract<Statement, { kind: "create-table" | "recover-table" }> | undefined;
}

/**
 * Applies the schema files of one version: what goes first, then all moves at once, then what comes, then changes.
 * @param problem is told what does not fit
 */
export function applyVersion(
  db: Database,
  files: readonly SchemaFile[],
  problem: (file: SchemaFile, what: string) => void,
): void {
  const parts: Part[] = [];
  for (const file of files)
    try {
      parts.push(partOf(file));
    } catch (error) {
      problem(file, (error as Error).message);
    }
  const droppedSchemas = new Set<string>();
  for (const { file, statements } of parts)
    if (file.table === "")
      for (const statement of statements)
        if (statement.kind === "drop-database") {
          droppedSchemas.add(file.schema);
          for (const table of db.tables) if (table.name.schema === file.schema) db.drop(table);
        }
  const tables = parts.filter((one) => one.file.table !== "");
  const find = (file: SchemaFile, name: TableName): Table | undefined => {
    const table = db.find(name);
    if (!table) problem(file, `its DDL is about ${tableName(name)}, which does not exist at this point`);
    return table;
  };
  const taken = exchange(db, tables);
  const drops = tables.filter(({ statements }) => statements.some((one) => one.kind === "drop-table"));
  for (const { file, name } of drops) {
    // A table that became a partition is gone already.
    if (!db.find(name) && taken.has(JSON.stringify([name.schema, name.table]))) continue;
    // At the commitTs of its DROP DATABASE it is gone already.
    if (!db.find(name) && droppedSchemas.has(name.schema)) continue;
    const table = find(file, name);
    if (table) db.drop(table);
  }
  const moves = tables.flatMap(({ file, from, name }) => {
    const table = from && find(file, from);
    return table ? [{ table, to: name }] : [];
  });
  db.move(moves);
  for (const { file, created, name } of tables)
    if (created?.kind === "create-table") {
      // CREATE OR REPLACE drops what was there: FLASHBACK brings it back.
      const replaced = db.find(name);
      if (replaced?.name.table === name.table) db.drop(replaced);
      // Defaults, keys and partitions of what LIKE names; columns are settled by the file.
      const like = created.like && db.find(created.like);
      const table = like
        ? db.create(name, like.shape, like.partitions)
        : db.create(name, shapeOf(created), partitionsOf(created));
      table.unknown = filled(created);
    } else if (created && !(created.table && db.recover(created.table, name)))
      problem(file, "its DDL brings back a table that was not dropped");
  for (const part of tables) {
    if (drops.includes(part)) continue;
    const table = find(part.file, part.name);
    if (!table) continue;
    for (const statement of part.statements) change(db, table, statement);
    settle(table, part.file.columns, db);
  }
}

const filled = (created: { selects: unknown }) =>
  created.selects ? "it was filled by the query that created it" : undefined;

function partOf(file: SchemaFile): Part {
  const statements = readStatements(file.query, file.schema).map((one) => one.statement);
  const name = { schema: file.schema, table: file.table };
  const created = statements.find((one) => one.kind === "create-table" || one.kind === "recover-table");
  let from: TableName | undefined;
  for (const one of statements)
    if (one.kind === "rename-table") from ??= one.renames[0]?.from;
    else if (one.kind === "alter-table" && one.clauses.some((clause) => clause.do === "rename-table"))
      from ??= one.table;
  return { file, statements, name, from: created ? undefined : from, created };
}

/**
 * Rows that go from one table into another come first: each statement once, though both tables have a file with it.
 * @returns the other tables
 */
function exchange(db: Database, parts: readonly Part[]): Set<string> {
  const others = new Set<string>();
  const seen = new Set<string>();
  for (const { statements, file } of parts)
    for (const one of statements) {
      if (one.kind !== "alter-table") continue;
      for (const clause of one.clauses) {
        if (clause.do !== "partition" || !("table" in clause.change) || seen.has(file.query)) continue;
        seen.add(file.query);
        others.add(JSON.stringify([clause.change.table.schema, clause.change.table.table]));
        const table = db.find(one.table);
        if (table) changeRows(db, table, clause.change);
      }
    }
  return others;
}

function change(db: Database, table: Table, statement: Statement): void {
  if (statement.kind === "truncate-table") db.truncate(table);
  if (statement.kind !== "alter-table") return;
  alterTable(db, table, statement);
  for (const clause of statement.clauses)
    if (clause.do === "partition" && !("table" in clause.change)) changeRows(db, table, clause.change);
}

/** Schema files leave out what is a type's own: `int(11)` and `int` are one. */
const sameType = (a: string, b: string) => JSON.stringify(columnForm(a)) === JSON.stringify(columnForm(b));

/** The columns that the file says stand above what its statement was understood to do. */
function settle(table: Table, columns: readonly Column[], db: Database): void {
  const { shape } = table;
  const same =
    shape.columns.length === columns.length &&
    columns.every(
      (one, index) =>
        shape.columns[index]!.name === one.name && sameType(shape.columns[index]!.type, one.type),
    );
  const primary = columns.filter((one) => one.isPrimaryKey).map((one) => one.name);
  const sameKey =
    primary.length === shape.primary.length && primary.every((one) => shape.primary.includes(one));
  if ((same && sameKey) || columns.length === 0) return;
  const known = (name: string) => shape.columns.find((one) => sameName(one.name, name));
  const after: TableShape = {
    columns: columns.map((one) => ({
      name: one.name,
      notNull: one.isPrimaryKey || one.nullable === false,
      default: { kind: "none" },
      generated: false,
      autoIncrement: false,
      primary: false,
      unique: false,
      ...known(one.name),
      // Where only the words differ the values stay.
      type: one.type,
    })),
    // In the order of the statement's key where it is the same one.
    primary: sameKey ? shape.primary : primary,
    uniques: shape.uniques,
  };
  const sources = new Map(
    columns.flatMap((one) => (known(one.name) ? [[one.name, known(one.name)!.name] as const] : [])),
  );
  const unconverted = {
    ...shape,
    columns: shape.columns.map((one) => ({
      ...one,
      type: columns.find((c) => sameName(c.name, one.name))?.type ?? one.type,
    })),
  };
  table.shape = unconverted;
  db.alter(table, after, sources);
}
