/**
 * Logs of every kind, and what a server holds at their end, written down by hand. The folder is written from the plan, as a replay
 * leaves it behind; both what the log says and what the folder says must be that.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type ReadOptions, readChangeLog } from "../changelog/read.ts";
import { contentOfFolder, contentOfLog } from "./content.ts";
import { writeFolder } from "./testing/folder.ts";
import { describeDifference } from "./verdict.ts";
import { verify } from "./verify.ts";

const root = mkdtempSync(join(tmpdir(), "weir-logs-"));
let files = 0;

type Values = Record<string, unknown>;
interface Row {
  readonly table: string;
  readonly type: string;
  readonly data: Values | Values[];
  readonly old?: Values;
  readonly pk?: string[] | null;
  readonly mysqlType?: Values;
  /** The commitTs of the line before it. */
  readonly same?: boolean;
}
type Line = string | Row | { readonly sql: string; readonly same: true } | { readonly raw: string };

const insert = (table: string, data: Values | Values[], more: Partial<Row> = {}): Row => ({
  table,
  type: "INSERT",
  data,
  ...more,
});
const update = (table: string, old: Values, data: Values, more: Partial<Row> = {}): Row => ({
  table,
  type: "UPDATE",
  old,
  data,
  ...more,
});
const remove = (table: string, data: Values, more: Partial<Row> = {}): Row => ({
  table,
  type: "DELETE",
  data,
  ...more,
});

/** Lines as TiCDC writes them, each with a commitTs of its own; names without a database are of shop. */
function log(lines: readonly Line[]): string {
  let commitTs = 449779372969249750n;
  const texts = lines.map((line) => {
    if (typeof line === "object" && "raw" in line) return line.raw;
    const isDdl = typeof line === "string" || "sql" in line;
    if (typeof line === "string" || !line.same) commitTs += 1_000n;
    const [database, table] = isDdl ? ["shop", ""] : split(line.table);
    const row = isDdl ? undefined : line;
    return JSON.stringify({
      id: 0,
      database,
      table,
      pkNames: row ? (row.pk === undefined ? ["id"] : row.pk) : null,
      isDdl,
      type: row ? row.type : "QUERY",
      es: 1_700_000_000_000,
      ts: 2,
      sql: typeof line === "string" ? line : "sql" in line ? line.sql : "",
      sqlType: null,
      mysqlType: row?.mysqlType ?? null,
      data: row ? (Array.isArray(row.data) ? row.data : [row.data]) : null,
      old: row?.old ? [row.old] : null,
      _tidb: { commitTs: "@" },
    }).replace('"@"', commitTs.toString());
  });
  const file = join(root, `${files++}.ndjson`);
  writeFileSync(file, texts.join("\n"));
  return file;
}
const split = (name: string) => (name.includes(".") ? name.split(/\.(.*)/) : ["shop", name]);

/** What both must hold: tables by name, rows by column. Values that only a server knows are left out. */
async function holds(
  lines: readonly Line[],
  wanted: Record<string, Values[]>,
  options: ReadOptions = {},
): Promise<void> {
  const file = log(lines);
  const out = join(root, `out-${files}`);
  await writeFolder(file, out, options);
  expect(await contentOfLog(file, options), "the log").toEqual(wanted);
  expect(await contentOfFolder(out), "the folder").toEqual(wanted);
  const verdict = await verify(file, out, options);
  expect(verdict.differences.map(describeDifference)).toEqual([]);
}

const T = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))";
const one = insert("t", { id: "1", v: "a" });
const two = insert("t", { id: "2", v: "b" });

