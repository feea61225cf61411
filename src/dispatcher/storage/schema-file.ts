/** Schema files as TiCDC writes them, byte for byte. */
import { crc32 } from "node:zlib";
import { columnForm } from "./column-types.ts";

/** A column of a table, as a schema file says it. */
export interface StorageColumn {
  readonly name: string;
  /** In MySQL's words: `varchar(20)`, `int unsigned`. */
  readonly type: string;
  readonly isPrimaryKey: boolean;
  /** Left out: it may be NULL, unless it is of the primary key. */
  readonly nullable?: boolean;
  /** As text. NULL and none are the same to a schema file. */
  readonly default?: string | null;
}

/** One schema file. `table` is empty for a database's own DDL. */
export interface StorageDefinition {
  readonly schema: string;
  readonly table: string;
  /** commitTs of the DDL. */
  readonly version: bigint;
  readonly query: string;
  /** TiDB's number of the kind of DDL. */
  readonly type: number;
  readonly columns: readonly StorageColumn[];
}

/** A column as it stands in a schema file, in TiCDC's order of fields. */
export interface FileColumn {
  readonly ColumnName: string;
  readonly ColumnType: string;
  readonly ColumnDefault?: unknown;
  readonly ColumnPrecision?: string;
  readonly ColumnScale?: string;
  readonly ColumnNullable?: "false";
  readonly ColumnIsPk?: "true";
  readonly ColumnElems?: readonly string[];
}

/** A definition's file: its name, and what is in it. */
export function schemaFileOf(definition: StorageDefinition): { name: string; content: string } {
  const { schema, table, version, query, type, columns } = definition;
  const list = columns.map(fileColumn);
  // The version is beyond what a JSON number holds exactly, and is written as one all the same, as TiCDC does.
  const content = goJson({
    Table: table,
    Schema: schema,
    Version: 1,
    TableVersion: (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(version.toString()),
    Query: query,
    Type: type,
    TableColumns: list.length > 0 ? list : null,
    TableColumnsTotal: list.length,
  });
  const sum = checksum(table, schema, list).toString().padStart(10, "0");
  return { name: `schema_${version}_${sum}.json`, content };
}

function fileColumn(column: StorageColumn): FileColumn {
  const { type, precision, scale, elements } = columnForm(column.type);
  return {
    ColumnName: column.name,
    ColumnType: type,
    ...(column.default !== undefined && column.default !== null && { ColumnDefault: column.default }),
    ...(precision !== undefined && { ColumnPrecision: precision }),
    ...(scale !== undefined && { ColumnScale: scale }),
    ...((column.isPrimaryKey || column.nullable === false) && { ColumnNullable: "false" as const }),
    ...(column.isPrimaryKey && { ColumnIsPk: "true" as const }),
    ...(elements !== undefined && elements.length > 0 && { ColumnElems: elements }),
  };
}

/**
 * The checksum that a schema file's name carries: a hash of the table alone, without its DDL, its kind and its version, with the columns
 * in the order of their names (TiCDC's PositionInertia, which of one write is a crc32).
 */
export function checksum(table: string, schema: string, columns: readonly FileColumn[]): number {
  const bytes = new Map(columns.map((one) => [one, Buffer.from(one.ColumnName)]));
  const sorted = columns.toSorted((a, b) => Buffer.compare(bytes.get(a)!, bytes.get(b)!));
  return crc32(
    goJson({
      Table: table,
      Schema: schema,
      Version: 0,
      TableColumns: sorted,
      TableColumnsTotal: columns.length,
    }),
  );
}

/** JSON as Go writes it, indented by four blanks: it escapes what HTML could take for its own, and the line ends of Unicode. */
function goJson(value: unknown): string {
  return JSON.stringify(value, undefined, 4).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
