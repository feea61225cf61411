import type { TableName } from "../changelog/cursor.ts";
import { locate } from "../changelog/locate.ts";
import { columnValue, type ReadOptions, readMessages, splitMove } from "../changelog/read.ts";
import { handleOf } from "../changelog/shape.ts";
import type { CanalMessage, CanalRow } from "../changelog/types.ts";
import type { S3Options } from "../dispatcher/storage/s3-files.ts";
import { applyVersion } from "./apply.ts";
import { Database, type Table } from "./database.ts";
import { Applier, tableName } from "./ddl.ts";
import { type DataRow, type Folder, readFolder, type SchemaFile } from "./folder.ts";
import { type Difference, MAX_DIFFERENCES, type Verdict } from "./verdict.ts";

/**
 * Compares what dispatchers wrote with the log that they read. One database is filled from the output folder alone, in
 * storage order, as a consumer downstream would; the other by the log itself, in commitTs order.
 * @param log a change log
 * @param out an output in TiCDC's storage layout: a folder, or `s3://bucket/prefix`
 */
export async function verify(
  log: string,
  out: string,
  options: ReadOptions & { readonly s3?: S3Options } = {},
): Promise<Verdict> {
  const folder = await readFolder(out, options.s3);
  const differences = new Differences(folder.differences);
  const lastFile = new Map<string, string>();
  const expected = new Database();
  const lastFolder = new Map<string, string>();
  const reference = await applyLog(expected, log, options, lastFolder);
  checkSchemas(folder.schemas, reference.definitions, differences);
  checkPlaces(folder.rows, reference.places, differences);
  const actual = new Database();
  consume(actual, folder.schemas, folder.rows, differences, lastFile, reference.times);
  compare(expected, actual, differences, lastFile, lastFolder);
  return {
    ok: differences.count === 0,
    tables: expected.tables.length,
    rows: reference.rows,
    rowsApplied: folder.rows.length,
    files: folder.files,
    notCompared: expected.tables
      .filter((one) => one.unknown !== undefined)
      .map((one) => ({ table: tableName(one.name), why: one.unknown! })),
    differences: differences.shown.slice(0, MAX_DIFFERENCES),
  };
}

/** Tables as a log leaves them. */
export async function databaseOfLog(log: string, options: ReadOptions = {}): Promise<Database> {
  const db = new Database();
  await applyLog(db, log, options, new Map());
  return db;
}