describe("columns", () => {
  it.each<[string, Line[], Values[]]>([
    [
      "another primary key: a row of the old key is no row of the new one",
      [
        T,
        one,
        "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (v)",
        insert("t", { id: "1", v: "z" }, { pk: ["v"] }),
      ],
      [
        { id: "1", v: "a" },
        { id: "1", v: "z" },
      ],
    ],
    [
      "two columns that change names",
      [
        "CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT)",
        insert("t", { id: "1", v: "5", w: "6" }),
        "ALTER TABLE t RENAME COLUMN v TO w, RENAME COLUMN w TO v",
      ],
      [{ id: "1", w: "5", v: "6" }],
    ],
    [
      "CHANGE in a circle",
      [
        "CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT)",
        insert("t", { id: "1", v: "5", w: "6" }),
        "ALTER TABLE t CHANGE v w INT, CHANGE w v INT",
      ],
      [{ id: "1", w: "5", v: "6" }],
    ],
    [
      "a new column that is not NULL",
      [T, one, "ALTER TABLE t ADD COLUMN n INT NOT NULL"],
      [{ id: "1", v: "a", n: "0" }],
    ],
    ["a new column that is NULL", [T, one, "ALTER TABLE t ADD n INT"], [{ id: "1", v: "a", n: null }]],
    [
      "new columns with defaults of every form",
      [
        T,
        one,
        "ALTER TABLE t ADD a INT DEFAULT '7', ADD b DECIMAL(8,3) DEFAULT 1.5, ADD c VARCHAR(9) DEFAULT _utf8mb4'it''s', ADD d BOOL DEFAULT TRUE, ADD e DATE DEFAULT '2024-1-2', ADD f DATETIME(3) NOT NULL DEFAULT '2024-01-02', ADD g INT DEFAULT -3, ADD h VARCHAR(3) DEFAULT x'4142', ADD i BIT(4) DEFAULT b'101', ADD j INT DEFAULT (4)",
      ],
      [
        {
          id: "1",
          v: "a",
          a: "7",
          b: "1.500",
          c: "it's",
          d: "1",
          e: "2024-01-02",
          f: "2024-01-02 00:00:00.000",
          g: "-3",
          h: "AB",
          i: "5",
          j: "4",
        },
      ],
    ],
    [
      "new columns that are not NULL, of every type",
      [
        T,
        one,
        "ALTER TABLE t ADD (a VARCHAR(3) NOT NULL, b DECIMAL(6,2) NOT NULL, c DATE NOT NULL, d DATETIME(3) NOT NULL, e ENUM('x','y') NOT NULL, f BLOB NOT NULL, g TIME NOT NULL, h YEAR NOT NULL, i DOUBLE NOT NULL, j SET('x') NOT NULL, k BINARY(2) NOT NULL)",
      ],
      [
        {
          id: "1",
          v: "a",
          a: "",
          b: "0.00",
          c: "0000-00-00",
          d: "0000-00-00 00:00:00.000",
          e: "x",
          f: "",
          g: "00:00:00",
          h: "0000",
          i: "0",
          j: "",
          k: "\0\0",
        },
      ],
    ],
    [
      "a default that only a server can compute",
      [T, one, "ALTER TABLE t ADD u CHAR(36) DEFAULT (UUID())"],
      [{ id: "1", v: "a" }],
    ],
    [
      "a default that is dropped",
      [T, "ALTER TABLE t ALTER v SET DEFAULT 'q'", "ALTER TABLE t ALTER v DROP DEFAULT", one],
      [{ id: "1", v: "a" }],
    ],
    [
      "other types",
      [
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b DECIMAL(8,1), c DATE, d VARCHAR(9), e DECIMAL(8,3))",
        insert("t", { id: "1", a: "5", b: "2.5", c: "2024-01-02", d: "007", e: "2.345" }),
        "ALTER TABLE t MODIFY a DECIMAL(8,2), MODIFY b VARCHAR(9), MODIFY c DATETIME(1), MODIFY d INT, MODIFY e DECIMAL(8,2)",
      ],
      [{ id: "1", a: "5.00", b: "2.5", c: "2024-01-02 00:00:00.0", d: "7", e: "2.35" }],
    ],
    [
      "a column dropped and added again",
      [T, one, "ALTER TABLE t DROP COLUMN v, ADD COLUMN v INT NOT NULL"],
      [{ id: "1", v: "0" }],
    ],
    [
      "a column of another case",
      [
        "CREATE TABLE t (ID INT, v INT, PRIMARY KEY (id))",
        insert("t", { ID: "1", v: "2" }, { pk: ["ID"] }),
        "ALTER TABLE t DROP COLUMN V",
        update("t", { id: "1" }, { id: "1" }, { pk: ["id"] }),
      ],
      [{ ID: "1" }],
    ],
    [
      "a column commitTs, one __proto__",
      [
        "CREATE TABLE t (id INT PRIMARY KEY, commitTs BIGINT, `__proto__` INT)",
        {
          raw: '{"id":0,"database":"shop","table":"t","pkNames":["id"],"isDdl":false,"type":"INSERT","es":1,"ts":1,"sql":"","sqlType":{"id":4,"commitTs":-5},"mysqlType":{"commitTs":"bigint"},"data":[{"id":"1","commitTs":"9","__proto__":"3"}],"old":null,"_tidb":{"commitTs":449779372969259750}}',
        },
      ],
      [JSON.parse('{"id":"1","commitTs":"9","__proto__":"3"}')],
    ],
    [
      "numbers and truths as values, with all digits",
      [
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v BOOL)",
        {
          raw: '{"database":"shop","table":"t","pkNames":["id"],"isDdl":false,"type":"INSERT","data":[{"id":9007199254740993,"v":true}],"old":null,"_tidb":{"commitTs":"449779372969259750"}}',
        },
      ],
      [{ id: "9007199254740993", v: "1" }],
    ],
    [
      "a generated column that rows leave out",
      ["CREATE TABLE t (id INT PRIMARY KEY, g INT AS (id + 1) VIRTUAL)", insert("t", { id: "1" })],
      [{ id: "1" }],
    ],
    [
      "SERIAL, BOOL, and a row that names more columns than the DDL",
      [
        "CREATE TABLE t (id SERIAL, b BOOL)",
        insert("t", { id: "1", b: "1", more: "x" }, { mysqlType: { id: "bigint unsigned", more: "text" } }),
      ],
      [{ id: "1", b: "1", more: "x" }],
    ],
    [
      "U+2028 inside a value",
      [T, insert("t", { id: "1", v: "a\u2028b\u2029c\u0085d" })],
      [{ id: "1", v: "a\u2028b\u2029c\u0085d" }],
    ],
  ])("%s", async (_, lines, rows) => {
    await holds(lines, { "shop.t": rows });
  });

  it("stand where FIRST and AFTER put them, and carry their words in MySQL's form", async () => {
    const file = log([
      "CREATE TABLE t (id INT PRIMARY KEY, a BOOL, b REAL, c DEC(5), d NCHAR(2), e INT UNSIGNED ZEROFILL, f NVARCHAR(3), s SERIAL)",
      "ALTER TABLE t MODIFY c DEC(5) FIRST, ADD COLUMN g INT AFTER a, ADD h INT FIRST, CHANGE b z DOUBLE PRECISION AFTER g",
    ]);
    const last = (await readChangeLog(file)).at(-1)!;
    const columns = last.kind === "ddl" ? last.definitions[0]!.columns : [];
    expect(columns.map((column) => `${column.name} ${column.type}`)).toEqual([
      "h int",
      "c decimal(5)",
      "id int",
      "a tinyint(1)",
      "g int",
      "z double",
      "d char(2)",
      "e int unsigned zerofill",
      "f varchar(3)",
      "s bigint unsigned",
    ]);
  });
});

