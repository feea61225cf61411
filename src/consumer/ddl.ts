/** Statements of a log, one after the other, applied to tables as a server would. */
import type { Clause } from "../changelog/alter.ts";
import type { TableName } from "../changelog/cursor.ts";
import { locate } from "../changelog/locate.ts";
import { changePartitions, type PartitionState } from "../changelog/partition-change.ts";
import { changeShape, shapeOf, type TableShape } from "../changelog/shape.ts";
import { type CreateTable, readStatements, type Statement } from "../changelog/statement.ts";
import type { Database, Row, Table } from "./database.ts";

/** `schema.table`, for people: names may hold dots. */
export const tableName = ({ schema, table }: TableName) => `${schema}.${table}`;

/** The number of partitions and their names matter here, and nobody asks for their ids. */
const NO_IDS = { next: () => 0n, warn: () => {} };

/** The partitions that CREATE TABLE gives. */
export function partitionsOf(statement: CreateTable): PartitionState | undefined {
  const { partitioning } = statement;
  return (
    partitioning && {
      ...partitioning,
      parts: partitioning.partitions.map((one) => ({ ...one, tableId: 0n })),
    }
  );
}

/** Applies a log's DDLs to tables. Statements about what is no table are passed over: the log was checked before. */
export class Applier {
  readonly #db: Database;
  /** Temporary tables: their statements mean no table of the same name. */
  readonly #temporary = new Set<string>();
  readonly #id = ({ schema, table }: TableName) => JSON.stringify([schema, table]).toLowerCase();

  constructor(db: Database) {
    this.#db = db;
  }

  /** @returns the names of tables that have a new version now, unless they are gone */
  apply(sql: string, database: string): TableName[] {
    return readStatements(sql, database).flatMap(({ statement }) => this.#apply(statement));
  }

  #apply(statement: Statement): TableName[] {
    const db = this.#db;
    switch (statement.kind) {
      case "create-database":
        if (statement.orReplace) this.#dropDatabase(statement.database);
        return [];
      case "drop-database":
        this.#dropDatabase(statement.database);
        return [];
      case "create-other":
        if (statement.what === "temporary table") this.#temporary.add(this.#id(statement.name));
        return [];
      case "drop-other":
        for (const name of statement.names) this.#temporary.delete(this.#id(name));
        return [];
      case "create-table": {
        const there = db.find(statement.table);
        const exact = there && there.name.table === statement.table.table;
        if (exact && statement.ifNotExists) return [];
        if (exact) db.drop(there);
        const like = statement.like && db.find(statement.like);
        const schema = this.#schema(statement.table.schema);
        const name = { schema, table: statement.table.table };
        const table = db.create(
          name,
          like ? like.shape : shapeOf(statement),
          like ? like.partitions : partitionsOf(statement),
        );
        if (statement.selects) table.unknown = "it was filled by the query that created it";
        return [name];
      }
      case "drop-table":
        for (const name of statement.tables) {
          if (this.#temporary.delete(this.#id(name))) continue;
          const table = db.find(name);
          if (table) db.drop(table);
        }
        return [];
      case "truncate-table":
        return this.#on(statement.table, (table) => db.truncate(table));
      case "rename-table":
        return statement.renames.flatMap(({ from, to }) =>
          this.#on(from, (table) => db.move([{ table, to: { ...to, schema: this.#schema(to.schema) } }])),
        );
      case "alter-table":
        return this.#alter(statement);
      case "recover-table": {
        const { table: from, to } = statement;
        const table = from && db.recover(from, to ?? from);
        return table ? [table.name] : [];
      }
      default:
        return [];
    }
  }

  #on(name: TableName, action: (table: Table) => void): TableName[] {
    const table = this.#temporary.has(this.#id(name)) ? undefined : this.#db.find(name);
    if (!table) return [];
    action(table);
    return [table.name];
  }

