import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Clock, parseMessage } from "../changelog/message.ts";
import type { CanalMessage, Column } from "../changelog/types.ts";
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
  readonly files: number;
  /** What is wrong with the files themselves. */
  readonly differences: readonly Difference[];
}

/** Reads an output folder in TiCDC's storage layout, and nothing else. */
export function readFolder(out: string): Folder {
  const schemas: SchemaFile[] = [];
  const rows: DataRow[] = [];
  const syncpoints: bigint[] = [];
  const differences: Difference[] = [];
  let files = 0;
  const list = (path: string) => readdirSync(join(out, path), { withFileTypes: true });
  for (const top of list("")) {
    if (!top.isDirectory()) continue;
    const schema = decodeURIComponent(top.name);
    for (const second of list(top.name)) {
      const path = `${top.name}/${second.name}`;
      // Files among a database's tables are no tables: of a database "syncpoints" there are folders.
      if (!second.isDirectory()) {
        const commitTs = top.name === "syncpoints" ? /^(\d+)\.json$/.exec(second.name)?.[1] : undefined;
        if (commitTs !== undefined) syncpoints.push(BigInt(commitTs));
        continue;
      }
      // Files in it are the database's own, folders those of a table "meta".
      if (second.name === "meta")
        for (const one of list(path))
          if (one.isFile()) schemas.push(readSchema(out, `${path}/${one.name}`, schema, ""));
      const table = decodeURIComponent(second.name);
      for (const third of list(path)) {
        if (!third.isDirectory()) continue;
        if (third.name === "meta")
          for (const one of list(`${path}/meta`))
            schemas.push(readSchema(out, `${path}/meta/${one.name}`, schema, table));
        else {
          const folder = `${path}/${third.name}`;
          const found = readData(out, folder, schema, table, BigInt(third.name));
          rows.push(...found.rows);
          differences.push(...found.differences);
          files += found.files;
        }
      }
    }
  }
  return { schemas, rows, syncpoints, files: files + schemas.length, differences };
}

function readSchema(out: string, file: string, schema: string, table: string): SchemaFile {
  const version = BigInt(/schema_(\d+)_\d{10}\.json$/.exec(file)?.[1] ?? 0);
  const content = JSON.parse(readFileSync(join(out, file), "utf8")) as {
    Query: string;
    TableColumns: { ColumnName: string; ColumnType: string; ColumnIsPk?: string; ColumnNullable?: string }[];
  };
  return {
    file,
    schema,
    table,
    version,
    query: content.Query,
    columns: content.TableColumns.map((column) => ({
      name: column.ColumnName,
      type: column.ColumnType,
      isPrimaryKey: column.ColumnIsPk === "true",
      ...(column.ColumnNullable !== undefined && { nullable: column.ColumnNullable === "true" }),
    })),
  };
}

function readData(out: string, folder: string, schema: string, table: string, version: bigint) {
  const rows: DataRow[] = [];
  const differences: Difference[] = [];
  const names = readdirSync(join(out, folder)).filter((name) => name.endsWith(".json"));
  const numbers = new Map<string, number[]>();
  for (const name of names.sort()) {
    const [, writer, number] = /^CDC_(.+)_(\d+)\.json$/.exec(name) ?? [];
    if (writer !== undefined) numbers.set(writer, [...(numbers.get(writer) ?? []), Number(number)]);
    const file = `${folder}/${name}`;
    for (const [index, text] of readFileSync(join(out, file), "utf8").split("\n").entries())
      if (text !== "")
        rows.push({ file, line: index + 1, schema, table, version, message: parse(text, file, index + 1) });
  }
  const about = (what: string, file: string) =>
    differences.push({ what, table: `${schema}.${table}`, key: "", file });
  for (const index of indexesOf(out, folder)) {
    const newest = readFileSync(join(out, index), "utf8").trim();
    const [, writer = "", number = "0"] = /^CDC_(.+)_(\d+)\.json$/.exec(newest) ?? [];
    const there = new Set(numbers.get(writer));
    for (let one = 1; one <= Number(number); one++)
      if (!there.has(one))
        about(
          "a file that its index counts is missing",
          `${folder}/CDC_${writer}_${String(one).padStart(6, "0")}.json`,
        );
  }
  return { rows, differences, files: names.length };
}

function indexesOf(out: string, folder: string): string[] {
  try {
    return readdirSync(join(out, folder, "meta")).map((name) => `${folder}/meta/${name}`);
  } catch {
    return [];
  }
}

function parse(text: string, file: string, line: number): CanalMessage {
  const message = parseMessage(text, { file, line }, "tidb", new Clock());
  if (!message) throw new Error(`${file}:${line}: no row change`);
  return message;
}
