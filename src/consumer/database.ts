import type { TableName } from "../changelog/cursor.ts";
import type { PartitionState } from "../changelog/partition-change.ts";
import { columnValue } from "../changelog/read.ts";
import { handleOf, sameName, type TableShape } from "../changelog/shape.ts";
import type { CanalMessage, CanalRow } from "../changelog/types.ts";
import { convert, type Value, valueOfNew } from "./values.ts";

/** A row by column, as the definition spells columns. */
export type Row = ReadonlyMap<string, Value>;

export interface Table {
  readonly name: TableName;
  shape: TableShape;
  partitions: PartitionState | undefined;
  /** What rows are kept by; empty: by everything that they hold. */
  key: readonly string[];
  /** Where rows cannot be told apart several are equal. */
  rows: Map<string, Row[]>;
  /** Why the content cannot be known any more: then nobody compares it. */
  unknown: string | undefined;
}

const UNNAMED = {
  notNull: false,
  default: { kind: "none" },
  generated: false,
  autoIncrement: false,
  primary: false,
  unique: false,
} as const;

const id = ({ schema, table }: TableName) => JSON.stringify([schema, table]);

/** Tables with rows, every value as the text that Canal-JSON has. Rows come as Canal-JSON messages and may come twice. */
export class Database {
  readonly #tables = new Map<string, Table>();
  /** Dropped and truncated tables, the last of each name: RECOVER and FLASHBACK bring them back. */
  readonly #bin = new Map<string, Table>();

  get tables(): readonly Table[] {
    return [...this.#tables.values()].sort((a, b) => (id(a.name) < id(b.name) ? -1 : 1));
  }

  /** The table of a name, written as it was created or else in any case. */
  find(name: TableName): Table | undefined {
    const exact = this.#tables.get(id(name));
    if (exact) return exact;
    return this.tables.find(
      (one) => sameName(one.name.schema, name.schema) && sameName(one.name.table, name.table),
    );
  }

  create(name: TableName, shape: TableShape, partitions?: PartitionState): Table {
    const table: Table = {
      name,
      shape,
      partitions,
      key: handleOf(shape),
      rows: new Map(),
      unknown: undefined,
    };
    this.#tables.set(id(name), table);
    return table;
  }

  drop(table: Table): void {
    this.#tables.delete(id(table.name));
    this.#bin.set(id(table.name).toLowerCase(), table);
  }

  truncate(table: Table): void {
    this.#bin.set(id(table.name).toLowerCase(), { ...table });
    table.rows = new Map();
    table.unknown = undefined;
  }

  /** Brings a dropped table back, under a name. */
  recover(from: TableName, to: TableName): Table | undefined {
    const found = this.#bin.get(id(from).toLowerCase());
    if (!found) return undefined;
    const table = { ...found, name: to };
    this.#tables.set(id(to), table);
    return table;
  }

  /** Gives tables other names, all at once: each is taken from its old place before any comes to its new one. */
  move(moves: readonly { readonly table: Table; readonly to: TableName }[]): void {
    for (const { table } of moves) this.#tables.delete(id(table.name));
    for (const { table, to } of moves) this.#tables.set(id(to), Object.assign(table, { name: to }));
  }

  /** Gives a table other columns. Rows keep what they have, in another type where it is one; new columns get their default. */
  alter(table: Table, shape: TableShape, sources: ReadonlyMap<string, string>): void {
    const before = new Map(table.shape.columns.map((one) => [one.name, one]));
    const columns = shape.columns.map((column) => {
      const source = sources.get(column.name);
      return { column, old: source === undefined ? undefined : before.get(source) };
    });
    const rows = [...table.rows.values()].flat().map((row): Row => {
      const values = columns.map(({ column, old }): [string, Value] => {
        if (old === undefined) return [column.name, valueOfNew(column)];
        const value = convert(row.get(old.name), old.type, column.type);
        return [
          column.name,
          value === null && column.notNull ? valueOfNew({ ...column, default: { kind: "none" } }) : value,
        ];
      });
      return new Map(values);
    });
    const renamed = new Map([...sources].map(([to, from]) => [from, to]));
    const follow = (names: readonly string[]) => names.flatMap((name) => renamed.get(name) ?? []);
    // What rows said of their key holds until a DDL says something else.
    const handle = handleOf(shape);
    const same = JSON.stringify(handle) === JSON.stringify(follow(handleOf(table.shape)));
    table.key = same ? follow(table.key) : handle;
    table.shape = shape;
    this.#fill(table, rows);
  }

  /** Applies a row change. Applying it again changes nothing, unless the table has no key. */
  apply(table: Table, message: CanalMessage): void {
    this.#learn(table, message);
    this.#keepBy(table, message.pkNames ?? []);
    for (const [index, row] of (message.data ?? []).entries()) {
      const before = message.type === "UPDATE" ? { ...row, ...message.old?.[index] } : row;
      if (message.type !== "INSERT") this.#delete(table, this.#row(table, before));
      if (message.type !== "DELETE") this.#put(table, this.#row(table, row));
    }
  }

  /** Rows that a function picks leave the table, and are returned. */
  take(table: Table, wanted: (row: Row) => boolean): Row[] {
    const taken: Row[] = [];
    const left: Row[] = [];
    for (const row of [...table.rows.values()].flat()) (wanted(row) ? taken : left).push(row);
    table.rows = new Map();
    this.give(table, left);
    return taken;
  }

  give(table: Table, rows: readonly Row[]): void {
    for (const row of rows) this.#put(table, row);
  }

  *rows(table: Table): Iterable<{ key: string; row: Row }> {
    const keys = [...table.rows.keys()].sort();
    for (const key of keys) for (const row of table.rows.get(key)!) yield { key, row };
  }

  /** Columns that only rows name. */
  #learn(table: Table, message: CanalMessage): void {
    const known = new Set(table.shape.columns.map((one) => one.name.toLowerCase()));
    const more = Object.keys(message.data?.[0] ?? {}).filter((name) => !known.has(name.toLowerCase()));
    if (more.length === 0) return;
    const columns = more.map((name) => ({ ...UNNAMED, name, type: message.mysqlType?.[name] ?? "" }));
    table.shape = { ...table.shape, columns: [...table.shape.columns, ...columns] };
  }

