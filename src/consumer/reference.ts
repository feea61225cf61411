/** A real server as the reference: the log runs there word for word, and its tables are compared with what the folder says. */

import { quote, type TableName } from "../changelog/cursor.ts";
import { columnValue, keyColumns, type ReadOptions, readMessages } from "../changelog/read.ts";
import type { CanalMessage, CanalRow } from "../changelog/types.ts";
import type { S3Options } from "../dispatcher/storage/s3-files.ts";
import { WeirError } from "../error/weir-error.ts";
import type { Row, Table } from "./database.ts";
import { tableName } from "./ddl.ts";
import { readFolder } from "./folder.ts";
import { type Difference, MAX_DIFFERENCES } from "./verdict.ts";
import { databaseOfFolder } from "./verify.ts";

export interface ReferenceVerdict {
  readonly ok: boolean;
  /** Tables that were compared. */
  readonly tables: number;
  /** Statements that the server does not know: TiDB's own on another server. Their tables may differ. */
  readonly failed: readonly { readonly file: string; readonly line: number; readonly why: string }[];
  readonly differences: readonly Difference[];
}

/** What is needed of mysql2, which is an optional peer: the sources compile without it. */
interface Connection {
  query(
    sql: string,
    values?: readonly unknown[],
  ): Promise<[rows: Record<string, unknown>[], fields: unknown]>;
  end(): Promise<void>;
}
const DRIVER: string = "mysql2/promise";

const SYSTEM = new Set(["information_schema", "mysql", "performance_schema", "sys"]);
const name = (text: string) => `\`${text.replaceAll("`", "``")}\``;

/** A server that holds no databases but its own. What the log makes there is dropped in the end. */
export class Reference {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * @param url mysql://user:password@host:port
   * @throws if it does not answer, or holds something already
   */
  static async open(url: string): Promise<Reference> {
    const { createConnection } = (await import(DRIVER)) as {
      createConnection(options: object): Promise<Connection>;
    };
    const connection = await createConnection({
      uri: url,
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      multipleStatements: true,
      charset: "utf8mb4",
      connectTimeout: 10_000,
    });
    const reference = new Reference(connection);
    const there = await reference.#databases();
    if (there.length > 0) {
      await connection.end();
      throw new WeirError(
        "bad-input",
        `the server holds databases already (${there.slice(0, 3).join(", ")}), and the log may drop them`,
      );
    }
    // The log's own server took these statements: this one shall not be stricter.
    await connection.query(
      "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', foreign_key_checks = 0",
    );
    return reference;
  }

