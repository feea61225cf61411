/** Column definitions: what CREATE TABLE and ALTER TABLE say of a column. */
import { Cursor, isName, isWord, type TableName } from "./cursor.ts";
import type { Token } from "./tokens.ts";

/** What a column has where a row says nothing: a value as text, or an expression that only the server can compute. */
export type Default =
  | { readonly kind: "none" }
  | { readonly kind: "value"; readonly text: string | null }
  | { readonly kind: "expression"; readonly text: string };

export interface ColumnDefinition {
  readonly name: string;
  /** In MySQL's own words, lower case: BOOL is `tinyint(1)`, NVARCHAR(3) is `varchar(3)`. */
  readonly type: string;
  readonly notNull: boolean;
  readonly default: Default;
  /** It is computed from others. */
  readonly generated: boolean;
  readonly autoIncrement: boolean;
  readonly primary: boolean;
  readonly unique: boolean;
}

export interface Position {
  readonly first?: true;
  readonly after?: string;
}

export const NO_DEFAULT: Default = { kind: "none" };

/** Other names of types. The longest come first. */
const TYPE_NAMES: readonly [readonly string[], string][] = [
  [["NATIONAL", "CHARACTER", "VARYING"], "varchar"],
  [["NATIONAL", "CHAR", "VARYING"], "varchar"],
  [["NATIONAL", "CHARACTER"], "char"],
  [["NATIONAL", "VARCHARACTER"], "varchar"],
  [["NATIONAL", "VARCHAR"], "varchar"],
  [["NATIONAL", "CHAR"], "char"],
  [["NCHAR", "VARCHARACTER"], "varchar"],
  [["NCHAR", "VARCHAR"], "varchar"],
  [["NCHAR", "VARYING"], "varchar"],
  [["CHARACTER", "VARYING"], "varchar"],
  [["CHAR", "VARYING"], "varchar"],
  [["CHAR", "BYTE"], "binary"],
  [["LONG", "CHARACTER", "VARYING"], "mediumtext"],
  [["LONG", "CHAR", "VARYING"], "mediumtext"],
  [["LONG", "VARCHARACTER"], "mediumtext"],
  [["LONG", "VARCHAR"], "mediumtext"],
  [["LONG", "VARBINARY"], "mediumblob"],
  [["DOUBLE", "PRECISION"], "double"],
  [["BOOLEAN"], "tinyint(1)"],
  [["BOOL"], "tinyint(1)"],
  [["CHARACTER"], "char"],
  [["CLOB"], "longtext"],
  [["DEC"], "decimal"],
  [["FIXED"], "decimal"],
  [["FLOAT4"], "float"],
  [["FLOAT8"], "double"],
  [["GEOMCOLLECTION"], "geometrycollection"],
  [["INTEGER"], "int"],
  [["INT1"], "tinyint"],
  [["INT2"], "smallint"],
  [["INT3"], "mediumint"],
  [["INT4"], "int"],
  [["INT8"], "bigint"],
  [["LONG"], "mediumtext"],
  [["MIDDLEINT"], "mediumint"],
  [["NCHAR"], "char"],
  [["NUMBER"], "decimal"],
  [["NUMERIC"], "decimal"],
  [["NVARCHAR"], "varchar"],
  [["RAW"], "varbinary"],
  [["REAL"], "double"],
  [["SQL_TSI_YEAR"], "year"],
  [["VARCHARACTER"], "varchar"],
  [["VARCHAR2"], "varchar"],
];

/** Reads a column's definition, its name first, up to the end of the tokens. What it does not know it passes over. */
export function readColumn(tokens: readonly Token[]): { column: ColumnDefinition; position: Position } {
  const cursor = new Cursor(tokens);
  const name = columnName(cursor);
  const serial = cursor.take("SERIAL");
  const type = serial ? "bigint unsigned" : readType(cursor);
  return readAttributes(cursor, name, type, serial);
}

/** A column's name, which may stand with its table's: `d`.`t`.`c`. */
function columnName(cursor: Cursor): string {
  let name = cursor.name("a column");
  while (cursor.take(".")) name = cursor.name("a column");
  return name;
}

function readType(cursor: Cursor): string {
  const known = TYPE_NAMES.find(([words]) => cursor.is(...words));
  let type = known?.[1] ?? cursor.peek()?.text.toLowerCase() ?? "";
  if (known) cursor.skip(known[0].length);
  // GENERATED ALWAYS AS may come at once: MariaDB's system columns have no type of their own.
  else if (!cursor.isOneOf("GENERATED", "AS")) cursor.skip();
  else type = "";
  if (cursor.is("(")) {
    const inside = cursor.parenthesis();
    const list = type === "enum" || type === "set";
    if (type === "float" && inside.length === 1 && Number(inside[0]!.text) > 24) type = "double";
    else if (!(type === "float" && inside.length === 1) && !(type === "tinyint(1)"))
      type += `(${inside.map((one) => (list && one.kind === "string" ? `'${one.text.replaceAll("'", "''")}'` : one.text)).join("")})`;
  }
  for (;;) {
    const word = cursor.takeOneOf("UNSIGNED", "SIGNED", "ZEROFILL");
    if (word === undefined) return type;
    if (word === "UNSIGNED" || (word === "ZEROFILL" && !type.includes("unsigned"))) type += " unsigned";
    if (word === "ZEROFILL") type += " zerofill";
  }
}

