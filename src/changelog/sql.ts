import parserModule from "node-sql-parser/build/mysql.js";
import type { Column } from "./types.ts";

/** A DDL statement, as far as it matters to who must stop and what becomes of which table. */
export type Statement =
  | { readonly kind: "create-database" | "drop-database" | "alter-database"; readonly database: string }
  | {
      readonly kind: "create-table";
      readonly table: TableName;
      readonly columns: readonly Column[];
      readonly defaults: Defaults;
    }
  | { readonly kind: "create-table-like"; readonly table: TableName; readonly like: TableName }
  | { readonly kind: "drop-table" | "truncate-table"; readonly tables: readonly TableName[] }
  | {
      readonly kind: "rename-table";
      readonly renames: readonly { readonly from: TableName; readonly to: TableName }[];
    }
  | { readonly kind: "alter-table"; readonly table: TableName; readonly changes: readonly ColumnChange[] }
  | { readonly kind: "create-view" | "drop-view" };

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** Values that rows which are there already get in new columns, as text. */
export type Defaults = Readonly<Record<string, string | null>>;

export type ColumnChange =
  | {
      readonly do: "add";
      readonly column: Column;
      readonly after?: string;
      readonly first?: boolean;
      readonly default: string | null;
    }
  | { readonly do: "drop"; readonly name: string }
  | { readonly do: "change"; readonly name: string; readonly column: Column }
  | { readonly do: "rename"; readonly name: string; readonly to: string };

/** A statement that cannot be classified; `message` says why. */
export class UnknownStatement extends Error {
  override readonly name = "UnknownStatement";
}

// biome-ignore lint/suspicious/noExplicitAny: the parser's syntax tree has no types worth the name
type Tree = any;
const { Parser } = parserModule as {
  Parser: new () => { astify(sql: string, options: { database: string }): Tree };
};
const parser = new Parser();

const NAME = "(?:`(?:[^`]|``)+`|[\\w$\\u0080-\\uffff]+)";
const ALTER_DATABASE = new RegExp(`^\\s*ALTER\\s+(?:DATABASE|SCHEMA)\\s+(${NAME})`, "i");
const DROP_DATABASE = new RegExp(
  `^\\s*DROP\\s+(?:DATABASE|SCHEMA)\\s+(?:IF\\s+EXISTS\\s+)?(${NAME})\\s*;?\\s*$`,
  "i",
);
const ALTER_RENAME = new RegExp(
  `^\\s*ALTER\\s+TABLE\\s+(${NAME}(?:\\s*\\.\\s*${NAME})?)\\s+RENAME\\s+(?:TO\\s+|AS\\s+)?(${NAME}(?:\\s*\\.\\s*${NAME})?)\\s*;?\\s*$`,
  "i",
);

/**
 * Parses a MySQL DDL statement.
 * @param database the one that names without a schema belong to
 * @throws UnknownStatement if it is not understood; nothing is guessed
 */
export function parseStatement(sql: string, database: string): Statement {
  // Three ordinary forms that the parser does not know.
  const dropped = DROP_DATABASE.exec(sql);
  if (dropped) return { kind: "drop-database", database: unquote(dropped[1]!) };
  const altered = ALTER_DATABASE.exec(sql);
  if (altered) return { kind: "alter-database", database: unquote(altered[1]!) };
  const renamed = ALTER_RENAME.exec(sql);
  if (renamed) return parseStatement(`RENAME TABLE ${renamed[1]} TO ${renamed[2]}`, database);
  let tree: Tree;
  try {
    const parsed = parser.astify(sql, { database: "MySQL" });
    const all: Tree[] = Array.isArray(parsed) ? parsed : [parsed];
    if (all.length !== 1)
      throw new UnknownStatement(`${all.length} statements in one DDL: write them one by one`);
    tree = all[0];
  } catch (error) {
    if (error instanceof UnknownStatement) throw error;
    const why = error instanceof Error ? error.message.slice(0, 120) : String(error);
    throw new UnknownStatement(`the statement cannot be parsed (${why})`);
  }
  return fromTree(tree, database);
}

