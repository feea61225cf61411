import type { Database } from "../database.ts";
import type { ServerTable } from "./server.ts";

/** Compares what a consumer has with a dump of the server. @returns differences, and what only the server knows, as `table.column` */
export function compareTables(
  actual: Database,
  wanted: ReadonlyMap<string, ServerTable>,
): { differences: string[]; unknown: string[] } {
  const differences: string[] = [];
  const unknown: string[] = [];
  const left = new Map(wanted);
  for (const table of actual.tables) {
    const id = `${table.name.schema}.${table.name.table}`;
    const theirs = left.get(id);
    left.delete(id);
    if (!theirs) {
      differences.push(`${id}: the server has no such table`);
      continue;
    }
    if (table.unknown !== undefined) {
      unknown.push(`${id}: ${table.unknown}`);
      continue;
    }
    // Neither TiCDC nor the folder has what the server computes at each reading.
    const named = table.shape.columns.map((one) => one.name);
    const names = theirs.columns.map((one) => one.name);
    if (names.join() !== named.join())
      differences.push(`${id}: columns ${named.join()}, and not ${names.join()}`);
    const rows = [...actual.rows(table)].map(({ row }) => names.map((name) => row.get(name)));
    const open = new Set(
      names.filter(
        (name, index) => rows.some((row) => row[index] === undefined) && unknown.push(`${id}.${name}`),
      ),
    );
    const line = (row: readonly (string | null | undefined)[]) =>
      JSON.stringify(
        row.map((value, index) => {
          const { name, dataType } = theirs.columns[index]!;
          if (open.has(name)) return "?";
          return value && ["float", "double"].includes(dataType) ? Number(value) : value;
        }),
      );
    const ours = rows.map(line).sort();
    const expected = theirs.rows.map(line).sort();
    for (const one of ours.filter((row) => !take(expected, row)))
      differences.push(`${id}: the server does not have ${one.slice(0, 300)}`);
    for (const one of expected) differences.push(`${id}: only the server has ${one.slice(0, 300)}`);
  }
  for (const id of left.keys()) differences.push(`${id}: only the server has this table`);
  return { differences, unknown };
}

function take(from: string[], one: string): boolean {
  const index = from.indexOf(one);
  if (index >= 0) from.splice(index, 1);
  return index >= 0;
}