function readAttributes(cursor: Cursor, name: string, given: string, serial: boolean) {
  let type = given;
  let notNull = serial;
  let value: Default = NO_DEFAULT;
  let generated = false;
  let autoIncrement = serial;
  let primary = false;
  let unique = serial;
  let position: Position = {};
  while (!cursor.atEnd) {
    if (cursor.take("NOT", "NULL")) notNull = true;
    else if (cursor.take("NULL")) notNull = false;
    else if (cursor.take("SERIAL", "DEFAULT", "VALUE")) notNull = autoIncrement = unique = true;
    else if (cursor.take("DEFAULT")) value = readDefault(cursor);
    else if (cursor.take("AUTO_INCREMENT")) autoIncrement = true;
    else if (cursor.take("AUTO_RANDOM")) {
      autoIncrement = true;
      if (cursor.is("(")) cursor.parenthesis();
    } else if (cursor.take("UNIQUE")) {
      cursor.take("KEY");
      unique = true;
    } else if (cursor.take("PRIMARY", "KEY") || cursor.take("PRIMARY") || cursor.take("KEY")) primary = true;
    else if (cursor.take("ON", "UPDATE") || cursor.take("ON", "DELETE")) skipReaction(cursor);
    else if (cursor.take("REFERENCES")) {
      cursor.table("");
      if (cursor.is("(")) cursor.parenthesis();
    } else if (cursor.takeOneOf("COMMENT", "COLLATE", "CHARSET", "ENGINE_ATTRIBUTE") !== undefined) {
      cursor.take("=");
      cursor.skip();
    } else if (cursor.take("CHARACTER", "SET") || cursor.take("CHAR", "SET")) cursor.skip();
    else if (cursor.take("GENERATED") || cursor.is("AS")) {
      while (!cursor.atEnd && !cursor.is("AS")) cursor.skip();
      cursor.skip();
      generated = true;
      if (cursor.is("(")) cursor.parenthesis();
    } else if (cursor.take("CONSTRAINT")) {
      if (isName(cursor.peek()) && !cursor.isOneOf("CHECK", "REFERENCES", "UNIQUE", "PRIMARY")) cursor.skip();
    } else if (cursor.take("FIRST")) position = { first: true };
    else if (cursor.take("AFTER")) position = { after: columnName(cursor) };
    else if (cursor.take("BYTE") && type.startsWith("char")) type = type.replace("char", "binary");
    else if (cursor.is("CHARACTER") || !cursor.is("(")) cursor.skip();
    else cursor.parenthesis();
  }
  const column: ColumnDefinition = {
    name,
    type,
    notNull: notNull || primary,
    default: value,
    generated,
    autoIncrement,
    primary,
    unique,
  };
  return { column, position };
}

/** What stands behind ON DELETE or ON UPDATE: its NULL and DEFAULT are not the column's. */
function skipReaction(cursor: Cursor): void {
  if (cursor.take("SET", "NULL") || cursor.take("SET", "DEFAULT") || cursor.take("NO", "ACTION")) return;
  cursor.skip();
  if (cursor.is("(")) cursor.parenthesis();
}

