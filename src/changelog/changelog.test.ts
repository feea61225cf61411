import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { generate } from "../../examples/generate.ts";
import { InfluenceType } from "../protocol/messages.ts";
import { BadChangeLog } from "./problem.ts";
import { readChangeLog } from "./read.ts";
import type { Change, DdlChange } from "./types.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-log-"));
let files = 0;
let clock = 449779372969249750n;

interface Line {
  readonly database?: string;
  readonly table?: string;
  readonly type: string;
  readonly sql?: string;
  readonly data?: Record<string, string | null>;
  readonly old?: Record<string, string | null>;
}

/** A line as TiCDC writes it. */
function line(
  { database = "shop", table = "", type, sql = "", data, old }: Line,
  commitTs = clock++,
): string {
  const isDdl = sql !== "";
  return JSON.stringify({
    id: 0,
    database,
    table,
    pkNames: isDdl ? null : ["id"],
    isDdl,
    type,
    es: 1,
    ts: 2,
    sql,
    sqlType: null,
    mysqlType: null,
    data: data ? [data] : null,
    old: old ? [old] : null,
    _tidb: { commitTs: "@" },
  }).replace('"@"', commitTs.toString());
}
const ddl = (type: string, sql: string, table = "", database = "shop") =>
  line({ type, sql, table, database });

function log(...lines: string[]): string {
  const file = join(folder, `${files++}.ndjson`);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}
const START = [
  "CREATE DATABASE `shop`",
  "CREATE DATABASE `ledger`",
  "CREATE TABLE `shop`.`a` (`id` BIGINT PRIMARY KEY, `x` VARCHAR(20))",
  "CREATE TABLE `shop`.`b` (`id` BIGINT, `y` INT, PRIMARY KEY (`id`))",
].map((sql) => ddl("CREATE", sql));

/** The last change of a log that starts with schemas shop (101) and ledger (102), tables shop.a (103) and shop.b (104). */
async function last(...lines: string[]): Promise<Change> {
  return (await readChangeLog(log(...START, ...lines))).at(-1)!;
}
const normal = (...tableIds: bigint[]) => ({ type: InfluenceType.Normal, tableIds, schemaId: 0n });
const schema = (schemaId: bigint) => ({ type: InfluenceType.DB, tableIds: [], schemaId });

describe("a DDL touches, drops, adds and moves", () => {
  it.each<[string, string, Partial<DdlChange>]>([
    ["CREATE", "CREATE DATABASE `more`", { blockTables: normal(0n), needAddedTables: [] }],
    ["ERASE", "DROP DATABASE `shop`", { blockTables: schema(101n), needDroppedTables: schema(101n) }],
    [
      "QUERY",
      "ALTER DATABASE `shop` CHARACTER SET utf8mb4",
      { blockTables: schema(101n), needDroppedTables: undefined },
    ],
    [
      "CREATE",
      "CREATE TABLE c (id INT PRIMARY KEY)",
      { blockTables: normal(0n), needAddedTables: [{ tableId: 105n, schemaId: 101n }] },
    ],
    [
      "CREATE",
      "CREATE TABLE ledger.c LIKE a",
      { blockTables: normal(0n, 103n), needAddedTables: [{ tableId: 105n, schemaId: 102n }] },
    ],
    [
      "ERASE",
      "DROP TABLE a, b",
      { blockTables: normal(103n, 104n, 0n), needDroppedTables: normal(103n, 104n) },
    ],
    [
      "TRUNCATE",
      "TRUNCATE TABLE a",
      {
        blockTables: normal(103n, 0n),
        needDroppedTables: normal(103n),
        needAddedTables: [{ tableId: 105n, schemaId: 101n }],
      },
    ],
    ["RENAME", "RENAME TABLE a TO a2", { blockTables: normal(103n, 0n), updatedSchemas: [] }],
    [
      "RENAME",
      "ALTER TABLE a RENAME TO ledger.a2",
      {
        blockTables: normal(103n, 0n),
        updatedSchemas: [{ tableId: 103n, oldSchemaId: 101n, newSchemaId: 102n }],
      },
    ],
    [
      "RENAME",
      "RENAME TABLE a TO ledger.a, b TO b2",
      {
        blockTables: normal(103n, 104n, 0n),
        updatedSchemas: [{ tableId: 103n, oldSchemaId: 101n, newSchemaId: 102n }],
      },
    ],
    ["ALTER", "ALTER TABLE a ADD COLUMN z INT DEFAULT 7 AFTER id", { blockTables: normal(103n) }],
    ["CINDEX", "CREATE INDEX i ON a (x)", { blockTables: normal(103n) }],
    ["DINDEX", "DROP INDEX i ON a", { blockTables: normal(103n) }],
    [
      "CREATE",
      "CREATE VIEW v AS SELECT * FROM a",
      { blockTables: { type: InfluenceType.All, tableIds: [], schemaId: 0n } },
    ],
    ["ERASE", "DROP VIEW v", { blockTables: normal(0n) }],
  ])("%s: %s", async (type, sql, expected) => {
    expect(await last(ddl(type, sql, "a"))).toMatchObject(expected);
  });

  it("follows columns and versions", async () => {
    const change = (await last(
      ddl("ALTER", "ALTER TABLE a ADD COLUMN z INT FIRST, DROP COLUMN x", "a"),
      ddl("ALTER", "ALTER TABLE a CHANGE COLUMN z w DECIMAL(10,2)", "a"),
      ddl("RENAME", "RENAME TABLE a TO ledger.c", "a"),
    )) as DdlChange;
    expect(change.definitions).toEqual([
      {
        schema: "ledger",
        table: "c",
        tableId: 103n,
        schemaId: 102n,
        version: change.commitTs,
        columns: [
          { name: "w", type: "decimal(10,2)", isPrimaryKey: false, nullable: true },
          { name: "id", type: "bigint", isPrimaryKey: true, nullable: false },
        ],
        query: "RENAME TABLE `shop`.`a` TO `ledger`.`c`",
      },
    ]);
  });

  it("keeps every digit of a commitTs, and knows which table and version a row belongs to", async () => {
    const file = log(
      ...START,
      line({ table: "a", type: "INSERT", data: { id: "1", x: "y" } }, 449979372969249757n),
    );
    const row = (await readChangeLog(file)).at(-1)!;
    expect(row).toMatchObject({ kind: "row", commitTs: 449979372969249757n, tableId: 103n, key: '["1"]' });
    clock = 449979372969249758n;
  });
});

