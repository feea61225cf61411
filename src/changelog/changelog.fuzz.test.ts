/** Whatever a log holds: it is read, or refused with file and line. Nothing else comes out of it. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { contentOfLog } from "../consumer/content.ts";
import { planReplay } from "../replay/plan.ts";
import { BadChangeLog } from "./problem.ts";
import { readChangeLog } from "./read.ts";
import { tokenize, UnknownStatement } from "./tokens.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-fuzz-"));
const file = join(folder, "log.ndjson");

/** Reads lines as a replay does, up to the plan and the expectation. */
async function read(lines: readonly string[]): Promise<void> {
  writeFileSync(file, lines.join("\n"));
  try {
    planReplay(await readChangeLog(file), 0n);
  } catch (error) {
    if (!(error instanceof BadChangeLog)) throw error;
    expect(error.message).toMatch(/log\.ndjson:\d+: /);
    return;
  }
  await contentOfLog(file);
}

const ddl = (sql: string, commitTs: number, type = "QUERY") =>
  JSON.stringify({ database: "shop", table: "a", isDdl: true, type, sql, _tidb: { commitTs } });

const known = readFileSync(new URL("testing/ddls.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line.includes(" | "))
  .map((line) => line.slice(line.indexOf(" | ") + 3));
const pieces = known.flatMap((sql) => sql.split(/(?<=[\s,()])/));
const BEFORE = [
  "CREATE TABLE a (id INT PRIMARY KEY, x VARCHAR(3))",
  "CREATE TABLE b (id INT PRIMARY KEY)",
  "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))",
];

/** Statements of the collection, cut, with words left out, doubled and put in from others, with any text in between. */
const statement = fc.oneof(
  fc.constantFrom(...known),
  fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 12 }).map((all) => all.join("")),
  fc
    .tuple(fc.constantFrom(...known), fc.nat(200), fc.nat(60), fc.constantFrom("", ...pieces))
    .map(([sql, at, length, other]) => sql.slice(0, at) + other + sql.slice(at + length)),
  fc.string({ maxLength: 60 }),
  fc
    .tuple(
      fc.constantFrom(
        "CREATE TABLE c (",
        "ALTER TABLE a ",
        "ALTER TABLE p ",
        "RENAME TABLE a TO ",
        "DROP TABLE ",
      ),
      fc.string({ unit: "binary", maxLength: 40 }),
    )
    .map((parts) => parts.join("")),
);
const type = fc.constantFrom("QUERY", "ALTER", "CREATE", "ERASE", "RENAME", "TRUNCATE", "CINDEX", "", "x");

it("statements of any kind, one behind the other, at one commitTs or at several", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(statement, fc.nat(2), type), { minLength: 1, maxLength: 6 }),
      async (all) => {
        let commitTs = 10;
        const lines = BEFORE.map((sql) => ddl(sql, commitTs++));
        for (const [sql, step, kind] of all) {
          commitTs += step;
          lines.push(ddl(sql, commitTs, kind));
          const row = {
            database: "shop",
            table: commitTs % 2 ? "a" : "p",
            type: "INSERT",
            pkNames: ["id"],
            data: [{ id: `${commitTs}` }],
          };
          lines.push(JSON.stringify({ ...row, _tidb: { commitTs } }));
        }
        await read(lines);
      },
    ),
    { numRuns: Number(process.env["LOGS"] ?? 400) },
  );
}, 120_000);

it("messages of any form", async () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom("INSERT", "UPDATE", "DELETE", "shop", "a", "id", "TIDB_WATERMARK"),
    fc.bigInt().map(String),
  );
  const row = fc.dictionary(
    fc.constantFrom("id", "x", "ID", "commitTs", "__proto__", "constructor", "y"),
    fc.oneof(fc.string(), fc.constant(null), value),
  );
  const message = fc.record(
    {
      database: fc.oneof({ weight: 8, arbitrary: fc.constant("shop") }, value),
      table: fc.oneof({ weight: 8, arbitrary: fc.constantFrom("a", "A", "p", "b") }, value),
      type: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom("INSERT", "UPDATE", "DELETE", "delete") },
        value,
      ),
      isDdl: fc.oneof({ weight: 8, arbitrary: fc.constant(false) }, value),
      sql: fc.oneof(fc.constant(""), statement, value),
      pkNames: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(["id"], ["x"], ["ID", "x"], [], null) },
        value,
      ),
      mysqlType: fc.oneof(fc.constantFrom(null, { id: "int" }), value),
      data: fc.oneof({ weight: 8, arbitrary: fc.array(row, { maxLength: 3 }) }, value),
      old: fc.oneof({ weight: 8, arbitrary: fc.option(fc.array(row, { maxLength: 3 })) }, value),
      _tidb: fc.oneof({ weight: 8, arbitrary: fc.constantFrom({ commitTs: 20 }, { commitTs: "21" }) }, value),
    },
    { requiredKeys: ["_tidb"] },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 5 }), async (all) => {
      await read([
        ...BEFORE.map((sql, index) => ddl(sql, 10 + index)),
        ...all.map((one) => JSON.stringify(one)),
      ]);
    }),
    { numRuns: Number(process.env["LOGS"] ?? 400) },
  );
}, 120_000);

it("bytes of any kind", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (bytes) => {
      writeFileSync(file, bytes);
      await expect(readChangeLog(file)).rejects.toBeInstanceOf(BadChangeLog);
    }),
    { numRuns: 200 },
  );
});

it("tokens of any text", () => {
  void fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom(
          "'",
          '"',
          "`",
          "\\",
          "/*",
          "*/",
          "/*!",
          "/*T![x]",
          "--",
          " ",
          "#",
          "\n",
          "a",
          "1",
          ".",
          "(",
          ";",
          "é",
        ),
      }),
      (text) => {
        try {
          const tokens = tokenize(text);
          for (const [index, token] of tokens.entries())
            expect(token.start).toBeGreaterThanOrEqual(tokens[index - 1]?.end ?? 0);
        } catch (error) {
          expect(error).toBeInstanceOf(UnknownStatement);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
