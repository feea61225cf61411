import { WeirError } from "../error/weir-error.ts";
import type { CaptureEvent } from "./event.ts";
import type { Sink } from "./sink.ts";
import { StorageTaken } from "./storage/errors.ts";
import type { StorageFiles } from "./storage/files.ts";
import {
  DATE_SEPARATORS,
  type DateSeparator,
  dataFileName,
  dateFolder,
  folderName,
  INDEX_WIDTHS,
  indexFileName,
  metaFolder,
  readDataFileName,
  type StorageLayout,
} from "./storage/layout.ts";
import { openStorage } from "./storage/open.ts";
import type { S3Options } from "./storage/s3-files.ts";
import { type StorageDefinition, schemaFileOf } from "./storage/schema-file.ts";

export type { StorageFiles } from "./storage/files.ts";
export type { StorageColumn, StorageDefinition } from "./storage/schema-file.ts";

/** A row for the storage sink: Canal-JSON of one change, and where it belongs. */
export interface StorageRow {
  readonly schema: string;
  readonly table: string;
  /** commitTs of the DDL that gave the table its present definition: names the folder. */
  readonly version: bigint;
  /** Says the folder of which day it goes to; left out: that of its version. */
  readonly commitTs?: bigint;
  /** In one line. */
  readonly text: string;
}

/** What a block event means to the storage sink. A syncpoint has no definitions. */
export interface StoragePayload {
  readonly definitions: readonly StorageDefinition[];
}

/** How files are laid out, and how S3 is reached. */
export interface StorageSinkOptions extends StorageLayout {
  /** For `s3:` */
  readonly s3?: S3Options;
}

/** Rows are written to a file when so many bytes wait, or when somebody flushes. */
const FILE_BYTES = 1024 * 1024;
/** TiCDC's reader counts two characters between rows. */
const TERMINATOR = "\r\n";
/** Files that others left behind without counting them; more are no accident. */
const MAX_SKIPPED = 1_000;
/** Folders that a sink remembers when nothing waits for them. */
const MAX_FOLDERS = 64;

interface Folder {
  readonly path: string;
  lines: string[];
  bytes: number;
  /** What goes into the next file: it stays what it is until the index counts the file. */
  pending: { content: string; number: number | undefined } | undefined;
  /** Number of the newest file that the index counts; undefined until it was looked up. */
  file: number | undefined;
  /** Of the index, as it was read or written last; undefined: there is none. */
  tag: string | undefined;
  /** This sink has written its index. From then on nobody else may. */
  own: boolean;
}

/**
 * Writes TiCDC's storage layout with Canal-JSON bodies, in a folder or in S3:
 *
 *     <out>/<schema>/<table>/meta/schema_<version>_<checksum>.json             a definition
 *     <out>/<schema>/meta/schema_<version>_<checksum>.json                     a database's own DDL
 *     <out>/<schema>/<table>/<version>/<date>/CDC_<dispatcher>_<number>.json   rows, one a line
 *     <out>/<schema>/<table>/<version>/<date>/meta/CDC_<dispatcher>.index      names the newest of these files
 *     <out>/syncpoints/<commitTs>.json                                         a syncpoint
 *
 * Rows of a version stand in that version's folder and nowhere else. A file appears whole or not at all, and is never written over.
 * What a flush has written is durable, and counted by its index. Of two sinks of one dispatcher the one that wrote an index first ends
 * with `StorageTaken` as soon as the other has written it.
 *
 * @example
 * ```ts
 * import { type DispatcherKey, StorageSink } from "@weir-cdc/weir";
 *
 * export const sinkOf = (id: DispatcherKey) => new StorageSink("s3://changes/orders", id, undefined, { dateSeparator: "month" });
 * ```
 */
export class StorageSink implements Sink<StorageRow, StoragePayload> {
  readonly #out: string;
  readonly #dispatcher: string;
  readonly #files: StorageFiles;
  readonly #separator: DateSeparator;
  readonly #width: number;
  readonly #folders = new Map<string, Folder>();
  #taken: StorageTaken | undefined;

  /**
   * @param out a folder, `file:///folder`, or `s3://bucket/prefix` (`openStorage`)
   * @param dispatcher the dispatcher's id: keeps its files apart from those of other spans of the table
   * @param files something else than `out` says, with paths that begin with it
   * @throws RangeError, TypeError if an option or `out` cannot be
   */
  constructor(out: string, dispatcher: string, files?: StorageFiles, options: StorageSinkOptions = {}) {
    const opened = files ? { files, root: out } : openStorage(out, options.s3);
    this.#out = opened.root === "" ? "" : `${opened.root}/`;
    this.#files = opened.files;
    this.#dispatcher = dispatcher;
    const { dateSeparator = "day", fileIndexWidth = INDEX_WIDTHS.max } = options;
    if (!DATE_SEPARATORS.includes(dateSeparator))
      throw new RangeError(`dateSeparator is "${dateSeparator}": use ${DATE_SEPARATORS.join(", ")}`);
    const { min, max } = INDEX_WIDTHS;
    if (!Number.isInteger(fileIndexWidth) || fileIndexWidth < min || fileIndexWidth > max)
      throw new RangeError(`fileIndexWidth is ${fileIndexWidth}: use ${min} to ${max}`);
    this.#separator = dateSeparator;
    this.#width = fileIndexWidth;
  }

