import type { ReadOptions } from "../changelog/read.ts";
import type { Database } from "./database.ts";
import { tableName } from "./ddl.ts";
import { readFolder } from "./folder.ts";
import { databaseOfFolder, databaseOfLog } from "./verify.ts";

/** Rows by table, `schema.table`; a value that only a server knows is left out. */
export type Content = Record<string, Record<string, string | null>[]>;

/** What tables hold at the end of a log, applied statement by statement. */
export async function contentOfLog(log: string, options: ReadOptions = {}): Promise<Content> {
  return contentOf(await databaseOfLog(log, options));
}

/** What tables hold that are filled from an output folder alone. */
export async function contentOfFolder(out: string): Promise<Content> {
  return contentOf(databaseOfFolder(await readFolder(out)));
}

function contentOf(db: Database): Content {
  return Object.fromEntries(
    db.tables.map((table) => [
      tableName(table.name),
      [...db.rows(table)].map(({ row }) =>
        Object.fromEntries([...row].filter((one): one is [string, string | null] => one[1] !== undefined)),
      ),
    ]),
  );
}