describe("keys", () => {
  it.each<[string, Line[], Values[]]>([
    [
      "a primary key that is dropped: then equal rows are several",
      [T, one, "ALTER TABLE t DROP PRIMARY KEY", insert("t", { id: "1", v: "a" }, { pk: [] })],
      [
        { id: "1", v: "a" },
        { id: "1", v: "a" },
      ],
    ],
    [
      "none: equal rows are several",
      [
        "CREATE TABLE t (x INT)",
        insert("t", { x: "1" }, { pk: [] }),
        insert("t", { x: "1" }, { pk: [] }),
        insert("t", { x: "2" }, { pk: null }),
        remove("t", { x: "1" }, { pk: [] }),
      ],
      [{ x: "1" }, { x: "2" }],
    ],
    [
      "a unique key in the place of a primary one",
      [
        "CREATE TABLE t (u INT NOT NULL UNIQUE, x INT)",
        insert("t", { u: "1", x: "1" }, { pk: ["u"] }),
        update("t", { x: "1" }, { u: "1", x: "2" }, { pk: null }),
      ],
      [{ u: "1", x: "2" }],
    ],
    [
      "a row's own key stands above the DDL's",
      [
        "CREATE TABLE t (a INT, b INT)",
        insert("t", { a: "1", b: "1" }, { pk: ["a"] }),
        update("t", { b: "1" }, { a: "1", b: "2" }, { pk: ["a"] }),
      ],
      [{ a: "1", b: "2" }],
    ],
    [
      "several key changes at one commitTs, in the order of the log",
      [
        T,
        one,
        two,
        update("t", { id: "1" }, { id: "3", v: "a" }),
        update("t", { id: "2" }, { id: "1", v: "b" }, { same: true }),
        update("t", { id: "3" }, { id: "2", v: "a" }, { same: true }),
      ],
      [
        { id: "1", v: "b" },
        { id: "2", v: "a" },
      ],
    ],
    [
      "in and out within one commitTs",
      [
        T,
        one,
        remove("t", { id: "1", v: "a" }),
        insert("t", { id: "1", v: "c" }, { same: true }),
        remove("t", { id: "1", v: "c" }, { same: true }),
        insert("t", { id: "1", v: "d" }, { same: true }),
      ],
      [{ id: "1", v: "d" }],
    ],
    [
      "several rows in one message",
      [
        T,
        insert("t", [
          { id: "1", v: "a" },
          { id: "2", v: "b" },
        ]),
      ],
      [
        { id: "1", v: "a" },
        { id: "2", v: "b" },
      ],
    ],
  ])("%s", async (_, lines, rows) => {
    await holds(lines, { "shop.t": rows });
  });
});