  /** The columns that the row names as its key stand above those that a DDL was understood to say. */
  #keepBy(table: Table, names: readonly string[]): void {
    if (names.length === 0) return;
    const key = names.map(
      (name) => table.shape.columns.find((one) => sameName(one.name, name))?.name ?? name,
    );
    if (key.length === table.key.length && key.every((name, index) => name === table.key[index])) return;
    table.key = key;
    this.#fill(table, [...table.rows.values()].flat());
  }

  #fill(table: Table, rows: readonly Row[]): void {
    table.rows = new Map();
    for (const row of rows) {
      const key = keyOf(table, row);
      table.rows.set(key, [...(table.rows.get(key) ?? []), row]);
    }
    if (rows.length > 0 && table.key.some((name) => rows.some((row) => row.get(name) === undefined)))
      table.unknown ??= "its key has values that only the server knows";
  }

  #row(table: Table, row: CanalRow): Row {
    const values = table.shape.columns.map(({ name }): [string, Value] => [name, columnValue(row, name)]);
    return new Map(values);
  }

  #delete(table: Table, row: Row): void {
    const key = keyOf(table, row);
    const rows = table.rows.get(key);
    if (!rows) return;
    // Of equal rows one goes.
    if (table.key.length > 0 || rows.length === 1) table.rows.delete(key);
    else rows.pop();
  }

  #put(table: Table, row: Row): void {
    const key = keyOf(table, row);
    if (table.key.length > 0) table.rows.set(key, [row]);
    else table.rows.set(key, [...(table.rows.get(key) ?? []), row]);
  }
}

function keyOf(table: Table, row: Row): string {
  const names = table.key.length > 0 ? table.key : table.shape.columns.map((one) => one.name);
  return JSON.stringify(names.map((name) => row.get(name) ?? null));
}
