/** One line of a change log: Canal-JSON as TiCDC, Canal and those that copy them write it, with and without what TiDB adds. */
import { type Digits, parseDigits } from "./digits.ts";
import { BadChangeLog } from "./problem.ts";
import type { CanalMessage, CanalRow, LogPosition } from "./types.ts";

/** Where the commitTs of a message comes from: TiDB's extension, or Canal's `es`, the time of the commit in ms. */
export type CommitTsFrom = "tidb" | "es";

const ROW_TYPES = new Set(["INSERT", "UPDATE", "DELETE"]);
/** What is no change: marks of progress. */
const MARKS = new Set(["TIDB_WATERMARK", "MHEARTBEAT", "GTID", "XACOMMIT", "XAROLLBACK"]);

/** Gives out the commitTs of `--commit-ts-from es`: one for each message, in the order of the log. */
export class Clock {
  #last = 0n;

  /** A time in ms as a timestamp of TiDB, always later than the last one. */
  next(ms: number): bigint {
    const wanted = BigInt(Math.trunc(ms)) << 18n;
    this.#last = wanted > this.#last ? wanted : this.#last + 1n;
    return this.#last;
  }
}

type Loose = Record<string, unknown>;

/**
 * Reads one line.
 * @returns undefined for what is no change
 * @throws BadChangeLog with file, line, what is wrong and what to do
 */
export function parseMessage(
  text: string,
  at: LogPosition,
  from: CommitTsFrom,
  clock: Clock,
): CanalMessage | undefined {
  const bad = (what: string) => new BadChangeLog(at, what);
  let read: ReturnType<typeof parseDigits>;
  try {
    read = parseDigits(text);
  } catch (error) {
    throw bad(`no JSON (${(error as Error).message.slice(0, 80)}): write one Canal-JSON object a line`);
  }
  const { parsed, digits: numbers } = read;
  if (!isObject(parsed)) throw bad("no JSON object: write one Canal-JSON object a line");
  const message = parsed;
  const type = typeof message["type"] === "string" ? message["type"].toUpperCase() : "";
  if (MARKS.has(type)) return undefined;
  const isDdl = message["isDdl"] === true;
  const tidb = message["_tidb"];
  let commitTs: bigint;
  if (from === "es") {
    const es = message["es"];
    if (typeof es !== "number" || !Number.isFinite(es) || es < 0 || es > 2 ** 45)
      throw bad("es is missing: Canal writes the time of the commit there, in ms");
    commitTs = clock.next(es);
  } else {
    const given = isObject(tidb) ? (numbers.get(tidb)?.get("commitTs") ?? tidb["commitTs"]) : undefined;
    if (typeof given !== "string" || !/^\d{1,20}$/.test(given) || BigInt(given) === 0n)
      throw bad(
        "_tidb.commitTs is missing: let TiCDC write it with enable-tidb-extension=true, " +
          "or take Canal's own time of the commit with --commit-ts-from es",
      );
    commitTs = BigInt(given);
    if (commitTs >= 2n ** 64n - 1n) throw bad(`_tidb.commitTs is ${given}: it must fit into 64 bits`);
  }
  const database = message["database"] ?? "";
  const table = message["table"] ?? "";
  if (typeof database !== "string" || typeof table !== "string")
    throw bad("database or table is missing: write them as text");
  const sql = message["sql"] ?? "";
  if (isDdl) {
    if (type === "") throw bad("type is missing: a DDL has its kind there, as CREATE or ALTER");
    if (typeof sql !== "string" || sql.trim() === "")
      throw bad("sql is missing: a DDL has its statement there");
  } else if (!ROW_TYPES.has(type))
    throw bad(
      `type ${JSON.stringify(message["type"] ?? null).slice(0, 80)} is unknown: use ${[...ROW_TYPES].join(", ")}, or isDdl for a DDL`,
    );
  const pkNames = message["pkNames"] ?? null;
  if (pkNames !== null && !(Array.isArray(pkNames) && pkNames.every((one) => typeof one === "string")))
    throw bad("pkNames is no list of names: write the columns of the key, or null");
  const mysqlType = message["mysqlType"] ?? null;
  if (mysqlType !== null && !isObject(mysqlType))
    throw bad("mysqlType is no object: write the type of each column, or null");
  const others: boolean[] = [];
  const data = isDdl ? null : rowsOf(message["data"], "data", numbers, at, others);
  const old = isDdl ? null : rowsOf(message["old"], "old", numbers, at, others);
  const asTiCdc =
    others.length === 0 &&
    message["type"] === type &&
    typeof (tidb as Loose | null)?.["commitTs"] === "number";
  const result: CanalMessage = {
    ...(message as unknown as CanalMessage),
    database,
    table,
    type,
    isDdl,
    sql: typeof sql === "string" ? sql : "",
    pkNames,
    mysqlType: mysqlType as CanalMessage["mysqlType"],
    data,
    old,
    _tidb: { ...(isObject(tidb) && tidb), commitTs },
  };
  if (!asTiCdc) otherWords.add(result);
  return result;
}

/** Messages that said something in other words than TiCDC: a number as a value, a commitTs as text, `insert`. */
const otherWords = new WeakSet<CanalMessage>();

/** Whether a message's own line is what a storage has: TiCDC's readers understand no other words. */
export const isAsTiCdcWritesIt = (message: CanalMessage): boolean => !otherWords.has(message);

function rowsOf(
  given: unknown,
  what: string,
  numbers: Digits,
  at: LogPosition,
  others: boolean[],
): CanalRow[] | null {
  if (given === null || given === undefined) return null;
  if (!Array.isArray(given)) throw new BadChangeLog(at, `${what} is no list: write a list of rows there`);
  return given.map((row: unknown) => {
    if (what === "old" && row === null) {
      others.push(true);
      return {};
    }
    if (!isObject(row))
      throw new BadChangeLog(at, `${what} holds something else than rows: write objects of text`);
    const values = Object.entries(row).map(([name, value]): [string, string | null] => {
      if (typeof value === "string" || value === null) return [name, value];
      others.push(true);
      if (typeof value === "number") return [name, numbers.get(row)?.get(name) ?? String(value)];
      if (typeof value === "boolean") return [name, value ? "1" : "0"];
      throw new BadChangeLog(
        at,
        `the value of "${name.slice(0, 64)}" is an object: Canal-JSON writes every value as text, or null`,
      );
    });
    return Object.fromEntries(values);
  });
}

const isObject = (value: unknown): value is Loose =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A message as a line, with every digit of its commitTs. */
export function writeMessage(message: CanalMessage): string {
  const exact = (_: string, value: unknown) =>
    typeof value === "bigint"
      ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(value.toString())
      : value;
  return JSON.stringify(message, exact);
}