describe("names", () => {
  it.each<[string, Line[], Record<string, Values[]>]>([
    [
      "a rename with other clauses",
      [T, one, "ALTER TABLE t ADD n INT NOT NULL DEFAULT 3, RENAME TO t2"],
      { "shop.t2": [{ id: "1", v: "a", n: "3" }] },
    ],
    [
      "a rename into another database with other clauses",
      [T, one, "ALTER TABLE t ADD n INT NOT NULL DEFAULT 3, RENAME TO ledger.t2"],
      { "ledger.t2": [{ id: "1", v: "a", n: "3" }] },
    ],
    [
      "a rename behind a comment",
      [T, one, "ALTER TABLE t /* c */ RENAME TO t2"],
      { "shop.t2": [{ id: "1", v: "a" }] },
    ],
    [
      "a chain of renames in one statement",
      [
        "CREATE TABLE a (id INT PRIMARY KEY)",
        "CREATE TABLE b (id INT PRIMARY KEY)",
        insert("a", { id: "1" }),
        insert("b", { id: "2" }),
        "RENAME TABLE a TO tmp, b TO a, tmp TO b",
        insert("a", { id: "3" }),
      ],
      { "shop.a": [{ id: "2" }, { id: "3" }], "shop.b": [{ id: "1" }] },
    ],
    [
      "a cut-over as gh-ost does it, names that differ in case",
      [
        "CREATE TABLE Orders (id INT PRIMARY KEY)",
        insert("Orders", { id: "1" }),
        "CREATE TABLE _Orders_gho (id INT PRIMARY KEY, n INT)",
        insert("_Orders_gho", { id: "1", n: "0" }),
        "RENAME TABLE Orders TO orders_del, _Orders_gho TO orders",
        insert("orders", { id: "2", n: "1" }),
      ],
      {
        "shop.orders": [
          { id: "1", n: "0" },
          { id: "2", n: "1" },
        ],
        "shop.orders_del": [{ id: "1" }],
      },
    ],
    [
      "orders and Orders, which are two",
      [
        "CREATE TABLE orders (id INT PRIMARY KEY)",
        "CREATE TABLE Orders (id INT PRIMARY KEY)",
        insert("Orders", { id: "1" }),
        insert("orders", { id: "2" }),
        "DROP TABLE Orders",
      ],
      { "shop.orders": [{ id: "2" }] },
    ],
    [
      "a table in another case",
      [
        "CREATE TABLE Tt (id INT PRIMARY KEY)",
        insert("tt", { id: "1" }),
        "ALTER TABLE TT ADD n INT",
        insert("TT", { id: "2", n: "1" }),
      ],
      {
        "shop.Tt": [
          { id: "1", n: null },
          { id: "2", n: "1" },
        ],
      },
    ],
    [
      "dots in names",
      [
        "CREATE DATABASE d",
        "CREATE DATABASE `d.x`",
        "CREATE TABLE d.`x.y` (id INT PRIMARY KEY)",
        "CREATE TABLE `d.x`.y (id INT PRIMARY KEY)",
        {
          raw: '{"database":"d.x","table":"y","pkNames":["id"],"isDdl":false,"type":"INSERT","data":[{"id":"1"}],"_tidb":{"commitTs":449779372969254000}}',
        },
        "DROP DATABASE d",
      ],
      { "d.x.y": [{ id: "1" }] },
    ],
    [
      "a table meta and a database syncpoints",
      [
        "CREATE DATABASE syncpoints",
        "CREATE TABLE syncpoints.meta (id INT PRIMARY KEY)",
        "CREATE TABLE syncpoints.x (id INT PRIMARY KEY)",
        insert("syncpoints.meta", { id: "1" }),
        insert("syncpoints.x", { id: "2" }),
        "ALTER DATABASE syncpoints CHARACTER SET utf8mb4",
      ],
      { "syncpoints.meta": [{ id: "1" }], "syncpoints.x": [{ id: "2" }] },
    ],
    [
      "64 characters of three bytes",
      [`CREATE TABLE \`${"表".repeat(64)}\` (id INT PRIMARY KEY)`, insert("表".repeat(64), { id: "1" })],
      { [`shop.${"表".repeat(64)}`]: [{ id: "1" }] },
    ],
    [
      "what a path cannot hold",
      [
        "CREATE TABLE `a/b\\\\c` (id INT PRIMARY KEY)",
        "CREATE TABLE `%41` (id INT PRIMARY KEY)",
        "CREATE TABLE `..` (id INT PRIMARY KEY)",
        insert("..", { id: "1" }, { table: "shop..." }),
      ],
      { "shop.%41": [], "shop...": [{ id: "1" }], "shop.a/b\\\\c": [] },
    ],
    [
      "a doubled backtick",
      ["CREATE TABLE `a``b` (`c``d` INT PRIMARY KEY)", insert("a`b", { "c`d": "1" }, { pk: ["c`d"] })],
      { "shop.a`b": [{ "c`d": "1" }] },
    ],
    [
      "a database that the log never creates",
      ["CREATE TABLE test.t (id INT PRIMARY KEY)", insert("test.t", { id: "1" })],
      { "test.t": [{ id: "1" }] },
    ],
    [
      "a temporary table of the same name",
      [T, one, "CREATE TEMPORARY TABLE t (z INT)", "DROP TEMPORARY TABLE t", two],
      {
        "shop.t": [
          { id: "1", v: "a" },
          { id: "2", v: "b" },
        ],
      },
    ],
  ])("%s", async (_, lines, wanted) => {
    await holds(lines, wanted);
  });
});

