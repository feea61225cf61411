/** In which partition a row is: MySQL's partition functions over the text that Canal-JSON has. */
import { Cursor, isName, split } from "./cursor.ts";
import type { PartitionState } from "./partition-change.ts";
import type { Token } from "./tokens.ts";

/** A value of a row as text; undefined: not known. */
export type ValueOf = (column: string) => string | null | undefined;

/** A number, text, NULL; undefined: cannot be computed here. */
type Value = bigint | string | null | undefined;

/** Whether rows of a table can be placed at all. KEY has a hash of the server's own. */
export function canLocate({ method, by, columns, linear }: PartitionState): boolean {
  if (method === "key" || method === "system_time" || linear) return false;
  if (columns) return true;
  // Any number in the place of every column: what is computed with it does not matter.
  const cursor = new Cursor(by);
  return sum(cursor, () => "2001-01-01") !== undefined || sum(new Cursor(by), () => "1") !== undefined;
}

/** The place of the partition that holds a row; undefined if that cannot be told. */
export function locate(partitions: PartitionState, columnValue: ValueOf): number | undefined {
  const { method, by, columns, linear, parts } = partitions;
  if (!canLocate(partitions)) return undefined;
  if (method === "hash") {
    if (linear) return undefined;
    const value = compute(by, columnValue);
    if (value === null) return 0;
    if (typeof value !== "bigint") return undefined;
    return Number((value < 0n ? -value : value) % BigInt(parts.length));
  }
  const values = columns
    ? split(by, ",").map((one) => (isName(one[0]) ? columnValue(one[0].text) : undefined))
    : [compute(by, columnValue)];
  if (values.some((one) => one === undefined)) return undefined;
  return method === "range" ? inRange(partitions, values) : inList(partitions, values);
}

function inRange({ parts }: PartitionState, values: readonly Value[]): number | undefined {
  for (const [index, part] of parts.entries()) {
    const order = compareBound(values, part.bound ?? []);
    if (order === undefined) return undefined;
    if (order < 0) return index;
  }
  return undefined;
}

/** Whether values lie below a bound, column by column. */
function compareBound(values: readonly Value[], bound: readonly Token[]): number | undefined {
  for (const [index, tokens] of split(bound, ",").entries()) {
    if (new Cursor(tokens).is("MAXVALUE")) return -1;
    const order = compare(values[index], literal(tokens));
    if (order !== 0) return order;
  }
  return 0;
}

function inList({ parts }: PartitionState, values: readonly Value[]): number | undefined {
  let rest: number | undefined;
  for (const [index, part] of parts.entries())
    for (const one of split(part.bound ?? [], ",")) {
      if (new Cursor(one).is("DEFAULT")) {
        rest = index;
        continue;
      }
      const cursor = new Cursor(one);
      const wanted = values.length > 1 && cursor.is("(") ? split(cursor.parenthesis(), ",") : [one];
      const orders = wanted.map((tokens, column) => equal(values[column], literal(tokens)));
      if (orders.some((order) => order === undefined)) return undefined;
      if (orders.every((order) => order === true)) return index;
    }
  return rest;
}

const literal = (tokens: readonly Token[]): Value => compute(tokens, () => undefined);

function equal(a: Value, b: Value): boolean | undefined {
  if (a === null || b === null) return a === b;
  const order = compare(a, b);
  return order === undefined ? undefined : order === 0;
}

/** NULL is below everything. */
function compare(a: Value, b: Value): number | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  const [left, right] = [whole(a), whole(b)];
  if (typeof left === "bigint" && typeof right === "bigint") return left < right ? -1 : left > right ? 1 : 0;
  if (typeof left === "bigint" || typeof right === "bigint") return undefined;
  if (isDate(left) && isDate(right)) return order(dateText(left), dateText(right));
  // How a server orders other text is a matter of its collation: taken only where all of them agree.
  const exact = order(left, right);
  return exact === order(left.toLowerCase(), right.toLowerCase()) && /^[\x20-\x7e]*$/.test(left + right)
    ? exact
    : undefined;
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const whole = (value: bigint | string) =>
  typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : value;
const isDate = (text: string) => /^\d{4}-\d\d?-\d\d?(?:[ T]|$)/.test(text);
const dateText = (text: string) =>
  (text.length <= 10 ? `${text} 00:00:00` : text).replace("T", " ").replace(/\.0*$/, "");

