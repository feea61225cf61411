/** A MariaDB's binary log, as `mariadb-binlog -vv` prints it: transactions of statements and row images. */
import { spawnSync } from "node:child_process";

/** Has the program that prints binary logs. */
export const hasBinlogReader =
  spawnSync("mariadb-binlog", ["--version"], { stdio: "ignore" }).error === undefined;

/** A column's value as it is printed: without quotes, its bytes as latin1; by the column's place, from 1. */
export type Image = ReadonlyMap<number, string | null>;

export interface RowEvent {
  readonly kind: "row";
  readonly type: "INSERT" | "UPDATE" | "DELETE";
  readonly database: string;
  readonly table: string;
  readonly before?: Image;
  readonly after?: Image;
  /** Where it stands in the file. */
  readonly position: number;
}

export interface DdlEvent {
  readonly kind: "ddl";
  /** The default database of the statement; "" for none. */
  readonly database: string;
  readonly sql: string;
}

export interface Transaction {
  readonly seconds: number;
  readonly events: readonly (RowEvent | DdlEvent)[];
}

const CONTROL =
  /^(START TRANSACTION|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|XA|SET|DELIMITER|use\b|\/\*!|\/\*M!100)/i;
const END = "/*!*/;";
const name = (text: string) => text.replaceAll("``", "`");

/** @param file a binary log that is closed */
export function readBinlog(file: string): Transaction[] {
  const printed = spawnSync(
    "mariadb-binlog",
    ["--no-defaults", "-vv", "--base64-output=decode-rows", "--skip-annotate-row-events", file],
    { encoding: "latin1", maxBuffer: 1 << 28, env: { ...process.env, TZ: "UTC" } },
  );
  if (printed.status !== 0) throw new Error(`mariadb-binlog: ${printed.stderr}`);
  const transactions: { seconds: number; events: (RowEvent | DdlEvent)[] }[] = [];
  let database = "";
  let position = 0;
  let statement: string[] | undefined;
  let row: { type: RowEvent["type"]; database: string; table: string } | undefined;
  let images: { before?: Map<number, string | null>; after?: Map<number, string | null> } = {};
  let into: Map<number, string | null> | undefined;
  const finishRow = () => {
    if (row) transactions.at(-1)!.events.push({ kind: "row", ...row, ...images, position });
    row = undefined;
    images = {};
    into = undefined;
  };
  for (const line of printed.stdout.split("\n")) {
    if (line.startsWith("### ")) {
      const head = /^### (INSERT INTO|UPDATE|DELETE FROM) `((?:[^`]|``)*)`\.`((?:[^`]|``)*)`$/.exec(line);
      if (head) {
        finishRow();
        const type = head[1]!.split(" ")[0] as RowEvent["type"];
        row = { type, database: utf8(name(head[2]!)), table: utf8(name(head[3]!)) };
      } else if (line === "### WHERE") into = images.before = new Map();
      else if (line === "### SET") into = images.after = new Map();
      else {
        const value = /^### {3}@(\d+)=(.*?)\s*\/\* [A-Z][^*]* is_null=[01] \*\/$/.exec(line);
        if (!value || !into) throw new Error(`unknown line of mariadb-binlog: ${line}`);
        into.set(Number(value[1]), printedValue(value[2]!));
      }
      continue;
    }
    if (statement === undefined) finishRow();
    const at = /^# at (\d+)$/.exec(line);
    const header = /^#(\d{6} +\d+:\d+:\d+) server id \d+ {2}end_log_pos \d+.*?\t(\S+)/.exec(line);
    if (statement === undefined && at) position = Number(at[1]);
    else if (statement === undefined && header) {
      if (header[2] === "GTID") transactions.push({ seconds: secondsOf(header[1]!), events: [] });
      if (header[2] === "Query") statement = [];
    } else if (statement !== undefined) {
      const ends = line.endsWith(END);
      statement.push(ends ? line.slice(0, -END.length) : line);
      if (!ends) continue;
      const text = utf8(statement.join("\n")).trim();
      const used = /^use `((?:[^`]|``)*)`$/.exec(text);
      if (used) database = name(used[1]!);
      if (CONTROL.test(text)) statement = /^(SET|use|\/\*)/i.test(text) ? [] : undefined;
      else {
        transactions.at(-1)!.events.push({ kind: "ddl", database, sql: text });
        statement = undefined;
      }
    }
  }
  finishRow();
  return transactions.filter((one) => one.events.length > 0);
}

/** @param text `261129 11:31:59` */
const secondsOf = (text: string) =>
  Date.parse(
    `20${text.replace(/^(\d\d)(\d\d)(\d\d) +(\d+)/, (_, y, m, d, h: string) => `${y}-${m}-${d}T${h.padStart(2, "0")}`)}Z`,
  ) / 1000;

const utf8 = (bytes: string) => Buffer.from(bytes, "latin1").toString("utf8");

/** Bytes below blank are printed as `\x0A`; nothing else is escaped. */
function printedValue(text: string): string | null {
  if (text === "NULL") return null;
  const quoted = /^b?'(.*)'$/s.exec(text);
  if (!quoted) return text;
  return quoted[1]!.replaceAll(/\\x([0-9A-F]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