describe("bad input is refused with file, line and what to do", () => {
  it.each<[string, () => string[], RegExp]>([
    ["no JSON", () => ["{"], /:5: no JSON .*one Canal-JSON object a line/],
    ["no object", () => ["7"], /:5: no JSON object/],
    ["no commitTs", () => ['{"type":"INSERT"}'], /:5: _tidb.commitTs is missing: let TiCDC/],
    [
      "back in time",
      () => [line({ table: "a", type: "INSERT", data: { id: "1" } }, 5n)],
      /:5: commitTs 5 goes back behind \d+: sort the log/,
    ],
    [
      "an unknown type",
      () => [line({ table: "a", type: "UPSERT" })],
      /:5: type "UPSERT" is unknown: use INSERT/,
    ],
    [
      "an unknown DDL type",
      () => [ddl("FROB", "FROB a")],
      /:5: this DDL cannot be classified: no statement .* begins with "FROB", and its type is FROB/,
    ],
    [
      "a statement that is none",
      () => [ddl("ERASE", "FROB TABLE a")],
      /:5: this DDL cannot be classified: .*Statement: FROB TABLE a/,
    ],
    [
      "a DDL on what is not there",
      () => [ddl("ALTER", "ALTER TABLE nope ADD COLUMN z INT")],
      /:5: .*table `shop`.`nope` does not exist/,
    ],
    [
      "a partition of a table that has none",
      () => [ddl("ALTER", "ALTER TABLE a ADD PARTITION (PARTITION p1 VALUES LESS THAN (10))")],
      /the table has no partitions at this point/,
    ],
    [
      "a row of an unknown table",
      () => [line({ table: "nope", type: "INSERT", data: { id: "1" } })],
      /:5: a row of table shop.nope/,
    ],
    [
      "a row without its key",
      () => [line({ table: "a", type: "INSERT", data: { x: "1" } })],
      /:5: the row has no value for "id"/,
    ],
    ["a row without rows", () => [line({ table: "a", type: "DELETE" })], /:5: data is empty/],
  ])("%s", async (_, lines, message) => {
    const file = log(...START, ...lines());
    const reading = readChangeLog(file);
    await expect(reading).rejects.toThrow(BadChangeLog);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(file);
  });

  it("says so when there is no file, or nothing in it", async () => {
    await expect(readChangeLog(join(folder, "nope"))).rejects.toThrow(/there is no such file/);
    await expect(readChangeLog(log(""))).rejects.toThrow(/the log has no changes/);
  });
});

describe("the example", () => {
  const text = readFileSync(new URL("../../examples/shop.ndjson", import.meta.url), "utf8");

  it("is what its generator writes", () => {
    expect(text === `${generate().join("\n")}\n`).toBe(true);
  });

  it("has at least 5,000 row changes in 8 tables of 2 schemas, and 25 DDLs of every kind", async () => {
    const changes = await readChangeLog(new URL("../../examples/shop.ndjson", import.meta.url).pathname);
    const rows = changes.filter((change) => change.kind === "row");
    const ddls = changes.filter((change) => change.kind === "ddl");
    expect(rows.length).toBeGreaterThanOrEqual(5_000);
    expect(new Set(rows.map((row) => `${row.schema}.${row.table}`)).size).toBeGreaterThanOrEqual(8);
    expect(new Set(rows.map((row) => row.schema)).size).toBeGreaterThanOrEqual(2);
    expect(ddls.length).toBeGreaterThanOrEqual(25);
    expect(new Set(ddls.map((one) => one.type))).toEqual(
      new Set(["CREATE", "ALTER", "RENAME", "TRUNCATE", "ERASE", "CINDEX", "DINDEX", "QUERY"]),
    );
    expect(ddls.some((one) => one.updatedSchemas.length > 0)).toBe(true);
    expect(
      Math.max(
        ...Map.groupBy(rows, (row) => row.commitTs)
          .values()
          .map((one) => one.length),
      ),
    ).toBeGreaterThan(1);
  });
});