/** An expression's value. */
function compute(tokens: readonly Token[], columnValue: ValueOf): Value {
  const cursor = new Cursor(tokens);
  const [only] = tokens;
  if (tokens.length === 1 && only!.kind === "string") return only!.text;
  const value = sum(cursor, columnValue);
  return cursor.atEnd ? value : undefined;
}

function sum(cursor: Cursor, columnValue: ValueOf): Value {
  let value = product(cursor, columnValue);
  for (;;) {
    const sign = cursor.takeOneOf("+", "-");
    if (sign === undefined) return value;
    const other = product(cursor, columnValue);
    value = both(value, other, (a, b) => (sign === "+" ? a + b : a - b));
  }
}

function product(cursor: Cursor, columnValue: ValueOf): Value {
  let value = factor(cursor, columnValue);
  for (;;) {
    const sign = cursor.takeOneOf("*", "%", "DIV", "MOD");
    if (sign === undefined) return value;
    const other = factor(cursor, columnValue);
    value = both(value, other, (a, b) =>
      sign === "*" ? a * b : b === 0n ? null : sign === "DIV" ? a / b : a % b,
    );
  }
}

function both(a: Value, b: Value, of: (a: bigint, b: bigint) => Value): Value {
  if (a === undefined || b === undefined) return undefined;
  if (a === null || b === null) return null;
  const [left, right] = [whole(a), whole(b)];
  return typeof left === "bigint" && typeof right === "bigint" ? of(left, right) : undefined;
}

function factor(cursor: Cursor, columnValue: ValueOf): Value {
  if (cursor.take("-")) return both(0n, factor(cursor, columnValue), (a, b) => a - b);
  if (cursor.is("(")) return compute(cursor.parenthesis(), columnValue);
  const token = cursor.next();
  if (token === undefined) return undefined;
  if (token.kind === "number") return /^\d+$/.test(token.text) ? BigInt(token.text) : undefined;
  if (token.kind === "string" && !token.double) return token.text;
  if (token.upper === "NULL") return null;
  if (!isName(token)) return undefined;
  if (!cursor.is("(")) {
    const value = columnValue(token.text);
    return typeof value === "string" ? whole(value) : value;
  }
  const given = split(cursor.parenthesis(), ",").map((one) => compute(one, columnValue));
  const [first, second] = given;
  if (first === undefined) return undefined;
  if (token.upper === "MOD" && second !== undefined)
    return both(first, second, (a, b) => (b === 0n ? null : a % b));
  if (token.upper === "ABS") return both(first, 0n, (a) => (a < 0n ? -a : a));
  if (["FLOOR", "CEILING", "CEIL"].includes(token.upper)) return both(first, 0n, (a) => a);
  return first === null ? null : ofDate(token.upper, String(first));
}

/** MySQL's functions of a date. Times are those of UTC. */
function ofDate(name: string, text: string): Value {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})-(\d\d?)-(\d\d?)(?:[ T](\d\d?):(\d\d?):(\d\d?))?/.exec(text)?.map(Number) ?? [];
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const time = (hour || 0) * 3600 + (minute || 0) * 60 + (second || 0);
  const days = Date.UTC(year, month - 1, day) / 86_400_000;
  const startOfYear = Date.UTC(year, 0, 1) / 86_400_000;
  // Day 0 of MySQL is 719,528 days before 1970.
  const values: Readonly<Record<string, number>> = {
    YEAR: year,
    MONTH: month,
    QUARTER: Math.ceil(month / 3),
    DAY: day,
    DAYOFMONTH: day,
    DAYOFYEAR: days - startOfYear + 1,
    DAYOFWEEK: ((((days + 4) % 7) + 7) % 7) + 1,
    WEEKDAY: (((days + 3) % 7) + 7) % 7,
    HOUR: hour || 0,
    MINUTE: minute || 0,
    SECOND: second || 0,
    TIME_TO_SEC: time,
    TO_DAYS: days + 719_528,
    TO_SECONDS: (days + 719_528) * 86_400 + time,
    YEARMONTH: year * 100 + month,
    UNIX_TIMESTAMP: days * 86_400 + time,
  };
  const value = values[name];
  return value === undefined ? undefined : BigInt(value);
}
