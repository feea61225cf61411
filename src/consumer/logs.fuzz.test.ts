/** Any row of DDLs and rows, at one commitTs or at several: the folder of a replay says what the log says. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { BadChangeLog } from "../changelog/problem.ts";
import { contentOfFolder, contentOfLog } from "./content.ts";
import { writeFolder } from "./testing/folder.ts";
import { describeDifference } from "./verdict.ts";
import { verify } from "./verify.ts";

const root = mkdtempSync(join(tmpdir(), "weir-logs-fuzz-"));
const name = fc.constantFrom("a", "b", "c", "ledger.a", "A");
// Every row has its id: a log with rows of a column that it dropped is no log.
const column = fc.constantFrom("x", "y", "z");
const part = fc.constantFrom("p0", "p1", "p2");
const of = (parts: TemplateStringsArray, ...values: fc.Arbitrary<string>[]) =>
  fc.tuple(...values).map((all) => String.raw({ raw: parts }, ...(all as string[])));
const clause = fc.oneof(
  of`ADD COLUMN ${column} INT NOT NULL`,
  of`ADD ${column} VARCHAR(9) DEFAULT 'q' FIRST`,
  of`DROP COLUMN ${column}`,
  of`RENAME COLUMN ${column} TO ${column}`,
  of`MODIFY ${column} DECIMAL(6,2) AFTER ${column}`,
  of`ADD UNIQUE (${column})`,
);
const RANGES =
  "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (3), PARTITION p1 VALUES LESS THAN (6), PARTITION p2 VALUES LESS THAN MAXVALUE)";
const statement = fc.oneof(
  of`CREATE TABLE ${name} (id INT PRIMARY KEY, x INT)`,
  of`CREATE OR REPLACE TABLE ${name} (id INT PRIMARY KEY, y INT) ${fc.constantFrom("", RANGES)}`,
  of`CREATE TABLE IF NOT EXISTS ${name} LIKE ${name}`,
  of`DROP TABLE IF EXISTS ${name}`,
  of`TRUNCATE TABLE ${name}`,
  of`RENAME TABLE ${name} TO ${name}`,
  of`RENAME TABLE ${name} TO t9, ${name} TO ${name}, t9 TO ${name}`,
  of`ALTER TABLE ${name} ${clause}`,
  of`ALTER TABLE ${name} ${clause}, ${clause}`,
  of`ALTER TABLE ${name} ${clause}, RENAME TO ${name}`,
  of`ALTER TABLE ${name} ${fc.constantFrom(RANGES, "REMOVE PARTITIONING", "PARTITION BY HASH (id) PARTITIONS 2")}`,
  of`ALTER TABLE ${name} TRUNCATE PARTITION ${part}`,
  of`ALTER TABLE ${name} DROP PARTITION ${part}`,
  of`ALTER TABLE ${name} EXCHANGE PARTITION ${part} WITH TABLE ${name}`,
  of`FLASHBACK TABLE ${name} TO ${fc.constantFrom("a", "b", "c")}`,
  fc.constantFrom(
    "DROP DATABASE ledger",
    "CREATE DATABASE IF NOT EXISTS ledger",
    "CREATE VIEW v AS SELECT 1",
  ),
);
const row = fc.record({
  table: name,
  type: fc.constantFrom("INSERT", "UPDATE", "DELETE"),
  id: fc.nat(8),
  before: fc.nat(8),
});
const step = fc.tuple(fc.constantFrom(0, 1, 1, 1), fc.oneof(statement, row));

/** The lines that a reader takes: what it refuses is left out, so that the rest is a log that fits. */
async function fitting(lines: readonly string[]): Promise<string[]> {
  const file = join(root, "try.ndjson");
  const taken: string[] = [];
  for (const line of lines) {
    writeFileSync(file, [...taken, line].join("\n"));
    try {
      await writeFolder(file, "", {}, true);
      taken.push(line);
    } catch (error) {
      if (!(error instanceof BadChangeLog)) throw error;
    }
  }
  return taken;
}

it("holds the same", async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
      let commitTs = 100;
      const lines = [
        "CREATE TABLE a (id INT PRIMARY KEY, x INT)",
        "CREATE TABLE ledger.a (id INT PRIMARY KEY, x INT)",
      ].map((sql) =>
        JSON.stringify({
          database: "shop",
          isDdl: true,
          type: "QUERY",
          sql,
          _tidb: { commitTs: commitTs++ },
        }),
      );
      let alone = false;
      for (const [later, what] of steps) {
        // A database is dropped by a job of its own: no other event of its tables has that commitTs.
        const isAlone = what === "DROP DATABASE ledger";
        commitTs += isAlone || alone ? 1 : later;
        alone = isAlone;
        const common = { database: "shop", table: "", _tidb: { commitTs } };
        if (typeof what === "string")
          lines.push(JSON.stringify({ ...common, isDdl: true, type: "QUERY", sql: what }));
        else {
          const [database, table] = what.table.includes(".") ? what.table.split(".") : ["shop", what.table];
          const old = what.type === "UPDATE" ? [{ id: `${what.before}` }] : null;
          lines.push(
            JSON.stringify({
              ...common,
              database,
              table,
              type: what.type,
              pkNames: ["id"],
              data: [{ id: `${what.id}` }],
              old,
            }),
          );
        }
      }
      const file = join(root, "log.ndjson");
      writeFileSync(file, (await fitting(lines)).join("\n"));
      const out = join(root, `out${run++}`);
      await writeFolder(file, out);
      const { differences, notCompared } = await verify(file, out);
      expect(differences.map(describeDifference)).toEqual([]);
      if (notCompared.length === 0) expect(await contentOfFolder(out)).toEqual(await contentOfLog(file));
      rmSync(out, { recursive: true, force: true });
    }),
    { numRuns: Number(process.env["LOGS"] ?? 60) },
  );
}, 240_000);
