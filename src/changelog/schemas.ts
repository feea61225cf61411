import type { TableName } from "./cursor.ts";
import type { PartitionState } from "./partition-change.ts";
import type { TableShape } from "./shape.ts";
import type { OtherThing } from "./statement.ts";
import { UnknownStatement } from "./tokens.ts";

export type { OtherThing };

interface TableFields {
  readonly tableId: bigint;
  readonly version: bigint;
  readonly shape: TableShape;
  /** Whether the statement named all columns: otherwise rows do. */
  readonly complete: boolean;
  readonly partitions: PartitionState | undefined;
}

export interface TableState extends TableFields {
  /** The ids that dispatchers stand for: the partitions', or the table's own. */
  readonly physical: readonly bigint[];
}

export interface SchemaState {
  /** As it was created. */
  readonly name: string;
  readonly schemaId: bigint;
  /** The log never created it: it was there before. */
  readonly implied: boolean;
  readonly tables: Map<string, TableState>;
  readonly others: Map<string, OtherThing>;
}

/**
 * Databases and what they hold, by name. A name is looked for as it is written, then in any case: servers differ in whether
 * `Orders` is `orders`, and where both are there they are two.
 */
export class Schemas {
  readonly #schemas = new Map<string, SchemaState>();
  readonly #dropped = new Map<string, SchemaState>();
  /** Tables that were dropped or truncated, the last of each name: RECOVER and FLASHBACK bring them back. */
  readonly #buried = new Map<string, TableState>();
  #lastId = 100n;

  nextId(): bigint {
    this.#lastId += 1n;
    return this.#lastId;
  }

  get(name: string): SchemaState | undefined {
    return inAnyCase(this.#schemas, name);
  }

  /** The database of a name. One that the log did not create was there before. */
  of(name: string): SchemaState {
    if (name === "")
      throw new UnknownStatement("a table has no database: write it into database, or before its name");
    return this.get(name) ?? this.create(name, true);
  }

  create(name: string, implied = false): SchemaState {
    const before = this.get(name);
    const schema: SchemaState = before
      ? { ...before, implied }
      : { name, schemaId: this.nextId(), implied, tables: new Map(), others: new Map() };
    this.#schemas.set(schema.name, schema);
    return schema;
  }

  drop(schema: SchemaState): void {
    this.#schemas.delete(schema.name);
    this.#dropped.set(schema.name.toLowerCase(), schema);
  }

  find(name: TableName): { name: TableName; schema: SchemaState; table: TableState } | undefined {
    const schema = this.get(name.schema);
    if (!schema) return undefined;
    const spelled = spelling(schema.tables, name.table);
    if (spelled === undefined) return undefined;
    return { name: { schema: schema.name, table: spelled }, schema, table: schema.tables.get(spelled)! };
  }

  put(name: TableName, table: TableFields): TableState {
    const physical = table.partitions ? table.partitions.parts.map((one) => one.tableId) : [table.tableId];
    const state = { ...table, physical };
    this.of(name.schema).tables.set(name.table, state);
    return state;
  }

  /** What else holds a name; with `remove` it goes. */
  other(name: TableName, remove = false): OtherThing | undefined {
    const others = this.get(name.schema)?.others;
    const spelled = others && spelling(others, name.table);
    if (spelled === undefined) return undefined;
    const what = others!.get(spelled);
    if (remove) others!.delete(spelled);
    return what;
  }

  bury(name: TableName, table: TableState): void {
    this.get(name.schema)?.tables.delete(name.table);
    this.remember(name, table);
  }

  remember(name: TableName, table: TableState): void {
    this.#buried.set(id(name), table);
  }

  unbury(name: TableName): TableState | undefined {
    const found = this.#buried.get(id(name));
    this.#buried.delete(id(name));
    return found;
  }

  unburyDatabase(name: string): SchemaState | undefined {
    const found = this.#dropped.get(name.toLowerCase());
    this.#dropped.delete(name.toLowerCase());
    return found;
  }
}

const id = ({ schema, table }: TableName) => JSON.stringify([schema.toLowerCase(), table.toLowerCase()]);

function spelling(names: ReadonlyMap<string, unknown>, wanted: string): string | undefined {
  if (names.has(wanted)) return wanted;
  return [...names.keys()].find((one) => one.toLowerCase() === wanted.toLowerCase());
}

function inAnyCase<T>(from: ReadonlyMap<string, T>, name: string): T | undefined {
  const spelled = spelling(from, name);
  return spelled === undefined ? undefined : from.get(spelled);
}
