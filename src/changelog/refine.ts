import { quote } from "./cursor.ts";
import { sameName } from "./shape.ts";
import type { Change, Column, DdlChange, RowChange, TableDefinition } from "./types.ts";

/**
 * Columns as rows have them: a row names its columns, their types and its key, and stands above what a DDL was understood to say.
 * The first row of a table's version decides; a column that rows leave out stays, for a generated one is not in them.
 */
export function refine(changes: readonly Change[]): Change[] {
  const rows = new Map<string, Rows>();
  for (const change of changes)
    if (change.kind === "row") {
      const id = idOf(change.schema, change.table, change.tableVersion);
      const known = rows.get(id) ?? { first: change, names: new Set<string>() };
      rows.set(id, known);
      for (const name of Object.keys(change.message.data?.[0] ?? {})) known.names.add(name);
    }
  return changes.map((change) => (change.kind === "ddl" ? refineDdl(change, rows) : change));
}

interface Rows {
  readonly first: RowChange;
  /** The columns of all of them. */
  readonly names: Set<string>;
}

function refineDdl(change: DdlChange, rows: ReadonlyMap<string, Rows>): DdlChange {
  const warnings: string[] = [];
  const better = (definition: TableDefinition): TableDefinition => {
    const row = rows.get(idOf(definition.schema, definition.table, definition.version));
    return row ? withRow(definition, row, warnings) : definition;
  };
  const definitions = change.definitions.map(better);
  const steps = change.steps.map((step) => ({ ...step, definition: better(step.definition) }));
  return { ...change, steps, definitions, warnings: [...new Set([...change.warnings, ...warnings])] };
}

const idOf = (schema: string, table: string, version: bigint) =>
  JSON.stringify([schema, table, version.toString()]);

function withRow(definition: TableDefinition, { first, names }: Rows, warnings: string[]): TableDefinition {
  const { message, at } = first;
  const types = message.mysqlType ?? {};
  const typeOf = (name: string) => {
    const spelled = Object.keys(types).find((one) => sameName(one, name));
    const type = spelled === undefined ? undefined : types[spelled];
    return typeof type === "string" ? type : undefined;
  };
  const key = message.pkNames ?? [];
  const isPrimaryKey = (column: Column) =>
    key.length > 0 && definition.columns.some((one) => one.isPrimaryKey)
      ? key.some((one) => sameName(one, column.name))
      : column.isPrimaryKey;
  const columns: Column[] = definition.columns.map((column) => ({
    ...column,
    type: betterType(column.type, typeOf(column.name)),
    isPrimaryKey: isPrimaryKey(column),
  }));
  const more = [...names].filter((name) => !columns.some((one) => sameName(one.name, name)));
  for (const name of more)
    columns.push({ name, type: typeOf(name) ?? "", isPrimaryKey: key.some((one) => sameName(one, name)) });
  if (more.length > 0)
    warnings.push(
      `${quote(definition)}: rows from line ${at.line} on have columns that no DDL names: ${more.slice(0, 5).join(", ")}`,
    );
  return { ...definition, columns };
}

/** The row's type, unless it is the same in fewer words: TiCDC writes no lengths by default. */
function betterType(known: string, row: string | undefined): string {
  if (row === undefined || row === "") return known;
  const base = (type: string) => /^[a-z]+/i.exec(type)?.[0].toLowerCase() ?? "";
  return base(known) === base(row) ? known : row.toLowerCase();
}
