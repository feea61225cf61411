/** Values that TiCDC's own code gave for the same tables (pkg/cloudstorage), written down. */
import { describe, expect, it } from "vitest";
import { columnForm, mysqlType } from "./column-types.ts";
import { schemaFileOf } from "./schema-file.ts";

describe("a schema file", () => {
  it("has TiCDC's checksum in its name and TiCDC's bytes in it", () => {
    const { name, content } = schemaFileOf({
      schema: "shop",
      table: "orders",
      version: 462406917070258694n,
      query: "ALTER TABLE `shop`.`orders` ADD COLUMN `note` VARCHAR(64)",
      type: 5,
      columns: [
        { name: "id", type: "bigint", isPrimaryKey: true },
        { name: "customer", type: "int", isPrimaryKey: false, nullable: true },
        { name: "total", type: "decimal(12,2)", isPrimaryKey: false },
        { name: "placed", type: "datetime(6)", isPrimaryKey: false },
        { name: "note", type: "varchar(64)", isPrimaryKey: false, default: null },
      ],
    });
    expect(name).toBe("schema_462406917070258694_4115059215.json");
    expect(content).toBe(`{
    "Table": "orders",
    "Schema": "shop",
    "Version": 1,
    "TableVersion": 462406917070258694,
    "Query": "ALTER TABLE \`shop\`.\`orders\` ADD COLUMN \`note\` VARCHAR(64)",
    "Type": 5,
    "TableColumns": [
        {
            "ColumnName": "id",
            "ColumnType": "BIGINT",
            "ColumnPrecision": "20",
            "ColumnNullable": "false",
            "ColumnIsPk": "true"
        },
        {
            "ColumnName": "customer",
            "ColumnType": "INT",
            "ColumnPrecision": "11"
        },
        {
            "ColumnName": "total",
            "ColumnType": "DECIMAL",
            "ColumnPrecision": "12",
            "ColumnScale": "2"
        },
        {
            "ColumnName": "placed",
            "ColumnType": "DATETIME",
            "ColumnScale": "6"
        },
        {
            "ColumnName": "note",
            "ColumnType": "VARCHAR",
            "ColumnPrecision": "64"
        }
    ],
    "TableColumnsTotal": 5
}`);
  });

  it("of a database has no columns, and a checksum of its name alone", () => {
    const create = {
      schema: "shop",
      table: "",
      version: 462406916505600000n,
      query: "CREATE DATABASE `shop`",
    };
    const { name, content } = schemaFileOf({ ...create, type: 1, columns: [] });
    expect(name).toBe("schema_462406916505600000_2805160324.json");
    expect(content).toContain('"TableColumns": null,\n    "TableColumnsTotal": 0\n');
    expect(schemaFileOf({ ...create, version: 7n, query: "x", type: 2, columns: [] }).name).toBe(
      "schema_7_2805160324.json",
    );
  });

  it("is Go's JSON: what HTML and JavaScript could stumble over is escaped, and columns are sorted by their bytes", () => {
    const { name, content } = schemaFileOf({
      schema: "a&b",
      table: "t<1>",
      version: 18446744073709551614n,
      query: "x \u2028 <y>",
      type: 3,
      columns: [
        {
          name: "\ufb00",
          type: "enum('a','it''s & <b>')",
          isPrimaryKey: false,
          nullable: true,
          default: "a",
        },
        { name: "\u{1f600}", type: "int(10) unsigned", isPrimaryKey: true },
        { name: "B", type: "varchar(20)", isPrimaryKey: false, nullable: false, default: "" },
        {
          name: "a",
          type: "timestamp(3)",
          isPrimaryKey: false,
          nullable: false,
          default: "CURRENT_TIMESTAMP",
        },
        { name: 'Z\b\f\u0001\u007f\\"', type: "json", isPrimaryKey: false },
      ],
    });
    expect(name).toBe("schema_18446744073709551614_0527796307.json");
    expect(content).toContain('"Query": "x \\u2028 \\u003cy\\u003e"');
    expect(content).toContain('"ColumnDefault": "",\n            "ColumnPrecision": "20"');
  });
});

