import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { CaptureEvent } from "./event.ts";
import type { Sink } from "./sink.ts";

/** A row for the storage sink: Canal-JSON of one change, and where it belongs. */
export interface StorageRow {
  readonly schema: string;
  readonly table: string;
  /** commitTs of the DDL that gave the table its present definition: names the folder. */
  readonly version: bigint;
  readonly text: string;
}

export interface StorageColumn {
  readonly name: string;
  readonly type: string;
  readonly isPrimaryKey: boolean;
}

/** One schema file. `table` is empty for a database's own DDL. */
export interface StorageDefinition {
  readonly schema: string;
  readonly table: string;
  readonly version: bigint;
  readonly query: string;
  /** TiDB's number of the kind of DDL. */
  readonly type: number;
  readonly columns: readonly StorageColumn[];
}

/** What a block event means to the storage sink. A syncpoint has no definitions. */
export interface StoragePayload {
  readonly definitions: readonly StorageDefinition[];
}

/** What the sink needs of a file system, so that a simulation can stand in for one. */
export interface StorageFiles {
  /** Tells this process's temporary files from those of others. */
  readonly writer: string;
  /** @returns the content of a file; undefined if there is none */
  read(path: string): Promise<string | undefined>;
  /** Writes a file, and the folder that it is in. Its content is durable when this resolves. */
  write(path: string, content: string): Promise<void>;
  /** Gives a file another name, in the place of what has that name, in one step. */
  rename(from: string, to: string): Promise<void>;
}

export const systemFiles: StorageFiles = {
  writer: String(process.pid),
  async read(path) {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  },
  async write(path, content) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { flush: true });
  },
  rename,
};

/** Rows are written to a file when so many bytes wait, or when somebody flushes. */
const FILE_BYTES = 1024 * 1024;

interface Folder {
  readonly path: string;
  lines: string[];
  bytes: number;
  /** Number of the newest file; undefined until it was looked up. */
  file: number | undefined;
}

/**
 * Writes TiCDC's storage layout with Canal-JSON bodies:
 *
 *     <out>/<schema>/<table>/meta/schema_<version>_<checksum>.json     a definition
 *     <out>/<schema>/meta/schema_<version>_<checksum>.json             a database's own DDL
 *     <out>/<schema>/<table>/<version>/CDC_<dispatcher>_<000001>.json  rows, one a line
 *     <out>/<schema>/<table>/<version>/meta/CDC_<dispatcher>.index     names the newest of these files
 *     <out>/syncpoints/<commitTs>.json                                 a syncpoint
 *
 * Rows of a version stand in that version's folder and nowhere else. A file appears whole or not at all.
 */
export class StorageSink implements Sink<StorageRow, StoragePayload> {
  readonly #out: string;
  readonly #dispatcher: string;
  readonly #files: StorageFiles;
  readonly #folders = new Map<string, Folder>();

  /** @param dispatcher the dispatcher's id: keeps its files apart from those of other spans of the table */
  constructor(out: string, dispatcher: string, files: StorageFiles = systemFiles) {
    this.#out = out;
    this.#dispatcher = dispatcher;
    this.#files = files;
  }

  async write(rows: readonly StorageRow[]): Promise<void> {
    for (const row of rows) {
      const path = join(this.#out, safe(row.schema), safe(row.table), row.version.toString());
      const folder = this.#folders.get(path) ?? { path, lines: [], bytes: 0, file: undefined };
      this.#folders.set(path, folder);
      folder.lines.push(row.text);
      folder.bytes += row.text.length;
      if (folder.bytes >= FILE_BYTES) await this.#flush(folder);
    }
  }

  async flushBeforeBlock(_event?: CaptureEvent<StoragePayload>): Promise<void> {
    for (const folder of this.#folders.values()) await this.#flush(folder);
  }

  async writeBlockEvent(event: CaptureEvent<StoragePayload>): Promise<void> {
    if (event.key.isSyncPoint) {
      const commitTs = event.key.commitTs.toString();
      const path = join(this.#out, "syncpoints", `${commitTs}.json`);
      await whole(this.#files, path, JSON.stringify({ commitTs }));
      return;
    }
    for (const definition of event.payload.definitions)
      await writeDefinition(this.#out, definition, this.#files);
  }

  async passBlockEvent(_event?: CaptureEvent<StoragePayload>): Promise<void> {
    // The writer has written the schema file; here nothing is to be done.
  }

  async #flush(folder: Folder): Promise<void> {
    if (folder.lines.length === 0) return;
    const index = join(folder.path, "meta", `CDC_${this.#dispatcher}.index`);
    folder.file ??= await newest(this.#files, index);
    const name = `CDC_${this.#dispatcher}_${String(folder.file + 1).padStart(6, "0")}.json`;
    await whole(this.#files, join(folder.path, name), `${folder.lines.join("\n")}\n`);
    await whole(this.#files, index, `${name}\n`);
    folder.file++;
    folder.lines = [];
    folder.bytes = 0;
  }
}

/** Writes a schema file: what a consumer needs to read the rows of a version. */
export async function writeDefinition(
  out: string,
  definition: StorageDefinition,
  files: StorageFiles = systemFiles,
): Promise<void> {
  const { schema, table, version, query, type, columns } = definition;
  // The version is beyond what a JSON number holds exactly, and is written as one all the same, as TiCDC does.
  const content = `${JSON.stringify(
    {
      Table: table,
      Schema: schema,
      Version: 1,
      TableVersion: 0,
      Query: query,
      Type: type,
      TableColumns: columns.map((column) => ({
        ColumnName: column.name,
        ColumnType: column.type,
        ...(column.isPrimaryKey && { ColumnIsPk: "true" }),
      })),
      TableColumnsTotal: columns.length,
    },
    undefined,
    2,
  ).replace('"TableVersion": 0', `"TableVersion": ${version}`)}\n`;
  const checksum = crc32(content).toString().padStart(10, "0");
  const folder =
    table === "" ? join(out, safe(schema), "meta") : join(out, safe(schema), safe(table), "meta");
  await whole(files, join(folder, `schema_${version}_${checksum}.json`), content);
}

/** The number of the newest file that an index names; 0 if there is none. */
async function newest(files: StorageFiles, index: string): Promise<number> {
  return Number(/_(\d+)\.json/.exec((await files.read(index)) ?? "")?.[1] ?? 0);
}

/** Writes a file so that it is there whole or not at all, and durable when this returns. */
async function whole(files: StorageFiles, path: string, content: string): Promise<void> {
  const temporary = `${path}.${files.writer}.tmp`;
  await files.write(temporary, content);
  await files.rename(temporary, path);
}

/**
 * A name as a folder: as it is, but for what a path cannot hold. So 64 characters of three bytes each fit into the 255 bytes that
 * a file system gives a name.
 */
function safe(name: string): string {
  const encoded = (char: string) =>
    [...Buffer.from(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
  return name.replaceAll(/[\p{Cc}%/\\]/gu, encoded).replace(/^\.+$/, (dots) => dots.replaceAll(".", "%2E"));
}
