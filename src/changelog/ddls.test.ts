/** A collection of DDLs with what each does, written by hand. Its score is printed: wrong and crash must be zero. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { InfluenceType } from "../protocol/messages.ts";
import { Catalogue } from "./catalogue.ts";
import { BadChangeLog } from "./problem.ts";
import type { CanalMessage, DdlChange, Influence } from "./types.ts";

/** What is there before each DDL. */
const BEFORE = [
  "CREATE DATABASE shop",
  "CREATE DATABASE ledger",
  "CREATE TABLE a (id BIGINT PRIMARY KEY, x VARCHAR(20), n INT NOT NULL DEFAULT 5, UNIQUE KEY ux (x))",
  "CREATE TABLE b (id BIGINT PRIMARY KEY, y INT)",
  "CREATE TABLE ledger.l (id BIGINT PRIMARY KEY)",
  "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN (30))",
  "CREATE TABLE h (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 4",
  "CREATE TABLE Orders (id INT PRIMARY KEY)",
  "CREATE TABLE `we``ird` (id INT PRIMARY KEY)",
  "CREATE VIEW v AS SELECT 1",
  "CREATE SEQUENCE s",
  "CREATE TEMPORARY TABLE tmp (id INT)",
  "CREATE TABLE gone (id INT PRIMARY KEY)",
  "DROP TABLE gone",
  "CREATE TABLE gone2 (id INT PRIMARY KEY)",
  "TRUNCATE TABLE gone2",
  "DROP TABLE gone2",
];
/** The names of ids, as the collection writes them. */
const NAMES = [
  "a",
  "b",
  "ledger.l",
  "p.p0",
  "p.p1",
  "p.p2",
  "h.p0",
  "h.p1",
  "h.p2",
  "h.p3",
  "Orders",
  "we`ird",
];

let clock = 1n;
const message = (sql: string): CanalMessage => ({
  id: 0,
  database: "shop",
  table: "",
  pkNames: null,
  isDdl: true,
  type: "QUERY",
  es: 1,
  ts: 1,
  sql,
  sqlType: null,
  mysqlType: null,
  data: null,
  old: null,
  _tidb: { commitTs: clock++ },
});

function run(sql: string): string {
  const catalogue = new Catalogue();
  const at = { file: "f", line: 1 };
  const added = BEFORE.map((one) => catalogue.apply(message(one), at)).flatMap((one) => one.needAddedTables);
  const names = new Map([[0n, "0"]]);
  const alive = added.filter((one) => !/gone/.test(one.name ?? ""));
  for (const [index, one] of alive.entries()) names.set(one.tableId, NAMES[index]!);
  return describeChange(catalogue.apply(message(sql), at), names);
}

function describeChange(change: DdlChange, names: ReadonlyMap<bigint, string>): string {
  const schemas = new Map([
    [101n, "shop"],
    [102n, "ledger"],
  ]);
  const tables = ({ type, tableIds, schemaId }: Influence, sign = "") => {
    if (type === InfluenceType.All) return [`${sign}All`];
    if (type === InfluenceType.DB) return [`${sign}DB ${schemas.get(schemaId)}`];
    return tableIds.map((id) => `${sign}${names.get(id) ?? id}`);
  };
  const parts = [tables(change.blockTables)];
  if (change.needDroppedTables) parts.push(tables(change.needDroppedTables, "-"));
  const added = Map.groupBy(change.needAddedTables, (one) => one.name!);
  parts.push(
    [...added].map(
      ([name, all]) => `+${name.replace(/^shop\./, "")}${all.length > 1 ? `*${all.length}` : ""}`,
    ),
  );
  parts.push(change.updatedSchemas.map((one) => `${names.get(one.tableId)}>${schemas.get(one.newSchemaId)}`));
  return text(parts);
}

/** The parts without their order. */
const text = (parts: readonly (readonly string[])[]) =>
  parts
    .map((one) => [...one].sort().join(" "))
    .filter((one, index) => index === 0 || one !== "")
    .join(" / ") || "~";

interface Case {
  readonly section: string;
  readonly wanted: string;
  sql: string;
}

function collection(): Case[] {
  const cases: Case[] = [];
  let section = "";
  for (const line of readFileSync(new URL("testing/ddls.txt", import.meta.url), "utf8").split("\n")) {
    if (line === "" || line.startsWith("# ") || line.startsWith("#  ")) continue;
    const at = line.indexOf(" | ");
    if (line.startsWith("## ")) section = line.slice(3);
    else if (at < 0) cases.at(-1)!.sql += `\n${line}`;
    else cases.push({ section, wanted: line.slice(0, at), sql: line.slice(at + 3) });
  }
  return cases;
}

const wantedText = (wanted: string) =>
  wanted === "~"
    ? "~"
    : text(
        wanted.split(" / ").map((part) =>
          part
            .replaceAll("DB ", "DB_")
            .split(" ")
            .map((one) => one.replace("DB_", "DB ")),
        ),
      );

const score = { right: 0, wrong: 0, crash: 0, refused: 0 };
const cases = collection();

describe("a collection of DDLs", () => {
  it.each(cases.map((one) => [one.section, one.sql, one.wanted] as const))("%s: %s", (_, sql, wanted) => {
    let got: string;
    try {
      got = run(sql);
    } catch (error) {
      if (!(error instanceof BadChangeLog)) {
        score.crash++;
        throw error;
      }
      got = `! ${error.message}`;
    }
    if (wanted.startsWith("! ")) {
      if (got.startsWith("! ")) score.refused++;
      else score.wrong++;
      expect(got).toContain(wanted.slice(2));
      expect(got).toMatch(/^! /);
      return;
    }
    if (got === wantedText(wanted)) score.right++;
    else score.wrong++;
    expect(got).toBe(wantedText(wanted));
  });

  it("holds at least 300, and refuses few", () => {
    expect(cases.length).toBeGreaterThanOrEqual(300);
    expect(cases.filter((one) => one.wanted.startsWith("! ")).length).toBeLessThan(25);
    expect(score).toMatchObject({ wrong: 0, crash: 0 });
  });

  afterAll(() => {
    const { right, wrong, crash, refused } = score;
    console.log(
      `${cases.length} DDLs: right ${right}, wrong ${wrong}, crash ${crash}, refused with a reason ${refused}`,
    );
  });
});