/** Type, precision, scale and elements in TiCDC's schema files; behind it the type as it is read back, where it is another. */
const TYPES: [string, object, string?][] = [
  ["tinyint", { type: "TINYINT", precision: "4" }],
  ["tinyint(1)", { type: "TINYINT", precision: "1" }],
  ["tinyint unsigned", { type: "TINYINT UNSIGNED", precision: "3" }],
  ["smallint", { type: "SMALLINT", precision: "6" }],
  ["smallint(5) unsigned", { type: "SMALLINT UNSIGNED", precision: "5" }, "smallint unsigned"],
  ["mediumint(10)", { type: "MEDIUMINT", precision: "10" }],
  ["mediumint unsigned", { type: "MEDIUMINT UNSIGNED", precision: "8" }],
  ["int", { type: "INT", precision: "11" }],
  ["int(11)", { type: "INT", precision: "11" }, "int"],
  ["int(5) unsigned", { type: "INT UNSIGNED", precision: "5" }],
  ["int(10) unsigned zerofill", { type: "INT UNSIGNED", precision: "10" }, "int unsigned"],
  ["bigint", { type: "BIGINT", precision: "20" }],
  ["bigint unsigned", { type: "BIGINT UNSIGNED", precision: "20" }],
  ["bit", { type: "BIT", precision: "1" }],
  ["bit(5)", { type: "BIT", precision: "5" }],
  ["float", { type: "FLOAT", precision: "12" }],
  ["float(7,3)", { type: "FLOAT", precision: "7", scale: "3" }],
  ["double", { type: "DOUBLE", precision: "22" }],
  ["double(12,3) unsigned", { type: "DOUBLE UNSIGNED", precision: "12", scale: "3" }],
  ["decimal", { type: "DECIMAL", precision: "10", scale: "0" }, "decimal(10,0)"],
  ["decimal(12, 2)", { type: "DECIMAL", precision: "12", scale: "2" }, "decimal(12,2)"],
  ["decimal(12,2) unsigned", { type: "DECIMAL UNSIGNED", precision: "12", scale: "2" }],
  ["char(32)", { type: "CHAR", precision: "32" }],
  ["varchar(128)", { type: "VARCHAR", precision: "128" }],
  ["binary(16)", { type: "BINARY", precision: "16" }],
  ["varbinary(16)", { type: "VARBINARY", precision: "16" }],
  ["tinytext", { type: "TINYTEXT", precision: "255" }],
  ["text", { type: "TEXT", precision: "65535" }],
  ["mediumtext", { type: "MEDIUMTEXT", precision: "16777215" }],
  ["longtext", { type: "LONGTEXT", precision: "4294967295" }],
  ["tinyblob", { type: "TINYBLOB", precision: "255" }],
  ["blob", { type: "BLOB", precision: "65535" }],
  ["blob(100)", { type: "TINYBLOB", precision: "255" }, "tinyblob"],
  ["mediumblob", { type: "MEDIUMBLOB", precision: "16777215" }],
  ["longblob", { type: "LONGBLOB", precision: "4294967295" }],
  ["date", { type: "DATE" }],
  ["time", { type: "TIME" }],
  ["time(5)", { type: "TIME", scale: "5" }],
  ["datetime", { type: "DATETIME" }],
  ["datetime(0)", { type: "DATETIME" }, "datetime"],
  ["datetime(6)", { type: "DATETIME", scale: "6" }],
  ["timestamp(2)", { type: "TIMESTAMP", scale: "2" }],
  ["year", { type: "YEAR", precision: "4" }],
  ["year(2)", { type: "YEAR", precision: "2" }],
  ["json", { type: "JSON" }],
  ["enum('a','it''s',',)')", { type: "ENUM", elements: ["a", "it's", ",)"] }],
  ["set('x','y')", { type: "SET", elements: ["x", "y"] }],
  ["geometry", { type: "GEOMETRY" }],
];

describe("a column's type", () => {
  it.each(TYPES)("%s", (type, form, ...[back = type]) => {
    expect(columnForm(type)).toEqual(form);
    expect(mysqlType(columnForm(type))).toBe(back);
  });
});