function fromTree(tree: Tree, database: string): Statement {
  const name = (one: Tree): TableName => ({ schema: one.db ?? database, table: one.table });
  switch (`${tree.type} ${tree.keyword ?? ""}`.trim()) {
    case "create database":
    case "create schema":
      return { kind: "create-database", database: tree.database.schema[0].value };
    case "drop database":
    case "drop schema":
      return {
        kind: "drop-database",
        database: typeof tree.name === "string" ? tree.name : tree.name[0].value,
      };
    case "create table":
      if (tree.like)
        return { kind: "create-table-like", table: name(tree.table[0]), like: name(tree.like.table[0]) };
      return {
        kind: "create-table",
        table: name(tree.table[0]),
        ...definitions(tree.create_definitions ?? []),
      };
    case "drop table":
      return { kind: "drop-table", tables: tree.name.map(name) };
    case "truncate table":
      return { kind: "truncate-table", tables: tree.name.map(name) };
    case "rename":
    case "rename table":
      return {
        kind: "rename-table",
        renames: tree.table.map(([from, to]: [Tree, Tree]) => ({ from: name(from), to: name(to) })),
      };
    case "create index":
    case "drop index":
      return { kind: "alter-table", table: name(tree.table), changes: [] };
    case "alter":
    case "alter table":
      return { kind: "alter-table", table: name(tree.table[0]), changes: tree.expr.flatMap(columnChange) };
    case "create view":
      return { kind: "create-view" };
    case "drop view":
      return { kind: "drop-view" };
    default:
      throw new UnknownStatement(
        `a statement of kind "${tree.type} ${tree.keyword ?? ""}" changes no table that is known of`,
      );
  }
}

function definitions(parts: readonly Tree[]): { columns: Column[]; defaults: Defaults } {
  const primary = new Set<string>();
  for (const part of parts) {
    if (part.resource === "column" && part.primary_key) primary.add(part.column.column);
    if (part.resource === "constraint" && /primary key/i.test(part.constraint_type))
      for (const one of part.definition) primary.add(one.column);
  }
  const columns = parts
    .filter((part) => part.resource === "column")
    .map((part) => column(part, primary.has(part.column.column)));
  return { columns, defaults: {} };
}

function column(part: Tree, isPrimaryKey: boolean): Column {
  return { name: part.column.column, type: typeText(part.definition), isPrimaryKey };
}

function typeText(definition: Tree): string {
  const scale = definition.scale === undefined || definition.scale === null ? "" : `,${definition.scale}`;
  const length =
    definition.length === undefined || definition.length === null ? "" : `(${definition.length}${scale})`;
  const values = definition.expr?.value
    ? `(${definition.expr.value.map((one: Tree) => `'${one.value}'`).join(",")})`
    : "";
  return `${String(definition.dataType).toLowerCase()}${length}${values}`;
}

function columnChange(part: Tree): ColumnChange[] {
  if (part.resource === "partition")
    throw new UnknownStatement("partitions are not supported by replay: leave the statement out");
  if (part.resource !== "column") return [];
  const { action } = part;
  if (action === "add") {
    const after = part.suffix?.expr?.column;
    return [
      {
        do: "add",
        column: column(part, part.primary_key !== undefined),
        default: defaultText(part.default_val),
        ...(after && { after }),
        ...(/first/i.test(part.suffix?.keyword ?? "") && !after && { first: true }),
      },
    ];
  }
  if (action === "drop") return [{ do: "drop", name: part.column.column }];
  if (action === "modify") return [{ do: "change", name: part.column.column, column: column(part, false) }];
  if (action === "change")
    return [{ do: "change", name: part.old_column.column, column: column(part, false) }];
  if (action === "rename") return [{ do: "rename", name: part.old_column.column, to: part.column.column }];
  throw new UnknownStatement(`ALTER TABLE ... ${action} COLUMN is not known`);
}

function defaultText(value: Tree): string | null {
  const literal = value?.value;
  if (literal === undefined || literal.type === "null") return null;
  if (["number", "single_quote_string", "string", "bool"].includes(literal.type))
    return String(literal.value);
  throw new UnknownStatement(
    "a new column's default must be a literal, so that rows which are there already get it too",
  );
}

function unquote(name: string): string {
  return name.startsWith("`") ? name.slice(1, -1).replaceAll("``", "`") : name;
}

/** A name as SQL writes it. */
export function quote({ schema, table }: TableName): string {
  const one = (name: string) => `\`${name.replaceAll("`", "``")}\``;
  return `${one(schema)}.${one(table)}`;
}

/** The columns after a change, in their order. */
export function changeColumns(columns: readonly Column[], changes: readonly ColumnChange[]): Column[] {
  const result = [...columns];
  const at = (name: string) => {
    const index = result.findIndex((one) => one.name.toLowerCase() === name.toLowerCase());
    if (index < 0) throw new UnknownStatement(`column "${name}" does not exist`);
    return index;
  };
  for (const change of changes)
    switch (change.do) {
      case "add": {
        const index = change.first ? 0 : change.after ? at(change.after) + 1 : result.length;
        result.splice(index, 0, change.column);
        break;
      }
      case "drop":
        result.splice(at(change.name), 1);
        break;
      case "change": {
        const index = at(change.name);
        result[index] = { ...change.column, isPrimaryKey: result[index]!.isPrimaryKey };
        break;
      }
      case "rename": {
        const index = at(change.name);
        result[index] = { ...result[index]!, name: change.to };
        break;
      }
    }
  return result;
}