/** Tables as an output folder has them. What is wrong with the folder is passed over. */
export function databaseOfFolder(folder: Folder): Database {
  const db = new Database();
  consume(db, folder.schemas, folder.rows, new Differences([]), new Map(), new Map());
  return db;
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

/** Applies a folder in storage order: versions of all tables in order, of each the DDLs and then its rows. */
function consume(
  db: Database,
  schemas: readonly SchemaFile[],
  rows: readonly DataRow[],
  differences: Differences,
  lastFile: Map<string, string>,
  times: ReadonlyMap<string, number>,
): void {
  const versions = new Map<bigint, { schemas: SchemaFile[]; rows: DataRow[] }>();
  const at = (version: bigint) => {
    const known = versions.get(version) ?? { schemas: [], rows: [] };
    versions.set(version, known);
    return known;
  };
  for (const schema of schemas) at(schema.version).schemas.push(schema);
  for (const row of rows) at(row.version).rows.push(row);
  const seen = new Map<string, number>();
  for (const version of [...versions.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    const step = versions.get(version)!;
    applyVersion(db, step.schemas, (file, why) => {
      const what = `the DDL cannot be applied here: ${why}`;
      differences.push({ what, table: tableName(file), key: "", file: file.file });
    });
    for (const row of inOrder(step.rows)) {
      // Rows without a key cannot be told apart: one that came twice can only be told by how often the log has it.
      const id = identity(row.message);
      const count = (seen.get(id) ?? 0) + 1;
      seen.set(id, count);
      const keyless = (row.message.pkNames ?? []).length === 0 && db.find(row)?.key.length === 0;
      if (!keyless || count <= (times.get(id) ?? count)) applyRow(db, row, differences, lastFile);
    }
  }
}

function applyRow(db: Database, row: DataRow, differences: Differences, lastFile: Map<string, string>): void {
  const table = db.find(row);
  const name = tableName(row);
  const about = (what: string) =>
    differences.push({ what, table: name, key: keyOf(row.message), file: `${row.file}:${row.line}` });
  if (!table) {
    about(`a row of a table that no schema file up to version ${row.version} has created`);
    return;
  }
  const names = new Set(table.shape.columns.map((column) => column.name.toLowerCase()));
  const unknown = Object.keys(row.message.data?.[0] ?? {}).find((one) => !names.has(one.toLowerCase()));
  if (unknown !== undefined) about(`column "${unknown}" is not in the definition of version ${row.version}`);
  db.apply(table, row.message);
  lastFile.set(`${name} ${keyOf(row.message)}`, row.file);
}

/**
 * Rows by commitTs, those of one writer as it wrote them. One key has two writers at one commitTs only where its row went from one
 * partition to another: then the one that deletes it comes first.
 */
function inOrder(rows: readonly DataRow[]): DataRow[] {
  const sorted = [...rows].sort(byTime);
  const groups = Map.groupBy(sorted, (row) => `${row.message._tidb.commitTs}`);
  return [...groups.values()].flatMap((group) =>
    new Set(group.map(writerOf)).size < 2 ? group : deletesFirst(group),
  );
}

const writerOf = (row: DataRow) => row.file.replace(/^.*\/|_\d+\.json$/g, "");

function deletesFirst(group: readonly DataRow[]): DataRow[] {
  const keys = Map.groupBy(group, (row) => JSON.stringify([row.schema, row.table, keyOf(row.message)]));
  return [...keys.values()].flatMap((rows) => {
    const writers = [...Map.groupBy(rows, writerOf).values()];
    const deletes = (one: DataRow[]) => Number(one[0]!.message.type !== "DELETE");
    return writers.sort((a, b) => deletes(a) - deletes(b)).flat();
  });
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
  /** How often the log has it. */
  readonly times: Map<string, number>;
  /** Every definition: the table and the version. */
  readonly definitions: Map<string, { readonly name: TableName; readonly version: bigint }>;
  readonly rows: number;
}

const versionId = ({ schema, table }: TableName, version: bigint) =>
  JSON.stringify([schema, table, version.toString()]);

/** Applies the log to a database, statement by statement, and notes in which folder each row and definition belongs. */
async function applyLog(
  db: Database,
  log: string,
  options: ReadOptions,
  lastFolder: Map<string, string>,
): Promise<Reference> {
  const places = new Map<string, Place>();
  const times = new Map<string, number>();
  const definitions: Reference["definitions"] = new Map();
  const versions = new Map<Table, bigint>();
  const applier = new Applier(db);
  const touched = new Map<string, TableName>();
  let now = 0n;
  let rows = 0;
  // Of what is one event, those tables have a schema file that are there behind it.
  const endOfEvent = () => {
    for (const name of touched.values()) {
      const found = db.find(name);
      if (found?.name.schema === name.schema && found.name.table === name.table)
        definitions.set(versionId(name, now), { name, version: now });
    }
    touched.clear();
  };
  for await (const read of readMessages(log, options)) {
    const { commitTs } = read.message._tidb;
    if (commitTs !== now) endOfEvent();
    now = commitTs;
    if (read.message.isDdl) {
      for (const name of applier.apply(read.message.sql, read.message.database)) {
        touched.set(versionId(name, 0n), name);
        const table = db.find(name);
        if (table) versions.set(table, commitTs);
      }
      continue;
    }
    const { database: schema, table: given } = read.message;
    const table = db.find({ schema, table: given });
    if (!table) continue;
    const partitionOf = (row: CanalRow) =>
      table.partitions && locate(table.partitions, (column) => columnValue(row, column));
    for (const { message } of splitMove(read.message, read.text, handleOf(table.shape), partitionOf)) {
      rows++;
      db.apply(table, message);
      const folder = `${table.name.schema}/${table.name.table}/${versions.get(table)}`;
      const key = keyOf(message);
      const id = identity(message);
      places.set(id, { folder, table: tableName(table.name), key });
      times.set(id, (times.get(id) ?? 0) + 1);
      lastFolder.set(`${tableName(table.name)} ${key}`, folder);
    }
  }
  endOfEvent();
  return { places, times, definitions, rows };
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
        table: tableName(row),
        key: keyOf(row.message),
        file: `${row.file}:${row.line}`,
      });
    if (place === undefined) about("a row that the log does not have");
    else if (folder === place.folder) found.add(id);
    else about(`stands in folder ${folder} and belongs to ${place.folder}`);
  }
  for (const [id, { folder, table, key }] of places)
    if (!found.has(id)) differences.push({ what: "a row change is missing", table, key, file: `${folder}/` });
}