describe("several events of one commitTs", () => {
  it.each<[string, Line[], Record<string, Values[]>]>([
    [
      "two tables are created",
      [T, { sql: "CREATE TABLE u (id INT PRIMARY KEY)", same: true }, one, insert("u", { id: "2" })],
      { "shop.t": [{ id: "1", v: "a" }], "shop.u": [{ id: "2" }] },
    ],
    [
      "two renames",
      [
        "CREATE TABLE a (id INT PRIMARY KEY)",
        "CREATE TABLE b (id INT PRIMARY KEY)",
        insert("a", { id: "1" }),
        insert("b", { id: "2" }),
        "RENAME TABLE a TO c",
        { sql: "RENAME TABLE b TO a", same: true },
      ],
      { "shop.a": [{ id: "2" }], "shop.c": [{ id: "1" }] },
    ],
    [
      "dropped and created again",
      [
        T,
        one,
        "DROP TABLE t",
        { sql: "CREATE TABLE t (id INT PRIMARY KEY, w INT)", same: true },
        insert("t", { id: "5", w: "1" }),
      ],
      { "shop.t": [{ id: "5", w: "1" }] },
    ],
    [
      "altered twice",
      [T, one, "ALTER TABLE t ADD a INT DEFAULT 1", { sql: "ALTER TABLE t ADD b INT DEFAULT 2", same: true }],
      { "shop.t": [{ id: "1", v: "a", a: "1", b: "2" }] },
    ],
    [
      "created and renamed",
      [
        "CREATE TABLE _t (id INT PRIMARY KEY)",
        { sql: "RENAME TABLE _t TO t", same: true },
        insert("t", { id: "1" }),
      ],
      { "shop.t": [{ id: "1" }] },
    ],
    [
      "created and dropped",
      [T, "CREATE TABLE u (id INT PRIMARY KEY)", { sql: "DROP TABLE u", same: true }, one],
      { "shop.t": [{ id: "1", v: "a" }] },
    ],
    [
      "dropped, and another takes its name",
      [
        T,
        one,
        "CREATE TABLE n (id INT PRIMARY KEY, v VARCHAR(20))",
        insert("n", { id: "9", v: "n" }),
        "DROP TABLE t",
        { sql: "RENAME TABLE n TO t", same: true },
      ],
      { "shop.t": [{ id: "9", v: "n" }] },
    ],
    [
      "several statements in one DDL",
      [
        T,
        one,
        "ALTER TABLE t ADD a INT DEFAULT 1; ALTER TABLE t RENAME TO u; CREATE TABLE t (id INT PRIMARY KEY)",
      ],
      { "shop.t": [], "shop.u": [{ id: "1", v: "a", a: "1" }] },
    ],
    [
      "rows of others between them",
      [
        T,
        "CREATE TABLE u (id INT PRIMARY KEY)",
        "ALTER TABLE t ADD a INT",
        insert("t", { id: "1", v: "x", a: "1" }, { same: true }),
        insert("u", { id: "1" }, { same: true }),
        { sql: "ALTER TABLE u ADD b INT DEFAULT 3", same: true },
        insert("u", { id: "2", b: "4" }, { same: true }),
      ],
      {
        "shop.t": [{ id: "1", v: "x", a: "1" }],
        "shop.u": [
          { id: "1", b: "3" },
          { id: "2", b: "4" },
        ],
      },
    ],
  ])("%s", async (_, lines, wanted) => {
    await holds(lines, wanted);
  });

  it("refuses a row between two DDLs of its table", async () => {
    const file = log([
      T,
      "ALTER TABLE t ADD a INT",
      insert("t", { id: "1", v: "x", a: "1" }, { same: true }),
      { sql: "ALTER TABLE t DROP a", same: true },
    ]);
    await expect(writeFolder(file, join(root, "never"))).rejects.toThrow(
      /:3: a row between two DDLs of its table/,
    );
  });
});