  /** Runs a log and compares. The server is empty afterwards, and the connection closed. */
  async compare(
    log: string,
    out: string,
    options: ReadOptions & { readonly s3?: S3Options } = {},
  ): Promise<ReferenceVerdict> {
    try {
      const failed = await this.#run(log, options);
      const actual = databaseOfFolder(await readFolder(out, options.s3));
      const differences: Difference[] = [];
      let tables = 0;
      const wanted = new Map((await this.#tables()).map((one) => [tableName(one), one]));
      for (const table of actual.tables) {
        const found = wanted.get(tableName(table.name));
        wanted.delete(tableName(table.name));
        const about = {
          table: tableName(table.name),
          key: "",
          file: `${table.name.schema}/${table.name.table}/`,
        };
        if (!found) differences.push({ ...about, what: "the server has no such table" });
        else if (table.unknown === undefined) {
          tables++;
          const rows = [...actual.rows(table)].map(({ row }) => row);
          for (const what of await this.#differences(table, rows)) differences.push({ ...about, what });
        }
      }
      for (const one of wanted.keys())
        differences.push({ table: one, key: "", file: "", what: "only the server has this table" });
      return {
        ok: differences.length === 0,
        tables,
        failed,
        differences: differences.slice(0, MAX_DIFFERENCES),
      };
    } finally {
      for (const one of await this.#databases()) await this.#connection.query(`DROP DATABASE ${name(one)}`);
      await this.#connection.end();
    }
  }

  async #run(log: string, options: ReadOptions) {
    const failed: { file: string; line: number; why: string }[] = [];
    let database = "";
    for await (const { message, at } of readMessages(log, options))
      try {
        if (
          message.database !== "" &&
          message.database !== database &&
          !/^\s*(create|drop)\s+(database|schema)/i.test(message.sql)
        ) {
          await this.#connection.query(
            `CREATE DATABASE IF NOT EXISTS ${name(message.database)}; USE ${name(message.database)}`,
          );
          database = message.database;
        }
        if (message.isDdl) {
          await this.#connection.query(message.sql);
          database = "";
        } else await this.#apply(message);
      } catch (error) {
        failed.push({ ...at, why: (error as Error).message });
      }
    return failed;
  }

  async #apply(message: CanalMessage): Promise<void> {
    const table = quote({ schema: message.database, table: message.table });
    const [row] = message.data as [CanalRow];
    const columns = await this.#columns({ schema: message.database, table: message.table });
    if (message.type !== "INSERT") {
      const before = message.type === "UPDATE" ? { ...row, ...message.old?.[0] } : row;
      const keys = keyColumns(message, Object.keys(row));
      const where = keys.map((key) => `${name(key)} <=> ?`).join(" AND ");
      await this.#connection.query(
        `DELETE FROM ${table} WHERE ${where} LIMIT 1`,
        keys.map((key) => given(columnValue(before, key), columns.get(key.toLowerCase()))),
      );
    }
    if (message.type === "DELETE") return;
    const names = Object.keys(row).filter((one) => columns.get(one.toLowerCase()) !== "generated");
    await this.#connection.query(
      `REPLACE INTO ${table} (${names.map(name).join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
      names.map((one) => given(row[one], columns.get(one.toLowerCase()))),
    );
  }

  /** The kind of each column: "generated", or its type. */
  async #columns({ schema, table }: TableName): Promise<Map<string, string>> {
    const [rows] = await this.#connection.query(
      "SELECT column_name AS name, data_type AS type, column_type AS full, extra FROM information_schema.columns WHERE table_schema = ? AND table_name = ?",
      [schema, table],
    );
    return new Map(
      rows.map((one) => [
        String(one["name"]).toLowerCase(),
        /GENERATED|INVISIBLE_SYS/i.test(String(one["extra"] ?? one["EXTRA"] ?? "")) &&
        !/DEFAULT_GENERATED/i.test(String(one["extra"] ?? one["EXTRA"]))
          ? "generated"
          : `${one["type"]}${/zerofill/i.test(String(one["full"])) ? " zerofill" : ""}`,
      ]),
    );
  }

  /** Rows as text, in the folder's columns; what only the server can compute is not compared. */
  async #differences(table: Table, rows: readonly Row[]): Promise<string[]> {
    const columns = await this.#columns(table.name);
    const named = table.shape.columns.map((one) => one.name);
    const order = named.filter((one) => columns.has(one.toLowerCase()));
    const differences = named
      .filter((one) => !columns.has(one.toLowerCase()))
      .map((one) => `the server has no column "${one}"`);
    for (const one of columns.keys())
      if (!named.some((other) => other.toLowerCase() === one))
        differences.push(`only the server has column "${one}"`);
    const places = [...columns.keys()].join();
    if (differences.length === 0 && places !== named.map((one) => one.toLowerCase()).join())
      differences.push(`the server has its columns in another order: ${places}`);
    const [found] = await this.#connection.query(
      `SELECT ${order.map((one) => selected(one, columns.get(one.toLowerCase())!)).join(", ") || "1"} FROM ${quote(table.name)}`,
    );
    const text = (value: unknown) =>
      value === null || value === undefined
        ? null
        : Buffer.isBuffer(value)
          ? value.toString("latin1")
          : String(value);
    const theirs = found.map((row) => order.map((one) => text(row[one])));
    const ours = rows.map((row) => order.map((one) => row.get(one)));
    const unknown = order.filter((_, index) => ours.some((row) => row[index] === undefined));
    const line = (row: readonly (string | null | undefined)[]) =>
      JSON.stringify(row.map((value, index) => (unknown.includes(order[index]!) ? "?" : (value ?? null))));
    const left = new Map<string, number>();
    for (const row of ours) left.set(line(row), (left.get(line(row)) ?? 0) + 1);
    for (const row of theirs.map(line)) {
      const count = left.get(row) ?? 0;
      if (count > 0) left.set(row, count - 1);
      else differences.push(`only the server has the row ${row.slice(0, 200)}`);
    }
    for (const [row, count] of left)
      if (count > 0) differences.push(`the server does not have the row ${row.slice(0, 200)}`);
    return differences;
  }

  async #databases(): Promise<string[]> {
    const [rows] = await this.#connection.query("SHOW DATABASES");
    return rows.map((row) => String(Object.values(row)[0])).filter((one) => !SYSTEM.has(one.toLowerCase()));
  }

  async #tables(): Promise<TableName[]> {
    const [rows] = await this.#connection.query(
      "SELECT table_schema AS s, table_name AS t FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
    );
    return rows
      .map((row) => ({ schema: String(row["s"]), table: String(row["t"]) }))
      .filter((one) => !SYSTEM.has(one.schema.toLowerCase()));
  }
}

/** A value of Canal-JSON as a server takes it: bytes are written as characters there, and bits as a number. */
function given(value: string | null | undefined, type: string | undefined): string | number | Buffer | null {
  if (value === null || value === undefined) return null;
  if (type === "bit") return Number(value);
  return type !== undefined && /blob|binary/.test(type) ? Buffer.from(value, "latin1") : value;
}

/** A column as Canal-JSON writes its values. */
function selected(column: string, type: string): string {
  const one = name(column);
  // The zeros of ZEROFILL are for the display: a row image has the number.
  if (type === "bit" || type.endsWith(" zerofill")) return `CAST(${one} + 0 AS CHAR) AS ${one}`;
  if (/blob|binary/.test(type)) return one;
  return `CAST(${one} AS CHAR) AS ${one}`;
}
