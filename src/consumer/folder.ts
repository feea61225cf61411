import { Clock, parseMessage } from "../changelog/message.ts";
import type { CanalMessage, Column } from "../changelog/types.ts";
import { mysqlType } from "../dispatcher/storage/column-types.ts";
import { dataFileName, nameOfFolder, readDataFileName } from "../dispatcher/storage/layout.ts";
import { openStorage } from "../dispatcher/storage/open.ts";
import type { S3Options } from "../dispatcher/storage/s3-files.ts";
import { checksum, type FileColumn } from "../dispatcher/storage/schema-file.ts";
import { readCheckpoint } from "../dispatcher/storage-sink.ts";
import { printable } from "../error/printable.ts";
import { WeirError } from "../error/weir-error.ts";
import type { Difference } from "./verdict.ts";

/** A schema file: a DDL with the table as it is after it. `table` is empty for a database's own DDL. */
export interface SchemaFile {
  readonly file: string;
  readonly schema: string;
  readonly table: string;
  readonly version: bigint;
  readonly query: string;
  readonly columns: readonly Column[];
}

/** One row change as a data file has it. */
export interface DataRow {
  readonly file: string;
  readonly line: number;
  readonly schema: string;
  readonly table: string;
  /** The version that names the folder. */
  readonly version: bigint;
  readonly message: CanalMessage;
}

export interface Folder {
  readonly schemas: readonly SchemaFile[];
  readonly rows: readonly DataRow[];
  readonly syncpoints: readonly bigint[];
  /** What `metadata` says; 0n if there is none. */
  readonly checkpointTs: bigint;
  readonly files: number;
  /** What is wrong with the files themselves. */
  readonly differences: readonly Difference[];
}

/** So many files are read at a time. */
const READERS = 16;
const SYNCPOINT = /^syncpoints\/(\d+)\.json$/;
const SCHEMA = /^([^/]+)\/(?:([^/]+)\/)?meta\/schema_(\d+)_(\d{10})\.json$/;
/** Behind the version there may be a partition, a date, or both. */
const INDEX = /^([^/]+)\/([^/]+)\/(\d+)((?:\/[\d-]+){0,2})\/meta\/CDC(?:_[^/]+)?\.index$/;

/**
 * Reads an output in TiCDC's storage layout with any of its options, and nothing else. As TiCDC's reader it takes the data files that
 * an index counts, and no version beyond the checkpoint.
 * @param out a folder, `file:///folder` or `s3://bucket/prefix`
 */
export async function readFolder(out: string, s3: S3Options = {}): Promise<Folder> {
  const { files, root } = openStorage(out, s3);
  const start = root === "" ? "" : `${root}/`;
  const paths = (await files.list(root)).map((path) => path.slice(start.length).replaceAll("\\", "/"));
  const there = new Set(paths);
  const differences: Difference[] = [];
  const read = async (path: string) => (await files.read(start + path))?.content;
  const checkpointTs = there.has("metadata") ? readCheckpoint(await read("metadata")) : 0n;
  const visible = (version: bigint) => checkpointTs === 0n || version <= checkpointTs;

  const syncpoints = paths.flatMap((path) => SYNCPOINT.exec(path)?.[1] ?? []).map(BigInt);
  const schemas = await each(
    matches(paths, SCHEMA).filter((one) => visible(BigInt(one[3]!))),
    async ([path = "", schema = "", table = "", version = "", sum = ""]) => {
      const name = { schema: nameOfFolder(schema), table: nameOfFolder(table) };
      return readSchema((await read(path)) ?? "", path, name, BigInt(version), Number(sum), differences);
    },
  );
  const indexes = matches(paths, INDEX).filter((one) => visible(BigInt(one[3]!)));
  const data = await each(indexes, async ([path = "", schema = "", table = "", version = "", inner = ""]) => {
    const folder = `${schema}/${table}/${version}${inner}`;
    const name = { schema: nameOfFolder(schema), table: nameOfFolder(table) };
    const newest = readDataFileName(((await read(path)) ?? "").replace(/\n$/, ""));
    const about = (what: string, file: string) =>
      differences.push({ what, table: `${name.schema}.${name.table}`, key: "", file });
    if (!newest) about("it names no data file", path);
    const rows: DataRow[] = [];
    for (let number = 1; newest && number <= newest.number; number++) {
      const file = `${folder}/${nameOf(newest, number)}`;
      const text = there.has(file) ? await read(file) : undefined;
      if (text === undefined) about("a file that its index counts is missing", file);
      else if (/(^|[^\r])\n/.test(text)) about("a line does not end with CRLF", file);
      for (const [index, line] of (text ?? "").split(/\r?\n/).entries())
        if (line !== "")
          rows.push({
            file,
            line: index + 1,
            ...name,
            version: BigInt(version),
            message: parse(line, file, index + 1),
          });
    }
    return { rows, files: newest?.number ?? 0 };
  });
  return {
    schemas,
    rows: data.flatMap((one) => one.rows),
    syncpoints,
    checkpointTs,
    files: data.reduce((sum, one) => sum + one.files, schemas.length),
    differences,
  };
}

const matches = (paths: readonly string[], pattern: RegExp) =>
  paths.map((path) => pattern.exec(path)).filter((one) => one !== null);

function nameOf({ dispatcher, width }: { dispatcher: string; width: number }, number: number): string {
  return dispatcher === ""
    ? `CDC${String(number).padStart(width, "0")}.json`
    : dataFileName(dispatcher, number, width);
}

/** Does something for each of many, some at a time; results are in their order. */
async function each<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < all.length; index = next++) results[index] = await work(all[index]!);
  };
  await Promise.all(Array.from({ length: Math.min(READERS, all.length) }, worker));
  return results;
}

interface SchemaContent {
  readonly Table: string;
  readonly Schema: string;
  readonly Query: string;
  readonly TableColumns: readonly FileColumn[] | null;
}

function readSchema(
  text: string,
  file: string,
  { schema, table }: { schema: string; table: string },
  version: bigint,
  sum: number,
  differences: Difference[],
): SchemaFile {
  const about = (what: string) =>
    differences.push({ what, table: table === "" ? schema : `${schema}.${table}`, key: "", file });
  let content: SchemaContent;
  try {
    content = JSON.parse(text) as SchemaContent;
  } catch (error) {
    about(`no JSON: ${printable((error as Error).message)}`);
    return { file, schema, table, version, query: "", columns: [] };
  }
  const columns = content.TableColumns ?? [];
  if (checksum(content.Table, content.Schema, columns) !== sum)
    about("the checksum in its name is not that of its table");
  if (/"TableVersion":\s*(\d+)/.exec(text)?.[1] !== version.toString())
    about("its TableVersion is not that of its name");
  if (content.Schema !== schema || content.Table !== table) about("it is about another table");
  return {
    file,
    schema,
    table,
    version,
    query: content.Query,
    columns: columns.map((column) => ({
      name: column.ColumnName,
      type: mysqlType({
        type: column.ColumnType,
        ...(column.ColumnPrecision !== undefined && { precision: column.ColumnPrecision }),
        ...(column.ColumnScale !== undefined && { scale: column.ColumnScale }),
        ...(column.ColumnElems !== undefined && { elements: column.ColumnElems }),
      }),
      isPrimaryKey: column.ColumnIsPk === "true",
      nullable: column.ColumnNullable !== "false",
    })),
  };
}

function parse(text: string, file: string, line: number): CanalMessage {
  const message = parseMessage(text, { file, line }, "tidb", new Clock());
  if (!message) throw new WeirError("bad-input", `${file}:${line}: no row change`);
  return message;
}