describe("partitions", () => {
  const P =
    "CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)";
  const rows = [1, 11, 21].map((id) => insert("p", { id: `${id}`, v: "0" }));
  const row = (id: number, v = "0") => ({ id: `${id}`, v });
  it.each<[string, Line[], Record<string, Values[]>]>([
    ["dropped", [P, ...rows, "ALTER TABLE p DROP PARTITION p0"], { "shop.p": [row(11), row(21)] }],
    ["truncated", [P, ...rows, "ALTER TABLE p TRUNCATE PARTITION p1, p2"], { "shop.p": [row(1)] }],
    [
      "added, reorganized, removed",
      [
        P,
        ...rows,
        "ALTER TABLE p REORGANIZE PARTITION p2 INTO (PARTITION p2 VALUES LESS THAN (30), PARTITION p3 VALUES LESS THAN (40))",
        "ALTER TABLE p ADD PARTITION (PARTITION p4 VALUES LESS THAN (50))",
        insert("p", row(45)),
        "ALTER TABLE p DROP PARTITION p2",
        "ALTER TABLE p REMOVE PARTITIONING",
      ],
      { "shop.p": [row(1), row(11), row(45)] },
    ],
    [
      "exchanged",
      [
        P,
        ...rows,
        "CREATE TABLE x (id INT PRIMARY KEY, v INT)",
        insert("x", row(12, "9")),
        "ALTER TABLE p EXCHANGE PARTITION p1 WITH TABLE x",
        update("x", { v: "0" }, row(11, "5")),
        insert("p", row(13)),
      ],
      { "shop.p": [row(1), row(12, "9"), row(13), row(21)], "shop.x": [row(11, "5")] },
    ],
    [
      "a row that goes to another partition",
      [P, ...rows, update("p", { id: "1" }, row(15)), update("p", { id: "15" }, row(2))],
      { "shop.p": [row(11), row(2), row(21)] },
    ],
    [
      "by a function of a date",
      [
        "CREATE TABLE t (id INT PRIMARY KEY, d DATE) PARTITION BY RANGE (TO_DAYS(d)) (PARTITION a VALUES LESS THAN (TO_DAYS('2024-01-01')), PARTITION b VALUES LESS THAN MAXVALUE)",
        insert("t", { id: "1", d: "2023-12-31" }),
        insert("t", { id: "2", d: "2024-01-01" }),
        "ALTER TABLE t DROP PARTITION a",
      ],
      { "shop.t": [{ id: "2", d: "2024-01-01" }] },
    ],
    [
      "by lists",
      [
        "CREATE TABLE t (id INT PRIMARY KEY, r INT) PARTITION BY LIST (r) (PARTITION a VALUES IN (1, 2, NULL), PARTITION b VALUES IN (3))",
        insert("t", { id: "1", r: "3" }),
        insert("t", { id: "2", r: null }),
        "ALTER TABLE t TRUNCATE PARTITION a",
      ],
      { "shop.t": [{ id: "1", r: "3" }] },
    ],
    [
      "by hash",
      [
        "CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
        ...[1, 2, 3, 4].map((id) => insert("t", { id: `${id}` })),
        "ALTER TABLE t TRUNCATE PARTITION p1",
      ],
      { "shop.t": [{ id: "2" }, { id: "3" }] },
    ],
    [
      "into a table and back",
      [
        P,
        ...rows,
        "ALTER TABLE p CONVERT PARTITION p0 TO TABLE old",
        "ALTER TABLE p CONVERT TABLE old TO PARTITION p0 VALUES LESS THAN (10)",
      ],
      { "shop.p": [row(1), row(11), row(21)] },
    ],
  ])("%s", async (_, lines, wanted) => {
    await holds(lines, wanted);
  });

  it("does not compare what only the server can know, and says so", async () => {
    const file = log([
      "CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY KEY (id) PARTITIONS 3",
      insert("t", { id: "1" }),
      "ALTER TABLE t TRUNCATE PARTITION p1",
    ]);
    const out = join(root, "key");
    await writeFolder(file, out);
    expect(await verify(file, out)).toMatchObject({
      ok: true,
      notCompared: [{ table: "shop.t", why: expect.stringContaining("partition") }],
    });
  });
});

