/** A real MariaDB runs the log; what it holds is what the folder says. Skipped where none is installed. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Reference } from "./reference.ts";
import { writeFolder } from "./testing/folder.ts";
import { hasMariaDb, type MariaDb, startMariaDb } from "./testing/mariadb.ts";
import { describeDifference } from "./verdict.ts";

const root = mkdtempSync(join(tmpdir(), "weir-reference-"));
if (!hasMariaDb)
  console.log(
    "No MariaDB or no mysql2 is installed (apt-get install mariadb-server, npm ci): what needs them is skipped.",
  );

type Row = readonly [
  type: "INSERT" | "UPDATE" | "DELETE",
  table: string,
  data: Record<string, string | null>,
  old?: Record<string, string | null>,
];

function log(lines: readonly (string | Row)[]): string {
  let commitTs = 449779372969249750n;
  const texts = lines.map((line) => {
    const isDdl = typeof line === "string";
    const [type, table, data, old] = isDdl ? ["QUERY", "", null, undefined] : line;
    const message = {
      database: "shop",
      table,
      isDdl,
      type,
      sql: isDdl ? line : "",
      pkNames: isDdl ? null : ["id"],
      data: data && [data],
      old: old ? [old] : null,
    };
    return JSON.stringify({ ...message, _tidb: { commitTs: `${commitTs++}` } });
  });
  const file = join(root, "log.ndjson");
  writeFileSync(file, texts.join("\n"));
  return file;
}

const T = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT)";
const rows: Row[] = [
  ["INSERT", "t", { id: "1", v: "a", w: "5" }],
  ["INSERT", "t", { id: "2", v: null, w: "7" }],
];
const P =
  "CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)";
const parts: Row[] = ["1", "11", "21"].map((id) => ["INSERT", "p", { id, v: "0" }]);

const LOGS: readonly [string, readonly (string | Row)[]][] = [
  [
    "a new primary key",
    [
      T,
      rows[0]!,
      "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (w)",
      ["UPDATE", "t", { id: "1", v: "z", w: "5" }, { v: "a" }],
    ],
  ],
  ["names that change places", [T, ...rows, "ALTER TABLE t RENAME COLUMN v TO w, RENAME COLUMN w TO v"]],
  [
    "places of columns",
    [
      T,
      ...rows,
      "ALTER TABLE t MODIFY w INT FIRST, ADD COLUMN a INT AFTER w, ADD b INT FIRST, CHANGE v z VARCHAR(30) AFTER a, ADD (c INT, d INT)",
    ],
  ],
  [
    "defaults",
    [
      T,
      ...rows,
      "ALTER TABLE t ADD a INT DEFAULT '7', ADD b DECIMAL(8,3) DEFAULT 1.5, ADD c VARCHAR(9) DEFAULT _utf8mb4'it''s', ADD d BOOL DEFAULT TRUE, ADD e DATE DEFAULT '2024-1-2', ADD f DATETIME(3) NOT NULL DEFAULT '2024-01-02', ADD g INT DEFAULT -3, ADD h VARCHAR(3) DEFAULT x'4142', ADD i BIT(4) DEFAULT b'101', ADD j INT DEFAULT (4), ADD k CHAR(36) DEFAULT (UUID()), ADD l VARBINARY(3) DEFAULT x'00ff', ADD m DOUBLE DEFAULT 0.5, ADD n BINARY(4) DEFAULT 'ab'",
    ],
  ],
  [
    "zeros of NOT NULL",
    [
      T,
      ...rows,
      "ALTER TABLE t ADD (a VARCHAR(3) NOT NULL, b DECIMAL(6,2) NOT NULL, c DATE NOT NULL, d DATETIME(3) NOT NULL, e ENUM('x','y') NOT NULL, f BLOB NOT NULL, g TIME NOT NULL, h YEAR NOT NULL, i DOUBLE NOT NULL, j SET('x') NOT NULL, k BINARY(2) NOT NULL, l INT UNSIGNED NOT NULL, m BIT(3) NOT NULL, n TEXT NOT NULL, o TIME(2) NOT NULL)",
    ],
  ],
  [
    "other types",
    [
      "CREATE TABLE t (id INT PRIMARY KEY, a INT, b DECIMAL(8,1), c DATE, d VARCHAR(9), e DECIMAL(8,3), f DATETIME, g BIGINT, h INT, i DECIMAL(6,2), j TIME)",
      [
        "INSERT",
        "t",
        {
          id: "1",
          a: "5",
          b: "2.5",
          c: "2024-01-02",
          d: "007",
          e: "2.345",
          f: "2024-01-02 03:04:05",
          g: "-12",
          h: null,
          i: "-0.50",
          j: "10:11:12",
        },
      ],
      "ALTER TABLE t MODIFY a DECIMAL(8,2), MODIFY b VARCHAR(9), MODIFY c DATETIME(1), MODIFY d INT, MODIFY e DECIMAL(8,2), MODIFY f DATETIME(3), MODIFY g VARCHAR(9), MODIFY h INT NOT NULL, MODIFY i INT, MODIFY j TIME(2)",
    ],
  ],
  [
    "types",
    [
      "CREATE TABLE t (id SERIAL, a TINYINT UNSIGNED, b BOOL, c REAL, d DEC(10,3), e NCHAR(3), f NVARCHAR(9) DEFAULT 'x', g BINARY(3), h VARBINARY(9), i BLOB, j LONG VARCHAR, k DATETIME(6), l TIMESTAMP(3) NULL, m TIME(1), n YEAR, o BIT(9), p ENUM('a','b'), q SET('a','b'), r JSON, s DATE, u DOUBLE PRECISION, v INT AS (a + 1) STORED, w CHAR(3) CHARACTER SET latin1)",
      [
        "INSERT",
        "t",
        {
          id: "18446744073709551615",
          a: "255",
          b: "1",
          c: "1.5",
          d: "-1.250",
          e: "é東x",
          f: "🧵",
          g: "\u0000\u00ff1",
          h: "\u0080",
          i: "\u00fe\u0001",
          j: "l",
          k: "2024-01-02 03:04:05.678901",
          l: "2024-01-02 03:04:05.678",
          m: "-12:00:00.5",
          n: "2024",
          o: "257",
          p: "b",
          q: "a,b",
          r: '{"a": 1}',
          s: "2024-02-29",
          u: "-0.25",
          w: "abc",
        },
      ],
      ["INSERT", "t", { id: "2" }],
    ],
  ],
  [
    "zeros that only the display has",
    ["CREATE TABLE t (id INT PRIMARY KEY, a INT(5) ZEROFILL)", ["INSERT", "t", { id: "1", a: "42" }]],
  ],
  [
    "a chain of renames",
    [
      T,
      "CREATE TABLE a LIKE t",
      "CREATE TABLE b (id INT PRIMARY KEY)",
      ["INSERT", "b", { id: "4" }],
      "RENAME TABLE a TO tmp, b TO a, tmp TO b",
      "ALTER TABLE a ADD n INT NOT NULL, RENAME TO c",
      "CREATE TABLE `a``b` (id INT PRIMARY KEY)",
      "CREATE TABLE `x.y` (id INT PRIMARY KEY)",
    ],
  ],
  [
    "partitions",
    [
      P,
      ...parts,
      "CREATE TABLE x (id INT PRIMARY KEY, v INT)",
      ["INSERT", "x", { id: "12", v: "9" }],
      "ALTER TABLE p EXCHANGE PARTITION p1 WITH TABLE x",
      "ALTER TABLE p DROP PARTITION p0",
      "ALTER TABLE p REORGANIZE PARTITION p2 INTO (PARTITION q VALUES LESS THAN (30), PARTITION r VALUES LESS THAN MAXVALUE)",
      ["INSERT", "p", { id: "31", v: "1" }],
      "ALTER TABLE p TRUNCATE PARTITION q",
    ],
  ],
  [
    "hash partitions",
    [
      "CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
      ...["-4", "1", "2", "3", "4"].map((id): Row => ["INSERT", "t", { id }]),
      "ALTER TABLE t TRUNCATE PARTITION p1",
      "ALTER TABLE t COALESCE PARTITION 1",
    ],
  ],
  [
    "dates in partitions",
    [
      "CREATE TABLE t (id INT, d DATE) PARTITION BY LIST (QUARTER(d)) (PARTITION a VALUES IN (1), PARTITION b VALUES IN (2, 3), PARTITION c VALUES IN (4, NULL))",
      ...["2024-03-31", "2024-04-01", "2024-12-31"].map((d, id): Row => ["INSERT", "t", { id: `${id}`, d }]),
      "ALTER TABLE t TRUNCATE PARTITION b",
    ],
  ],
  [
    "truncate, drop, create again",
    [
      T,
      ...rows,
      "TRUNCATE TABLE t",
      rows[0]!,
      "CREATE TABLE u SELECT * FROM t",
      "DROP TABLE u",
      "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)",
      ["INSERT", "t", { id: "9" }],
      "CREATE TEMPORARY TABLE t (z INT)",
      "DROP TEMPORARY TABLE t",
      "CREATE VIEW v AS SELECT * FROM t",
      "CREATE SEQUENCE s",
    ],
  ],
];

describe.skipIf(!hasMariaDb)("a real server", () => {
  let server: MariaDb;
  beforeAll(async () => {
    server = await startMariaDb();
  }, 120_000);
  afterAll(() => server.stop());

  it.each(LOGS)(
    "holds what the folder says: %s",
    async (what, lines) => {
      const file = log(["CREATE DATABASE shop CHARACTER SET utf8mb4", ...lines]);
      const out = join(root, what.replaceAll(/\W/g, "-"));
      await writeFolder(file, out);
      const reference = await Reference.open(server.url);
      const verdict = await reference.compare(file, out);
      expect(verdict.failed.map((one) => one.why)).toEqual([]);
      expect(verdict.differences.map(describeDifference)).toEqual([]);
      expect(verdict.tables).toBeGreaterThan(0);
    },
    60_000,
  );

  it("finds a row that the folder does not have", async () => {
    const file = log(["CREATE DATABASE shop", T, ...rows]);
    const out = join(root, "less");
    await writeFolder(log(["CREATE DATABASE shop", T, rows[0]!]), out);
    log(["CREATE DATABASE shop", T, ...rows]);
    const verdict = await (await Reference.open(server.url)).compare(file, out);
    expect(verdict).toMatchObject({
      ok: false,
      differences: [{ what: expect.stringContaining('only the server has the row ["2",null,"7"]') }],
    });
  }, 60_000);
});