  async write(rows: readonly StorageRow[]): Promise<void> {
    for (const row of rows) {
      const date = dateFolder(row.commitTs ?? row.version, this.#separator);
      const path = `${this.#out}${folderName(row.schema)}/${folderName(row.table)}/${row.version}${date && "/"}${date}`;
      const folder = this.#folders.get(path) ?? newFolder(path);
      this.#folders.set(path, folder);
      folder.lines.push(row.text);
      folder.bytes += row.text.length;
      if (folder.bytes >= FILE_BYTES) await this.#flush(folder);
    }
  }

  async flushBeforeBlock(): Promise<void> {
    // One after the other: a later day's rows come behind an earlier one's.
    for (const folder of this.#folders.values()) await this.#flush(folder);
    for (const [path] of this.#folders) {
      if (this.#folders.size <= MAX_FOLDERS) break;
      this.#folders.delete(path);
    }
  }

  async writeBlockEvent(event: CaptureEvent<StoragePayload>): Promise<void> {
    if (event.key.isSyncPoint) {
      const commitTs = event.key.commitTs.toString();
      await this.#files.put(`${this.#out}syncpoints/${commitTs}.json`, JSON.stringify({ commitTs }));
      return;
    }
    for (const definition of event.payload.definitions) {
      const { name, content } = schemaFileOf(definition);
      const folder = metaFolder(definition.schema, definition.table);
      await this.#files.put(`${this.#out}${folder}/${name}`, content);
    }
  }

  async passBlockEvent(): Promise<void> {
    // The writer has written the schema file; here nothing is to be done.
  }

  async #flush(folder: Folder): Promise<void> {
    if (this.#taken) throw this.#taken;
    while (folder.pending !== undefined || folder.lines.length > 0) {
      folder.pending ??= take(folder);
      await this.#publish(folder, folder.pending);
      folder.pending = undefined;
    }
  }

  /** Writes a file and then the index that counts it. Done again after an error it comes to the same. */
  async #publish(folder: Folder, pending: NonNullable<Folder["pending"]>): Promise<void> {
    if (folder.file === undefined) await this.#look(folder);
    pending.number ??= folder.file! + 1;
    for (let skipped = 0; ; ) {
      const name = dataFileName(this.#dispatcher, pending.number, this.#width);
      if (!(await this.#files.create(`${folder.path}/${name}`, pending.content))) {
        // It is another sink's. One that is gone may leave a file that no index counts: before our first one that is no harm.
        if (folder.own) this.#stop(folder);
        if (++skipped > MAX_SKIPPED)
          throw new WeirError(
            "storage-contended",
            `${folder.path} holds too many files that no index counts`,
          );
        await this.#look(folder);
        pending.number = Math.max(folder.file!, pending.number) + 1;
        continue;
      }
      const tag = await this.#files.replace(this.#index(folder), `${name}\n`, folder.tag);
      if (tag !== undefined) {
        folder.tag = tag;
        folder.file = pending.number;
        folder.own = true;
        return;
      }
      if (folder.own) this.#stop(folder);
      // Another sink has counted on meanwhile, before our first file: if ours was among its, it is counted.
      await this.#look(folder);
      if (folder.file! >= pending.number) return;
      if (++skipped > MAX_SKIPPED)
        throw new WeirError("storage-contended", `${folder.path} changes all the time`);
    }
  }

  async #look(folder: Folder): Promise<void> {
    const index = await this.#files.read(this.#index(folder));
    folder.file = readDataFileName(index?.content.trim() ?? "")?.number ?? 0;
    folder.tag = index?.tag;
  }

  #index(folder: Folder): string {
    return `${folder.path}/${indexFileName(this.#dispatcher)}`;
  }

  #stop(folder: Folder): never {
    this.#taken = new StorageTaken(folder.path, this.#dispatcher);
    throw this.#taken;
  }
}

const newFolder = (path: string): Folder => ({
  path,
  lines: [],
  bytes: 0,
  pending: undefined,
  file: undefined,
  tag: undefined,
  own: false,
});

function take(folder: Folder): NonNullable<Folder["pending"]> {
  const content = folder.lines.map((line) => line + TERMINATOR).join("");
  folder.lines = [];
  folder.bytes = 0;
  return { content, number: undefined };
}

/** Where a checkpoint stands: TiCDC's readers take no version beyond it. */
const METADATA = "metadata";

/**
 * Writes the checkpoint of a storage: everything up to it is there. One that is higher stays.
 * @param out as a sink's
 *
 * @example
 * ```ts
 * import { type Dispatcher, writeCheckpoint } from "@weir-cdc/weir";
 *
 * export async function tell(all: readonly Dispatcher[]) {
 *   const [first, ...others] = all.map((one) => one.checkpointTs);
 *   if (first !== undefined) await writeCheckpoint("out", others.reduce((a, b) => (b < a ? b : a), first));
 * }
 * ```
 */
export async function writeCheckpoint(
  out: string,
  checkpointTs: bigint,
  files?: StorageFiles,
  s3?: S3Options,
): Promise<void> {
  const opened = files ? { files, root: out } : openStorage(out, s3);
  const path = opened.root === "" ? METADATA : `${opened.root}/${METADATA}`;
  for (let attempt = 0; attempt < 8; attempt++) {
    const there = await opened.files.read(path);
    if (readCheckpoint(there?.content) >= checkpointTs) return;
    if ((await opened.files.replace(path, `{"checkpoint-ts":${checkpointTs}}`, there?.tag)) !== undefined)
      return;
  }
  throw new WeirError(
    "storage-contended",
    `${path} changes all the time: only one may write the checkpoint of a changefeed`,
  );
}

/** What a `metadata` file says; 0 if there is none. */
export function readCheckpoint(content: string | undefined): bigint {
  return BigInt(/"checkpoint-ts"\s*:\s*(\d+)/.exec(content ?? "")?.[1] ?? 0);
}
