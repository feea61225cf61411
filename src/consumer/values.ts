/** Values as MySQL has them after a DDL, as the text of Canal-JSON; undefined: only the server knows. */
import type { ColumnDefinition } from "../changelog/columns.ts";

export type Value = string | null | undefined;

interface Type {
  readonly base: string;
  readonly length: number | undefined;
  readonly scale: number;
}

const INTEGERS = new Set(["tinyint", "smallint", "mediumint", "int", "bigint"]);
const TEXTS = new Set(["char", "varchar", "tinytext", "text", "mediumtext", "longtext"]);
const BYTES = new Set(["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"]);
const FLOATS = new Set(["float", "double"]);

function parse(type: string): Type {
  const [, base = "", first, second] = /^([a-z]+\d*)\s*(?:\((\d+)(?:,\s*(\d+))?\))?/.exec(type) ?? [];
  const given = first === undefined ? undefined : Number(first);
  const times = ["datetime", "timestamp", "time"].includes(base);
  return { base, length: times ? undefined : given, scale: Number(times ? (first ?? 0) : (second ?? 0)) };
}

/** What rows that are there get in a new column. */
export function valueOfNew(column: ColumnDefinition): Value {
  if (column.generated || column.autoIncrement || column.default.kind === "expression") return undefined;
  if (column.default.kind === "value")
    return column.default.text === null ? null : convert(column.default.text, "varchar(65535)", column.type);
  return column.notNull ? implicit(column.type) : null;
}

/** What NOT NULL without a default gives. */
function implicit(text: string): Value {
  const type = parse(text);
  const fraction = type.scale > 0 ? `.${"0".repeat(type.scale)}` : "";
  if (INTEGERS.has(type.base) || FLOATS.has(type.base) || type.base === "bit") return "0";
  if (type.base === "decimal") return `0${fraction}`;
  if (TEXTS.has(type.base) || type.base === "varbinary" || type.base.endsWith("blob") || type.base === "set")
    return "";
  if (type.base === "binary") return "\0".repeat(type.length ?? 1);
  if (type.base === "date") return "0000-00-00";
  if (type.base === "time") return `00:00:00${fraction}`;
  if (type.base === "datetime" || type.base === "timestamp") return `0000-00-00 00:00:00${fraction}`;
  if (type.base === "year") return "0000";
  if (type.base === "enum") return /^enum\('((?:[^']|'')*)'/.exec(text)?.[1]?.replaceAll("''", "'");
  return undefined;
}

/** A value of one type as it is in another after MODIFY or CHANGE. */
export function convert(value: Value, from: string, to: string): Value {
  if (value === null || value === undefined || from === to) return value;
  const old = parse(from);
  const type = parse(to);
  const { base, scale } = type;
  if (INTEGERS.has(base))
    return toDecimal(value, 0, !TEXTS.has(old.base) || /^[+-]?\d+(\.\d+)?$/.test(value.trim()));
  if (base === "decimal") return toDecimal(value, scale, true);
  if (FLOATS.has(base)) return /^-?\d{1,6}$/.test(value) || FLOATS.has(old.base) ? value : undefined;
  if (TEXTS.has(base)) return FLOATS.has(old.base) || BYTES.has(old.base) ? ascii(value) : value;
  if (BYTES.has(base)) {
    const bytes = BYTES.has(old.base) ? value : ascii(value);
    return base === "binary" ? bytes?.padEnd(type.length ?? 1, "\0") : bytes;
  }
  if (base === "date") return dateParts(value)?.date;
  if (base === "datetime" || base === "timestamp") return toTime(value, scale);
  if (base === "time")
    return old.base === "time"
      ? fraction(value, scale)
      : /^\d\d:\d\d:\d\d$/.test(value)
        ? fraction(value, scale)
        : undefined;
  if (base === "year") return /^\d{4}$/.test(value) ? value : undefined;
  if (base === "bit") return bits(value);
  // A set or an enum may be written as its number.
  if (base === "enum" || base === "set") return TEXTS.has(old.base) || old.base === base ? value : undefined;
  return old.base === base ? value : undefined;
}

const ascii = (text: string) => (/^[\0-\x7f]*$/.test(text) ? text : undefined);

/** A number with so many digits behind its point, rounded half away from zero as MySQL does. */
function toDecimal(value: string, scale: number, allowed: boolean): Value {
  const [, sign, whole, digits = ""] = /^\s*([+-]?)(\d+)(?:\.(\d*))?\s*$/.exec(value) ?? [];
  if (!allowed || whole === undefined) return undefined;
  const kept = digits.slice(0, scale).padEnd(scale, "0");
  let number = BigInt(whole + kept);
  if ((digits[scale] ?? "0") >= "5") number++;
  const text = number.toString().padStart(scale + 1, "0");
  const result = scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`;
  return sign === "-" && number !== 0n ? `-${result}` : result;
}

function dateParts(value: string): { date: string; time: string } | undefined {
  const [, year, month, day, time] =
    /^(\d{4})-(\d\d?)-(\d\d?)(?:[ T](\d\d:\d\d:\d\d(?:\.\d+)?))?$/.exec(value) ?? [];
  if (year === undefined) return undefined;
  return { date: `${year}-${month!.padStart(2, "0")}-${day!.padStart(2, "0")}`, time: time ?? "00:00:00" };
}

function toTime(value: string, scale: number): Value {
  const parts = dateParts(value);
  const time = parts && fraction(parts.time, scale);
  return parts && time !== undefined ? `${parts.date} ${time}` : undefined;
}

/** A time with so many digits of a second; undefined where it would have to be rounded. */
function fraction(time: string, scale: number): string | undefined {
  const [whole = "", digits = ""] = time.split(".");
  if (/[1-9]/.test(digits.slice(scale))) return undefined;
  return scale === 0 ? whole : `${whole}.${digits.slice(0, scale).padEnd(scale, "0")}`;
}

/** Canal-JSON writes a BIT as a number; a default of one comes as its bytes. */
function bits(value: string): Value {
  if (/^\d+$/.test(value)) return value;
  let number = 0n;
  for (const byte of Buffer.from(value, "latin1")) number = number * 256n + BigInt(byte);
  return number.toString();
}
