/** Values as MySQL has them after a DDL, as the text of Canal-JSON; undefined: only the server knows. */
import type { ColumnDefinition } from "../changelog/columns.ts";

export type Value = string | null | undefined;

interface Type {
  readonly base: string;
  readonly length: number | undefined;
  readonly scale: number;
}

const INTEGER_BYTES: Readonly<Record<string, bigint>> = {
  tinyint: 1n,
  smallint: 2n,
  mediumint: 3n,
  int: 4n,
  bigint: 8n,
};
const INTEGERS = new Set(Object.keys(INTEGER_BYTES));
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
  if (INTEGERS.has(base)) return toInteger(value, old, to);
  if (base === "decimal") return within(toDecimal(value, scale), decimalBounds(type, to), scale);
  if (FLOATS.has(base)) return /^-?\d{1,6}$/.test(value) || FLOATS.has(old.base) ? value : undefined;
  if (TEXTS.has(base))
    return toText(FLOATS.has(old.base) || BYTES.has(old.base) ? ascii(value) : value, type);
  if (BYTES.has(base)) {
    const bytes = cut(BYTES.has(old.base) ? value : ascii(value), type);
    return base === "binary" ? bytes?.padEnd(type.length ?? 1, "\0") : bytes;
  }
  if (base === "date") return dateParts(value)?.date;
  if (base === "datetime" || base === "timestamp") {
    // What lies outside of a TIMESTAMP becomes zero, and where that is depends on the time zone.
    const inside = base === old.base || base === "datetime" || inTimestamp(value);
    return inside ? toTime(value, scale) : undefined;
  }
  if (base === "time")
    return old.base === "time"
      ? fraction(value, scale)
      : /^\d\d:\d\d:\d\d$/.test(value)
        ? fraction(value, scale)
        : undefined;
  if (base === "year") return /^\d{4}$/.test(value) ? value : undefined;
  if (base === "bit") return bits(value);
  // A set or an enum may be written as its number.
  if (base === "enum" || base === "set")
    return TEXTS.has(old.base) || old.base === base ? toElements(value, base, to) : undefined;
  return old.base === base ? value : undefined;
}

/** A server that is not strict takes the nearest number that a type has; a strict one refuses the DDL. */
function toInteger(value: string, old: Type, to: string): Value {
  if (TEXTS.has(old.base) && !/^[+-]?\d+(\.\d+)?$/.test(value.trim())) return undefined;
  // A float that lies between two numbers goes to the even one, a decimal away from zero.
  const half = FLOATS.has(old.base) ? /^-?(\d+)\.50*$/.exec(value)?.[1] : undefined;
  const even = half !== undefined && BigInt(half) % 2n === 0n;
  const number = even ? `${value.startsWith("-") && half !== "0" ? "-" : ""}${half}` : toDecimal(value, 0);
  const size = 8n * (INTEGER_BYTES[parse(to).base] ?? 8n);
  return within(
    number,
    unsigned(to) ? [0n, 2n ** size - 1n] : [-(2n ** (size - 1n)), 2n ** (size - 1n) - 1n],
    0,
  );
}

type Bounds = readonly [least: bigint, most: bigint];
const unsigned = (type: string) => /unsigned|zerofill/.test(type);

function decimalBounds({ length }: Type, type: string): Bounds | undefined {
  if (length === undefined) return undefined;
  const most = 10n ** BigInt(length) - 1n;
  return [unsigned(type) ? 0n : -most, most];
}

/** @param bounds in units of the last digit; left out: they are not known */
function within(value: Value, bounds: Bounds | undefined, scale: number): Value {
  if (value === null || value === undefined || bounds === undefined) return value;
  const number = BigInt(value.replace(".", ""));
  const [least, most] = bounds;
  if (number >= least && number <= most) return value;
  return withPoint(number < least ? least : most, scale);
}

function withPoint(number: bigint, scale: number): string {
  const text = (number < 0n ? -number : number).toString().padStart(scale + 1, "0");
  const result = scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`;
  return number < 0n ? `-${result}` : result;
}

/** CHAR does not have the blanks at its end. */
function toText(value: Value, type: Type): Value {
  const text = cut(value, type);
  return type.base === "char" ? text?.replace(/ +$/, "") : text;
}

/** What fits into a type: characters of CHAR and VARCHAR, bytes of BINARY and VARBINARY. */
function cut(value: Value, { base, length }: Type): Value {
  if (value === null || value === undefined || !/^(var)?(char|binary)$/.test(base)) return value;
  const characters = [...value];
  if (length !== undefined) return characters.slice(0, length).join("");
  // A log may leave lengths out.
  return characters.length > 1 && (base === "char" || base === "binary") ? undefined : value;
}

/** The elements of an ENUM or a SET as the type spells them, and in its order. */
function toElements(value: string, base: string, type: string): Value {
  const elements = [...type.matchAll(/'((?:[^']|'')*)'/g)].map(([, text]) => text!.replaceAll("''", "'"));
  // A log may leave elements out.
  if (elements.length === 0 || value === "") return value;
  const places = (base === "set" ? value.split(",") : [value]).map((one) => {
    const exact = elements.indexOf(one);
    return exact >= 0 ? exact : elements.findIndex((element) => element.toLowerCase() === one.toLowerCase());
  });
  if (places.includes(-1)) return undefined;
  return [...new Set(places)]
    .sort((a, b) => a - b)
    .map((place) => elements[place])
    .join();
}

const inTimestamp = (text: string) => {
  const year = Number(/^\d{4}/.exec(text)?.[0] ?? 0);
  return year > 1970 && year < 2038;
};

const ascii = (text: string) => (/^[\0-\x7f]*$/.test(text) ? text : undefined);

/** A number with so many digits behind its point, rounded half away from zero as MySQL does. */
function toDecimal(value: string, scale: number): Value {
  const [, sign, whole, digits = ""] = /^\s*([+-]?)(\d+)(?:\.(\d*))?\s*$/.exec(value) ?? [];
  if (whole === undefined) return undefined;
  const kept = digits.slice(0, scale).padEnd(scale, "0");
  let number = BigInt(whole + kept);
  if ((digits[scale] ?? "0") >= "5") number++;
  return withPoint(sign === "-" ? -number : number, scale);
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
