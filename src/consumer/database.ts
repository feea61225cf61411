import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { ColumnChange } from "../changelog/sql.ts";
import type { CanalMessage, CanalRow, Column } from "../changelog/types.ts";

interface Table {
  readonly columns: readonly Column[];
}

/**
 * Tables in SQLite, every value as the text that Canal-JSON has. DDLs come as shapes; rows as Canal-JSON messages, which
 * may be applied twice.
 */
export class Database {
  readonly #db = new DatabaseSync(":memory:");
  readonly #tables = new Map<string, Table>();

  constructor() {
    this.#db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
  }

  get tables(): readonly string[] {
    return [...this.#tables.keys()].sort();
  }

  columns(table: string): readonly Column[] | undefined {
    return this.#tables.get(table)?.columns;
  }

  close(): void {
    this.#db.close();
  }

  create(table: string, columns: readonly Column[]): void {
    const keys = columns.filter((column) => column.isPrimaryKey).map((column) => identifier(column.name));
    const all = columns.map((column) => identifier(column.name)).join(", ");
    this.#db.exec(
      `CREATE TABLE ${identifier(table)} (${all}, PRIMARY KEY (${keys.join(", ")})) WITHOUT ROWID`,
    );
    this.#tables.set(table, { columns });
  }

  drop(table: string): void {
    this.#db.exec(`DROP TABLE ${identifier(table)}`);
    this.#tables.delete(table);
  }

  truncate(table: string): void {
    this.#db.exec(`DELETE FROM ${identifier(table)}`);
  }

  rename(from: string, to: string): void {
    this.#db.exec(`ALTER TABLE ${identifier(from)} RENAME TO ${identifier(to)}`);
    this.#tables.set(to, this.#tables.get(from)!);
    this.#tables.delete(from);
  }

  /** Gives a table other columns. Rows keep what they have; new columns get their default. */
  alter(table: string, columns: readonly Column[], changes: readonly ColumnChange[]): void {
    const before = this.#tables.get(table)!.columns;
    const source = new Map<string, string>(before.map((column) => [column.name, identifier(column.name)]));
    for (const change of changes) {
      const name =
        change.do === "change" ? change.column.name : change.do === "rename" ? change.to : undefined;
      if (change.do === "add")
        source.set(change.column.name, change.default === null ? "NULL" : literal(change.default));
      else if (name !== undefined && name !== (change as { name: string }).name) {
        source.set(name, source.get((change as { name: string }).name)!);
        source.delete((change as { name: string }).name);
      }
    }
    const old = `${table} before`;
    this.rename(table, old);
    this.create(table, columns);
    const into = columns.map((column) => identifier(column.name)).join(", ");
    const from = columns.map((column) => source.get(column.name) ?? "NULL").join(", ");
    this.#db.exec(`INSERT INTO ${identifier(table)} (${into}) SELECT ${from} FROM ${identifier(old)}`);
    this.drop(old);
  }

  /** Applies a row change. Applying it again changes nothing. */
  apply(table: string, message: CanalMessage): void {
    const { columns } = this.#tables.get(table)!;
    const keys = columns.filter((column) => column.isPrimaryKey).map((column) => column.name);
    for (const [index, row] of (message.data ?? []).entries()) {
      const before = message.type === "UPDATE" ? { ...row, ...message.old?.[index] } : row;
      if (message.type !== "INSERT") this.#delete(table, keys, before);
      if (message.type !== "DELETE") this.#put(table, columns, row);
    }
  }

  *rows(table: string): Iterable<{ key: string; row: CanalRow }> {
    const { columns } = this.#tables.get(table)!;
    const keys = columns.filter((column) => column.isPrimaryKey).map((column) => column.name);
    const order = keys.map(identifier).join(", ");
    for (const row of this.#db.prepare(`SELECT * FROM ${identifier(table)} ORDER BY ${order}`).iterate())
      yield { key: JSON.stringify(keys.map((key) => row[key])), row: row as CanalRow };
  }

  #delete(table: string, keys: readonly string[], row: CanalRow): void {
    const where = keys.map((key) => `${identifier(key)} = ?`).join(" AND ");
    this.#prepare(`DELETE FROM ${identifier(table)} WHERE ${where}`).run(
      ...keys.map((key) => value(row[key])),
    );
  }

  #put(table: string, columns: readonly Column[], row: CanalRow): void {
    const names = columns.map((column) => identifier(column.name)).join(", ");
    const marks = columns.map(() => "?").join(", ");
    this.#prepare(`INSERT OR REPLACE INTO ${identifier(table)} (${names}) VALUES (${marks})`).run(
      ...columns.map((column) => value(row[column.name])),
    );
  }

  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  #prepare(sql: string): ReturnType<DatabaseSync["prepare"]> {
    const known = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}

const value = (one: string | null | undefined): SQLInputValue => one ?? null;
const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