/** Every definition has its schema file, and no other is there. */
function checkSchemas(
  schemas: readonly SchemaFile[],
  definitions: Reference["definitions"],
  differences: Differences,
): void {
  const found = new Set(schemas.map((one) => versionId(one, one.version)));
  for (const [id, { name, version }] of definitions)
    if (!found.has(id))
      differences.push({
        what: `the schema file of version ${version} is missing`,
        table: tableName(name),
        key: "",
        file: `${name.schema}/${name.table}/meta/`,
      });
  for (const one of schemas)
    if (one.table !== "" && !/^\s*DROP/i.test(one.query) && !definitions.has(versionId(one, one.version)))
      differences.push({
        what: `a schema file of version ${one.version}, at which the log has no DDL of this table`,
        table: tableName(one),
        key: "",
        file: one.file,
      });
}

function compare(
  expected: Database,
  actual: Database,
  differences: Differences,
  lastFile: ReadonlyMap<string, string>,
  lastFolder: ReadonlyMap<string, string>,
): void {
  const id = ({ name }: Table) => JSON.stringify([name.schema, name.table]);
  const theirs = new Map(actual.tables.map((one) => [id(one), one]));
  const ours = new Map(expected.tables.map((one) => [id(one), one]));
  for (const one of new Set([...ours.keys(), ...theirs.keys()])) {
    const [wanted, got] = [ours.get(one), theirs.get(one)];
    const { name } = (wanted ?? got)!;
    const table = tableName(name);
    const path = `${name.schema}/${name.table}/`;
    if (wanted && got) {
      if (wanted.unknown === undefined) compareRows(expected, wanted, actual, got);
    } else {
      const what = wanted ? "the table is missing" : "the table should not be there";
      differences.push({ what, table, key: "", file: path });
    }
  }

  function compareRows(expected: Database, wanted: Table, actual: Database, got: Table): void {
    const table = tableName(wanted.name);
    const path = `${wanted.name.schema}/${wanted.name.table}/`;
    const there = Map.groupBy(actual.rows(got), ({ key }) => key);
    for (const { key, row } of expected.rows(wanted)) {
      const other = there.get(key)?.shift()?.row;
      const place = `${table} ${key}`;
      const file = lastFile.get(place) ?? `${lastFolder.get(place) ?? path}/`;
      if (other === undefined) differences.push({ what: "the row is missing", table, key, file });
      else {
        const column = [...row.keys()].find((name) => row.get(name) !== other.get(name));
        if (column !== undefined) {
          const what = `column "${column}" is ${show(other.get(column))} and should be ${show(row.get(column))}`;
          differences.push({ what, table, key, file });
        }
      }
    }
    for (const [key, rows] of there)
      for (const _ of rows)
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
