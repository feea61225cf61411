import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Catalogue } from "./catalogue.ts";
import { BadChangeLog } from "./problem.ts";
import type { CanalMessage, CanalRow, Change, LogPosition, RowChange } from "./types.ts";

const DDL_TYPES = new Set(["CREATE", "ALTER", "RENAME", "TRUNCATE", "ERASE", "CINDEX", "DINDEX", "QUERY"]);
const ROW_TYPES = new Set(["INSERT", "UPDATE", "DELETE"]);
const WATERMARK = "TIDB_WATERMARK";

/** Lines of a log as they are, in order, with exact commitTs. Checks each by itself, and that time does not go back. */
export async function* readMessages(
  file: string,
): AsyncGenerator<{ at: LogPosition; text: string; message: CanalMessage }> {
  let number = 0;
  let last = 0n;
  const stream = createReadStream(file);
  const opened = new Promise<void>((resolve, reject) => {
    stream.once("open", () => resolve());
    stream.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new BadChangeLog(
          { file, line: 0 },
          error.code === "ENOENT" ? "there is no such file: name a change log in Canal-JSON" : error.message,
        ),
      ),
    );
  });
  await opened;
  for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (text.trim() === "") continue;
    const at = { file, line: number };
    const message = parseLine(text, at);
    if (message.type === WATERMARK) continue;
    const { commitTs } = message._tidb;
    if (commitTs < last)
      throw new BadChangeLog(at, `commitTs ${commitTs} goes back behind ${last}: sort the log by commitTs`);
    last = commitTs;
    yield { at, text, message };
  }
}

/**
 * Reads a whole log: rows with the table that holds them, DDLs with what they touch (ticdc.md, section 1.5).
 * @throws BadChangeLog with file, line, what is wrong and what to do
 */
export async function readChangeLog(file: string): Promise<Change[]> {
  const catalogue = new Catalogue();
  const changes: Change[] = [];
  for await (const { at, text, message } of readMessages(file))
    changes.push(message.isDdl ? catalogue.apply(message, at) : rowChange(catalogue, message, text, at));
  if (changes.length === 0)
    throw new BadChangeLog({ file, line: 0 }, "the log has no changes: write some first");
  return changes;
}

function rowChange(catalogue: Catalogue, message: CanalMessage, text: string, at: LogPosition): RowChange {
  const { database, table: name, data, old } = message;
  const table = catalogue.table(database, name);
  if (!table)
    throw new BadChangeLog(
      at,
      `a row of table ${database}.${name}, which no DDL before it has created: start the log there`,
    );
  if (data === null || data.length === 0)
    throw new BadChangeLog(at, "data is empty: a row change has its rows there");
  const keys = table.columns.filter((column) => column.isPrimaryKey).map((column) => column.name);
  const row: CanalRow = message.type === "UPDATE" && old?.[0] ? { ...data[0]!, ...old[0] } : data[0]!;
  for (const key of keys)
    if (row[key] === undefined || row[key] === null)
      throw new BadChangeLog(
        at,
        `the row has no value for "${key}", part of the primary key of ${database}.${name}`,
      );
  return {
    kind: "row",
    at,
    commitTs: message._tidb.commitTs,
    schema: database,
    table: name,
    type: message.type as RowChange["type"],
    tableId: table.tableId,
    tableVersion: table.version,
    key: JSON.stringify(keys.map((key) => row[key])),
    text,
    message,
  };
}

function parseLine(text: string, at: LogPosition): CanalMessage {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text, exactCommitTs as (this: unknown, key: string, value: unknown) => unknown);
  } catch (error) {
    throw new BadChangeLog(
      at,
      `no JSON (${(error as Error).message.slice(0, 80)}): write one Canal-JSON object a line`,
    );
  }
  if (typeof parsed !== "object" || parsed === null)
    throw new BadChangeLog(at, "no JSON object: write one Canal-JSON object a line");
  const message = parsed as CanalMessage;
  const { commitTs } = (message._tidb as CanalMessage["_tidb"] | undefined) ?? {};
  if (typeof commitTs !== "bigint" || commitTs <= 0n)
    throw new BadChangeLog(
      at,
      "_tidb.commitTs is missing: let TiCDC write it with enable-tidb-extension=true",
    );
  if (message.type === WATERMARK) return message;
  if (typeof message.database !== "string" || typeof message.table !== "string")
    throw new BadChangeLog(at, "database or table is missing: write them as text");
  if (message.isDdl) {
    if (!DDL_TYPES.has(message.type))
      throw new BadChangeLog(at, `DDL type "${message.type}" is unknown: use ${[...DDL_TYPES].join(", ")}`);
    if (typeof message.sql !== "string" || message.sql.trim() === "")
      throw new BadChangeLog(at, "sql is missing: a DDL has its statement there");
  } else if (!ROW_TYPES.has(message.type))
    throw new BadChangeLog(
      at,
      `type "${message.type}" is unknown: use ${[...ROW_TYPES].join(", ")}, or isDdl for a DDL`,
    );
  return message;
}

/** A commitTs has more digits than a JavaScript number: it is taken from the text (design.md, section 8). */
function exactCommitTs(key: string, value: unknown, context?: { source?: string }): unknown {
  return key === "commitTs" && context?.source !== undefined && /^\d+$/.test(context.source)
    ? BigInt(context.source)
    : value;
}