/** Reads what stands behind DEFAULT. */
export function readDefault(cursor: Cursor): Default {
  const sign = cursor.takeOneOf("-", "+") === "-" ? "-" : "";
  const first = cursor.peek();
  if (first?.kind === "number") {
    cursor.skip();
    return { kind: "value", text: sign + numberText(first.text) };
  }
  if (cursor.take("NULL")) return { kind: "value", text: null };
  if (cursor.take("TRUE")) return { kind: "value", text: "1" };
  if (cursor.take("FALSE")) return { kind: "value", text: "0" };
  const second = cursor.peek(1);
  if (first?.kind === "word" && second?.kind === "string") {
    // b'101', x'41', N'..', _utf8mb4'..', DATE '..', TIMESTAMP '..'
    const bits = first.upper === "B" ? 2 : first.upper === "X" ? 16 : 0;
    if (bits > 0 || /^_|^(N|DATE|TIME|TIMESTAMP)$/.test(first.upper)) {
      cursor.skip();
      const text = strings(cursor);
      if (bits === 0) return { kind: "value", text };
      return { kind: "value", text: bits === 2 ? binaryText(BigInt(`0b${text || "0"}`)) : hexText(text) };
    }
  }
  if (first?.kind === "word" && first.text.startsWith("_") && second && /^0x/i.test(second.text)) {
    cursor.skip(2);
    return { kind: "value", text: hexText(second.text.slice(2)) };
  }
  if (first?.kind === "string") return { kind: "value", text: strings(cursor) };
  if (cursor.is("(")) {
    const inside = cursor.parenthesis();
    const alone = new Cursor(inside);
    const value = inside.length > 0 && !alone.is("(") ? readDefault(alone) : NO_DEFAULT;
    // MariaDB and MySQL take a value in parentheses as well: (7), ('x').
    if (value.kind === "value" && alone.atEnd) return value;
    return { kind: "expression", text: inside.map((one) => one.text).join(" ") };
  }
  const words: string[] = [];
  if (cursor.is("NEXT", "VALUE", "FOR")) {
    cursor.skip(3);
    cursor.table("");
    return { kind: "expression", text: "next value of a sequence" };
  }
  words.push(cursor.next()?.text ?? "");
  while (cursor.take(".")) words.push(cursor.next()?.text ?? "");
  if (cursor.is("("))
    words.push(
      `(${cursor
        .parenthesis()
        .map((one) => one.text)
        .join("")})`,
    );
  return { kind: "expression", text: words.join("") };
}

/** Strings that stand beside each other are one. */
function strings(cursor: Cursor): string {
  let text = "";
  for (let token = cursor.peek(); token?.kind === "string"; token = cursor.peek()) {
    text += token.text;
    cursor.skip();
  }
  return text;
}

function numberText(text: string): string {
  if (/^0x/i.test(text)) return hexText(text.slice(2));
  if (/^0b/i.test(text)) return binaryText(BigInt(text));
  return text;
}

/** Bytes as characters: how Canal-JSON writes them. */
function hexText(digits: string): string {
  const even = digits.length % 2 === 1 ? `0${digits}` : digits;
  return Buffer.from(even, "hex").toString("latin1");
}

function binaryText(value: bigint): string {
  return hexText(value.toString(16));
}

/** A key's columns. `whole` is false if a part of a value or an expression is in it: then it says nothing of identity. */
export interface KeyDefinition {
  /** Empty if the statement gives none. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly whole: boolean;
}

export type TableElement =
  | { readonly kind: "column"; readonly column: ColumnDefinition; readonly position: Position }
  | { readonly kind: "primary" | "unique"; readonly key: KeyDefinition }
  | { readonly kind: "like"; readonly like: TableName }
  | { readonly kind: "other" };

/** Reads one element of a CREATE TABLE's list, or what stands behind ADD. */
export function readElement(tokens: readonly Token[], database: string): TableElement {
  const cursor = new Cursor(tokens);
  let constraint = "";
  if (cursor.take("CONSTRAINT")) {
    cursor.takeIfExists();
    if (!cursor.isOneOf("PRIMARY", "UNIQUE", "FOREIGN", "CHECK")) constraint = cursor.name("a constraint");
  }
  if (cursor.take("PRIMARY", "KEY")) return { kind: "primary", key: readKey(cursor, "") };
  if (cursor.take("UNIQUE")) {
    cursor.takeOneOf("KEY", "INDEX");
    return { kind: "unique", key: readKey(cursor, constraint) };
  }
  if (
    constraint !== "" ||
    cursor.isOneOf("INDEX", "KEY", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK") ||
    cursor.is("PERIOD", "FOR") ||
    cursor.is("SYSTEM", "VERSIONING") ||
    ["VECTOR", "COLUMNAR"].some((kind) => cursor.is(kind, "INDEX") || cursor.is(kind, "KEY"))
  )
    return { kind: "other" };
  if (cursor.take("LIKE")) return { kind: "like", like: cursor.table(database) };
  return { kind: "column", ...readColumn(tokens) };
}

/** A key from its name on, which it need not have. */
export function readKey(cursor: Cursor, constraint: string): KeyDefinition {
  cursor.takeIfExists();
  let name = constraint;
  while (!cursor.atEnd && !cursor.is("(")) {
    if (cursor.take("USING") || cursor.take("TYPE")) cursor.skip();
    else {
      const token = cursor.next()!;
      if (isName(token)) name = token.text;
    }
  }
  const columns: string[] = [];
  let whole = true;
  if (cursor.is("(")) {
    const parts = cursor.parenthesis();
    let depth = 0;
    let start = true;
    for (const token of parts) {
      if (isWord(token, "(")) {
        depth++;
        whole = false;
      } else if (isWord(token, ")")) depth--;
      else if (depth === 0 && isWord(token, ",")) start = true;
      else if (depth === 0 && start && isName(token)) {
        columns.push(token.text);
        start = false;
      }
    }
  }
  return { name, columns, whole: whole && columns.length > 0 };
}
