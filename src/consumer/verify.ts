import { readMessages } from "../changelog/read.ts";
import type { CanalMessage } from "../changelog/types.ts";
import { Database } from "./database.ts";
import { applyStatement, tableName } from "./ddl.ts";
import { type DataRow, readFolder, type SchemaFile } from "./folder.ts";
import { type Difference, MAX_DIFFERENCES, type Verdict } from "./verdict.ts";

/**
 * Compares what dispatchers wrote with the log that they read. One database is filled from the output folder alone, in
 * storage order, as a consumer downstream would; the other by the log itself, in commitTs order.
 * @param log a change log
 * @param out an output folder in TiCDC's storage layout
 */
export async function verify(log: string, out: string): Promise<Verdict> {
  const folder = readFolder(out);
  const differences = new Differences(folder.differences);
  const lastFile = new Map<string, string>();
  const expected = new Database();
  const lastFolder = new Map<string, string>();
  const reference = await applyLog(expected, log, lastFolder);
  checkSchemas(folder.schemas, reference.definitions, differences);
  checkPlaces(folder.rows, reference.places, differences);
  const actual = new Database();
  consume(actual, folder.schemas, folder.rows, differences, lastFile);
  compare(expected, actual, differences, lastFile, lastFolder);
  const tables = expected.tables.length;
  expected.close();
  actual.close();
  return {
    ok: differences.count === 0,
    tables,
    rows: reference.rows,
    rowsApplied: folder.rows.length,
    files: folder.files,
    differences: differences.shown.slice(0, MAX_DIFFERENCES),
  };
}

/** Of a table's differences of one kind so many are shown: one missing schema file must not drown in its rows. */
const SHOWN_OF_A_KIND = 3;

class Differences {
  readonly shown: Difference[] = [];
  count = 0;
  readonly #kinds = new Map<string, number>();

  constructor(first: readonly Difference[]) {
    for (const one of first) this.push(one);
  }

