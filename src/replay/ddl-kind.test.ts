import { describe, expect, it } from "vitest";
import { ddlKind } from "./ddl-kind.ts";

/** TiDB's numbers (`model.ActionType`). */
describe("the kind of a schema file's DDL", () => {
  it.each([
    ["/* c */ create schema if not exists d", 1],
    ["DROP SCHEMA d", 2],
    ["CREATE TABLE t (id INT, a TEXT DEFAULT 'DROP COLUMN')", 3],
    ["DROP TABLE `d`.`t`", 4],
    ["ALTER TABLE t ADD n INT", 5],
    ["ALTER TABLE t ADD COLUMN n INT, ALGORITHM = INSTANT", 5],
    ["ALTER TABLE t DROP n", 6],
    ["CREATE UNIQUE INDEX i ON t (a)", 7],
    ["ALTER TABLE t ADD FULLTEXT INDEX i (a)", 7],
    ["DROP INDEX i ON t", 8],
    ["TRUNCATE t", 11],
    ["ALTER TABLE t MODIFY a BIGINT", 12],
    ["ALTER TABLE t RENAME COLUMN a TO b", 12],
    ["RENAME TABLE `d`.`a` TO `e`.`b`", 14],
    ["ALTER TABLE t ALTER a SET DEFAULT 7", 15],
    ["ALTER TABLE t RENAME INDEX i TO j", 18],
    ["ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (7))", 19],
    ["ALTER TABLE t DROP PARTITION p", 20],
    ["CREATE OR REPLACE VIEW v AS SELECT 1", 21],
    ["ALTER TABLE t TRUNCATE PARTITION p", 23],
    ["DROP VIEW v", 24],
    ["ALTER DATABASE d CHARACTER SET utf8mb4", 26],
    ["ALTER DATABASE CHARACTER SET utf8mb4", 26],
    ["ALTER TABLE t ADD PRIMARY KEY (a)", 32],
    ["ALTER TABLE t DROP PRIMARY KEY", 33],
    ["ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", 42],
    ["ALTER TABLE t ADD a INT, ADD b INT", 60],
    ["ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (v)", 60],
    // TiCDC's reader takes a RENAME (14) apart as a statement RENAME TABLE, and panics at any other.
    ["ALTER TABLE t ADD n INT, RENAME TO u", 60],
    ["RENAME TABLE `d`.`a` TO `d`.`b`; ALTER TABLE b ADD n INT", 60],
    ["ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION q VALUES LESS THAN (7))", 63],
    ["ALTER TABLE t PARTITION BY HASH (a) PARTITIONS 4", 70],
    ["ALTER TABLE t REMOVE PARTITIONING", 71],
    ["ALTER TABLE t COMMENT 'CREATE TABLE'", 0],
  ])("%s: %i", (query, kind) => {
    expect(ddlKind(query, "d")).toBe(kind);
  });
});
