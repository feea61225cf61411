/** A MariaDB's own binary log becomes a change log, `weir replay` reads it, and its folder holds what the server holds. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outputOf } from "../cli/testing/output.ts";
import { readFolder } from "./folder.ts";
import { hasBinlogReader, type RowEvent, readBinlog, type Transaction } from "./testing/binlog.ts";
import { type Form, type ServerColumn, writeCanal } from "./testing/canal.ts";
import { compareTables } from "./testing/compare-tables.ts";
import { hasMariaDb, type MariaDb, startMariaDb } from "./testing/mariadb.ts";
import { type Connection, columnsOf, connect, dump, type ServerTable } from "./testing/server.ts";
import { HALF_FAILS, WORKLOAD } from "./testing/workload.ts";
import { databaseOfFolder } from "./verify.ts";

const available = hasMariaDb && hasBinlogReader;
if (!available)
  console.log(
    "No MariaDB, mariadb-binlog or mysql2 is installed (apt-get install mariadb-server, npm ci): its binary log is not replayed.",
  );

const OPTIONS = ["--log-bin=log", "--server-id=1", "--binlog-format=ROW", "--binlog-row-image=FULL"];
const columns = (table: string, names: string) => names.split(" ").map((name) => `shop.${table}.${name}`);
/** What only the server knows of rows that were there: expressions, an auto-increment, conversions that depend on it. */
const UNKNOWN = [
  ...columns("c1", "g h l p q r t"),
  ...columns("c2", "g o"),
  ...columns("c3", "a b l m n o p q aa ab ac ba bb bc"),
  "shop.c4: ALTER IGNORE took out rows of equal keys, and it is not known which",
  "shop.cols: rows of a partition went, and it is not known which",
  ...columns("later", "b c d"),
  "shop.unkeyed: its key has values that only the server knows",
];

/** The columns of all tables up to a place in the log. */
interface Snapshot {
  readonly end: number;
  readonly columns: ReadonlyMap<string, readonly ServerColumn[]>;
}

describe.skipIf(!available)("a server's own binary log", () => {
  const root = mkdtempSync(join(tmpdir(), "weir-binlog-"));
  let server: MariaDb;
  let transactions: Transaction[];
  let wanted: Map<string, ServerTable>;
  const snapshots: Snapshot[] = [];

  beforeAll(async () => {
    server = await startMariaDb(OPTIONS);
    const connection = await connect(server.url);
    await connection.query("SET SESSION time_zone = '+00:00'");
    for (const statement of WORKLOAD) {
      if (statement === HALF_FAILS) await expect(connection.query(statement)).rejects.toThrow("never2");
      else await connection.query(statement);
      const onlyRows = /^(insert|update|delete|replace)/i.test(statement);
      const columns = onlyRows ? snapshots.at(-1)!.columns : await columnsOf(connection);
      snapshots.push({ end: await place(connection), columns });
    }
    wanted = await dump(connection);
    await connection.query("FLUSH BINARY LOGS");
    await connection.end();
    transactions = readBinlog(join(server.data, "log.000001"));
  }, 240_000);
  afterAll(() => server?.stop());

  const columnsAt = (row: RowEvent) => {
    const { columns } = snapshots.find((one) => one.end > row.position)!;
    const found = columns.get(`${row.database}.${row.table}`);
    if (!found) throw new Error(`no columns of ${row.database}.${row.table} at ${row.position}`);
    return found;
  };

  it.each<[form: Form, options: string[], unknown: string[]]>([
    // TiCDC leaves out what is computed at each reading.
    ["ticdc", [], ["shop.derived.b", ...UNKNOWN]],
    ["canal", ["--commit-ts-from", "es"], UNKNOWN],
  ])(
    "comes out as the server has it, in the form of %s",
    async (form, options, notKnown) => {
      const folder = join(root, form);
      mkdirSync(folder);
      const log = join(folder, "log.ndjson");
      writeFileSync(log, writeCanal(transactions, columnsAt, form));
      const out = join(folder, "out");
      const child = spawn(
        process.execPath,
        ["bin/weir.mjs", "replay", log, "--out", out, "--json", ...options],
        {
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      const ended = await outputOf(child).ended;
      expect(ended, ended.err).toMatchObject({ code: 0 });
      const { differences, unknown } = compareTables(databaseOfFolder(await readFolder(out)), wanted);
      expect(differences).toEqual([]);
      expect(unknown.sort()).toEqual([...notKnown].sort());
    },
    600_000,
  );
});

async function place(connection: Connection): Promise<number> {
  const [[status]] = (await connection.query("SHOW MASTER STATUS")) as [[{ Position: number }], unknown];
  return status.Position;
}