  push(difference: Difference): void {
    this.count++;
    const kind = `${difference.table} ${difference.what.replaceAll(/\d+|"[^"]*"/g, "")}`;
    const seen = (this.#kinds.get(kind) ?? 0) + 1;
    this.#kinds.set(kind, seen);
    if (seen <= SHOWN_OF_A_KIND) this.shown.push(difference);
  }
}

/** Applies a folder in storage order: versions of all tables in order, of each the DDL and then its rows. */
function consume(
  db: Database,
  schemas: readonly SchemaFile[],
  rows: readonly DataRow[],
  differences: Differences,
  lastFile: Map<string, string>,
): void {
  const versions = new Map<bigint, { schemas: SchemaFile[]; rows: DataRow[] }>();
  const at = (version: bigint) => {
    const known = versions.get(version) ?? { schemas: [], rows: [] };
    versions.set(version, known);
    return known;
  };
  for (const schema of schemas) at(schema.version).schemas.push(schema);
  for (const row of rows) at(row.version).rows.push(row);
  for (const version of [...versions.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    const step = versions.get(version)!;
    for (const schema of step.schemas.sort((a, b) => (a.file < b.file ? -1 : 1))) {
      try {
        applyStatement(db, schema.query, schema.schema, schema.table === "" ? undefined : schema.columns);
      } catch (error) {
        const what = `the DDL cannot be applied here: ${(error as Error).message}`;
        differences.push({ what, table: tableName(schema.schema, schema.table), key: "", file: schema.file });
      }
    }
    step.rows.sort(byTime);
    for (const row of step.rows) applyRow(db, row, differences, lastFile);
  }
}

function applyRow(db: Database, row: DataRow, differences: Differences, lastFile: Map<string, string>): void {
  const table = tableName(row.schema, row.table);
  const columns = db.columns(table);
  const about = (what: string) =>
    differences.push({ what, table, key: keyOf(row.message), file: `${row.file}:${row.line}` });
  if (!columns) {
    about(`a row of a table that no schema file up to version ${row.version} has created`);
    return;
  }
  const names = new Set(columns.map((column) => column.name));
  const unknown = Object.keys(row.message.data?.[0] ?? {}).find((name) => !names.has(name));
  if (unknown !== undefined) about(`column "${unknown}" is not in the definition of version ${row.version}`);
  db.apply(table, row.message);
  lastFile.set(`${table} ${keyOf(row.message)}`, row.file);
}

function byTime(a: DataRow, b: DataRow): number {
  const left = a.message._tidb.commitTs;
  const right = b.message._tidb.commitTs;
  if (left !== right) return left < right ? -1 : 1;
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line;
}

interface Place {
  readonly folder: string;
  readonly table: string;
  readonly key: string;
}

interface Reference {
  /** Where each row change belongs, by what it says. */
  readonly places: Map<string, Place>;
  /** `schema/table/version` of every definition, with the statement. */
  readonly definitions: Map<string, string>;
  readonly rows: number;
}

/** Applies the log to a database, and notes in which folder each row and definition belongs. */
async function applyLog(db: Database, log: string, lastFolder: Map<string, string>): Promise<Reference> {
  const places = new Map<string, Place>();
  const definitions = new Map<string, string>();
  const versions = new Map<string, bigint>();
  let rows = 0;
  for await (const { message } of readMessages(log)) {
    const commitTs = message._tidb.commitTs;
    if (message.isDdl) {
      for (const table of applyStatement(db, message.sql, message.database)) {
        versions.set(table, commitTs);
        definitions.set(`${table} ${commitTs}`, message.sql);
      }
      continue;
    }
    rows++;
    const table = tableName(message.database, message.table);
    db.apply(table, message);
    const folder = `${message.database}/${message.table}/${versions.get(table)}`;
    const key = keyOf(message);
    places.set(identity(message), { folder, table, key });
    lastFolder.set(`${table} ${key}`, folder);
  }
  return { places, definitions, rows };
}

/** Every row stands in its folder, and in no other. */
function checkPlaces(
  rows: readonly DataRow[],
  places: ReadonlyMap<string, Place>,
  differences: Differences,
): void {
  const found = new Set<string>();
  for (const row of rows) {
    const id = identity(row.message);
    const place = places.get(id);
    const folder = `${row.schema}/${row.table}/${row.version}`;
    const about = (what: string) =>
      differences.push({
        what,
        table: tableName(row.schema, row.table),
        key: keyOf(row.message),
        file: `${row.file}:${row.line}`,
      });
    if (place === undefined) about("a row that the log does not have");
    else if (decodeURIComponent(row.file).startsWith(`${place.folder}/`)) found.add(id);
    else about(`stands in folder ${folder} and belongs to ${place.folder}`);
  }
  for (const [id, { folder, table, key }] of places)
    if (!found.has(id)) differences.push({ what: "a row change is missing", table, key, file: `${folder}/` });
}

/** Every definition has its schema file, and no other is there. */
function checkSchemas(
  schemas: readonly SchemaFile[],
  definitions: ReadonlyMap<string, string>,
  differences: Differences,
): void {
  const found = new Set(schemas.map((one) => `${tableName(one.schema, one.table)} ${one.version}`));
  for (const id of definitions.keys()) {
    const [table = "", version] = id.split(" ");
    if (!found.has(id))
      differences.push({
        what: `the schema file of version ${version} is missing`,
        table,
        key: "",
        file: `${table.replace(".", "/")}/meta/`,
      });
  }
  for (const one of schemas) {
    const table = tableName(one.schema, one.table);
    if (one.table !== "" && !/^\s*DROP/i.test(one.query) && !definitions.has(`${table} ${one.version}`))
      differences.push({
        what: `a schema file of version ${one.version}, at which the log has no DDL of this table`,
        table,
        key: "",
        file: one.file,
      });
  }
}

function compare(
  expected: Database,
  actual: Database,
  differences: Differences,
  lastFile: ReadonlyMap<string, string>,
  lastFolder: ReadonlyMap<string, string>,
): void {
  for (const table of new Set([...expected.tables, ...actual.tables])) {
    const path = `${table.replace(".", "/")}/`;
    if (!actual.columns(table) || !expected.columns(table)) {
      const what = expected.columns(table) ? "the table is missing" : "the table should not be there";
      differences.push({ what, table, key: "", file: path });
      continue;
    }
    const there = new Map([...actual.rows(table)].map(({ key, row }) => [key, row]));
    for (const { key, row } of expected.rows(table)) {
      const other = there.get(key);
      there.delete(key);
      const id = `${table} ${key}`;
      const file = lastFile.get(id) ?? `${lastFolder.get(id) ?? path}/`;
      if (other === undefined) differences.push({ what: "the row is missing", table, key, file });
      else {
        const column = Object.keys(row).find((name) => row[name] !== other[name]);
        if (column !== undefined) {
          const what = `column "${column}" is ${show(other[column])} and should be ${show(row[column])}`;
          differences.push({ what, table, key, file });
        }
      }
    }
    for (const key of there.keys())
      differences.push({
        what: "the row should not be there",
        table,
        key,
        file: lastFile.get(`${table} ${key}`) ?? path,
      });
  }
}

const show = (value: string | null | undefined) => (value === undefined ? "absent" : JSON.stringify(value));

/** The primary key of a message's first row, as JSON. */
function keyOf(message: CanalMessage): string {
  return JSON.stringify((message.pkNames ?? []).map((name) => message.data?.[0]?.[name] ?? null));
}

/** What makes a row change the one it is. */
function identity(message: CanalMessage): string {
  const { database, table, type, data, old, _tidb } = message;
  return JSON.stringify([database, table, type, _tidb.commitTs.toString(), data, old]);
}
