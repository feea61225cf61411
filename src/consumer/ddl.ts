import { changeColumns, parseStatement } from "../changelog/sql.ts";
import type { Column } from "../changelog/types.ts";
import type { Database } from "./database.ts";

/** `schema.table`, as tables are named in both databases. */
export const tableName = (schema: string, table: string) => `${schema}.${table}`;

/**
 * Applies a DDL statement to a database.
 * @param columns the columns after it, where somebody else says them (a schema file); otherwise they come from the statement
 * @returns the tables that have a new version now
 * @throws if the statement does not fit what is there
 */
export function applyStatement(
  db: Database,
  query: string,
  schema: string,
  columns?: readonly Column[],
): string[] {
  const statement = parseStatement(query, schema);
  const of = (name: { schema: string; table: string }) => tableName(name.schema, name.table);
  const existing = (name: string) => {
    const known = db.columns(name);
    if (!known) throw new Error(`${statement.kind} on ${name}, which does not exist at this point`);
    return known;
  };
  switch (statement.kind) {
    case "create-table":
      db.create(of(statement.table), columns ?? statement.columns);
      return [of(statement.table)];
    case "create-table-like":
      db.create(of(statement.table), columns ?? existing(of(statement.like)));
      return [of(statement.table)];
    case "drop-table":
      for (const table of statement.tables) {
        existing(of(table));
        db.drop(of(table));
      }
      return [];
    case "truncate-table":
      existing(of(statement.tables[0]!));
      db.truncate(of(statement.tables[0]!));
      return [of(statement.tables[0]!)];
    case "rename-table":
      for (const { from, to } of statement.renames) {
        existing(of(from));
        db.rename(of(from), of(to));
      }
      return statement.renames.map(({ to }) => of(to));
    case "alter-table": {
      const name = of(statement.table);
      const after = columns ?? changeColumns(existing(name), statement.changes);
      existing(name);
      if (statement.changes.length > 0) db.alter(name, after, statement.changes);
      return [name];
    }
    case "drop-database":
      for (const table of db.tables) if (table.startsWith(`${statement.database}.`)) db.drop(table);
      return [];
    default:
      return [];
  }
}