  #alter(statement: AlterTable): TableName[] {
    const { table: name, clauses } = statement;
    const others: TableName[] = [];
    const changed = this.#on(name, (table) => {
      alterTable(this.#db, table, statement);
      const to = clauses.find((one) => one.do === "rename-table")?.to;
      if (to) this.#db.move([{ table, to: { ...to, schema: this.#schema(to.schema) } }]);
      for (const clause of clauses)
        if (clause.do === "partition") others.push(...changeRows(this.#db, table, clause.change));
    });
    return [...changed, ...others];
  }

  /** A database's name as it was written first. */
  #schema(name: string): string {
    const of = (wanted: (schema: string) => boolean) =>
      this.#db.tables.find((one) => wanted(one.name.schema))?.name.schema;
    return of((one) => one === name) ?? of((one) => one.toLowerCase() === name.toLowerCase()) ?? name;
  }

  #dropDatabase(name: string): void {
    const schema = this.#schema(name);
    for (const table of this.#db.tables) if (table.name.schema === schema) this.#db.drop(table);
  }
}

type AlterTable = Extract<Statement, { kind: "alter-table" }>;

/** Columns and keys after a statement. */
export function alterTable(db: Database, table: Table, { clauses, ignore }: AlterTable): void {
  const { shape, sources } = changeShape(table.shape, clauses);
  db.alter(table, shape, sources);
  const makesKey = clauses.some(
    (one) => one.do === "add-primary" || one.do === "add-unique" || ("column" in one && one.column.unique),
  );
  if (ignore && makesKey && table.rows.size > 1)
    table.unknown ??= "ALTER IGNORE took out rows of equal keys, and it is not known which";
}

type Change = Extract<Clause, { do: "partition" }>["change"];

/**
 * What becomes of rows and partitions.
 * @returns other tables that have a new version by it
 */
export function changeRows(db: Database, table: Table, change: Change): TableName[] {
  const before = table.partitions;
  const other = "table" in change ? db.find(change.table) : undefined;
  const of = (names: readonly string[] | undefined) => rowsOf(db, table, before, names);
  if (change.op === "exchange") {
    if (!other) return [];
    const rows = of([change.name]);
    const theirs = db.take(other, () => true);
    if (rows === undefined) other.unknown = table.unknown;
    db.give(other, rows ?? []);
    db.give(table, theirs);
    if (other.unknown !== undefined) table.unknown ??= other.unknown;
    return [other.name];
  }
  if (change.op === "drop" || change.op === "truncate") of(change.names);
  if (change.op === "first")
    table.unknown ??= "rows of partitions below a bound went, and it is not known which";
  const others: TableName[] = [];
  if (change.op === "to-table") {
    const created = db.create(change.table, table.shape);
    const rows = of([change.name]);
    if (rows === undefined) created.unknown = table.unknown;
    db.give(created, rows ?? []);
    others.push(created.name);
  }
  if (change.op === "from-table" && other) {
    db.give(
      table,
      db.take(other, () => true),
    );
    db.drop(other);
  }
  try {
    table.partitions = changePartitions(0n, before, change, NO_IDS).partitions;
  } catch {
    // The log was checked before: what does not fit has a warning there.
  }
  return others;
}

/** Takes the rows of partitions out of a table; undefined if nobody can say which they are. */
function rowsOf(
  db: Database,
  table: Table,
  partitions: PartitionState | undefined,
  names: readonly string[] | undefined,
): Row[] | undefined {
  if (names === undefined) return db.take(table, () => true);
  if (!partitions) return [];
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  let told = true;
  const taken = db.take(table, (row) => {
    const place = locate(partitions, (column) => columnValue(row, table.shape, column));
    if (place === undefined) told = false;
    return place !== undefined && wanted.has(partitions.parts[place]!.name.toLowerCase());
  });
  if (told) return taken;
  table.unknown ??= "rows of a partition went, and it is not known which";
  return undefined;
}

function columnValue(row: Row, shape: TableShape, column: string) {
  const spelled = shape.columns.find((one) => one.name.toLowerCase() === column.toLowerCase());
  return spelled && row.get(spelled.name);
}