describe("tables that come back", () => {
  it.each<[string, Line[], Record<string, Values[]>]>([
    [
      "dropped",
      [T, one, "DROP TABLE t", "FLASHBACK TABLE t TO t2", insert("t2", { id: "2", v: "b" })],
      {
        "shop.t2": [
          { id: "1", v: "a" },
          { id: "2", v: "b" },
        ],
      },
    ],
    [
      "truncated",
      [T, one, "TRUNCATE TABLE t", two, "FLASHBACK TABLE t TO t2"],
      { "shop.t": [{ id: "2", v: "b" }], "shop.t2": [{ id: "1", v: "a" }] },
    ],
    [
      "replaced",
      [
        T,
        one,
        "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))",
        two,
        "FLASHBACK TABLE t TO t2",
      ],
      { "shop.t": [{ id: "2", v: "b" }], "shop.t2": [{ id: "1", v: "a" }] },
    ],
  ])("%s", async (_, lines, wanted) => {
    await holds(lines, wanted);
  });
});

describe("messages", () => {
  const flat = (es: number, more: object) => ({
    raw: JSON.stringify({
      database: "shop",
      es,
      isDdl: false,
      old: null,
      pkNames: ["id"],
      sql: "",
      table: "t",
      ts: 1,
      ...more,
    }),
  });
  it("are Canal's own, without TiDB's extension, if it is asked for", async () => {
    const lines = [
      flat(5, { isDdl: true, type: "CREATE", sql: T, pkNames: null, data: null }),
      flat(5, {
        type: "INSERT",
        data: [
          { id: "1", v: "a" },
          { id: "2", v: "b" },
        ],
      }),
      flat(5, { type: "UPDATE", data: [{ id: "1", v: "z" }], old: [{ v: "a" }] }),
      flat(4, { type: "DELETE", data: [{ id: "2", v: "b" }] }),
    ];
    await expect(readChangeLog(log(lines))).rejects.toThrow(
      /:1: _tidb.commitTs is missing: .*--commit-ts-from es/,
    );
    await holds(lines, { "shop.t": [{ id: "1", v: "z" }] }, { commitTsFrom: "es" });
  });

  it("may be marks of progress, with a byte order mark before them, and CRLF", async () => {
    const file = log([
      T,
      { raw: '{"type":"TIDB_WATERMARK","_tidb":{"watermarkTs":429918007904436226}}\r' },
      one,
    ]);
    const { readFileSync } = await import("node:fs");
    writeFileSync(file, `\ufeff${readFileSync(file, "utf8")}\r\n`);
    expect((await readChangeLog(file)).map((change) => change.kind)).toEqual(["ddl", "row"]);
  });

  it.each<[string, string | Buffer, RegExp]>([
    [
      "an object as a value",
      '{"database":"shop","table":"t","type":"INSERT","data":[{"id":{"a":1}}],"_tidb":{"commitTs":449779372969259750}}',
      /:2: the value of "id" is an object/,
    ],
    [
      "rows that are none",
      '{"database":"shop","table":"t","type":"INSERT","data":["x"],"_tidb":{"commitTs":449779372969259750}}',
      /:2: data holds something else than rows/,
    ],
    [
      "a commitTs beyond 64 bits",
      '{"database":"shop","table":"t","type":"INSERT","data":[{"id":"1"}],"_tidb":{"commitTs":18446744073709551616}}',
      /:2: _tidb.commitTs is 18446744073709551616/,
    ],
    ["another encoding", Buffer.from([0xff, 0xfe, 0x7b]), /:\d: this is no UTF-8/],
  ])("are refused: %s", async (_, line, why) => {
    const file = log([T]);
    const { appendFileSync } = await import("node:fs");
    appendFileSync(file, "\n");
    appendFileSync(file, line);
    await expect(readChangeLog(file)).rejects.toThrow(why);
  });

  it("are refused where the file is a directory", async () => {
    await expect(readChangeLog(root)).rejects.toThrow(/:0: this is a directory/);
  });
});

/** Found with the binary log of a MariaDB (`binlog.long.test.ts`); the values are the server's. */
describe("logs of a server", () => {
  it("have the steps of a sequence as rows: they are no table's", async () => {
    const step = insert("s", { next_not_cached_value: "1001" }, { pk: null });
    const renamed = insert("s2", { next_not_cached_value: "2001" }, { pk: null });
    await holds([T, "CREATE SEQUENCE s", step, "RENAME TABLE s TO s2", renamed, one], {
      "shop.t": [{ id: "1", v: "a" }],
    });
  });

  it("copy partitions with LIKE", async () => {
    await holds(
      [
        "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY LIST (id) (PARTITION a VALUES IN (1), PARTITION b VALUES IN (2))",
        "CREATE TABLE q LIKE p",
        insert("q", { id: "1" }),
        insert("q", { id: "2" }),
        "ALTER TABLE q DROP PARTITION a",
      ],
      { "shop.p": [], "shop.q": [{ id: "2" }] },
    );
  });

  it("leave open what ALTER IGNORE took out", async () => {
    const ddls = [T, one, insert("t", { id: "2", v: "a" }), "ALTER IGNORE TABLE t ADD UNIQUE (v)"];
    const file = log(ddls);
    const out = join(root, "ignore");
    await writeFolder(file, out);
    expect((await verify(file, out)).notCompared).toMatchObject([{ table: "shop.t" }]);
  });

  it("cut, limit and reorder values where the server is not strict", async () => {
    await holds(
      [
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b BIGINT, c FLOAT, d SET('a','b'), e INT, f DOUBLE, g VARCHAR(9))",
        insert("t", {
          id: "1",
          a: "東京abc",
          b: "-300",
          c: "-0.5",
          d: "a,b",
          e: "-5",
          f: "1234567.5",
          g: "x  ",
        }),
        "ALTER TABLE t MODIFY a VARCHAR(3), MODIFY b TINYINT, MODIFY c INT, MODIFY d SET('b','a'), MODIFY e INT ZEROFILL, MODIFY f DECIMAL(5,2), MODIFY g CHAR(5)",
        "ALTER TABLE t ADD h ENUM('Yes','No') DEFAULT 'yes', ADD i SET('p','q') DEFAULT 'q,p'",
      ],
      {
        "shop.t": [
          {
            id: "1",
            a: "東京a",
            b: "-128",
            c: "0",
            d: "b,a",
            e: "0",
            f: "999.99",
            g: "x",
            h: "Yes",
            i: "p,q",
          },
        ],
      },
    );
  });
});
