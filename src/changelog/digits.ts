/** JSON whose numbers keep their digits: a commitTs has more than a JavaScript number holds, and a value may have. */

/** The digits of numbers, by the object that holds them and their key in it. */
export type Digits = WeakMap<object, ReadonlyMap<string, string>>;

interface Parsed {
  readonly parsed: unknown;
  readonly digits: Digits;
}

/**
 * Parses a line of a change log, with the digits of `_tidb.commitTs` and of the numbers in rows.
 * @throws SyntaxError
 */
export function parseDigits(text: string): Parsed {
  return parseCommitTs(text) ?? parseAll(text);
}

/** With the digits of every number. @throws SyntaxError */
export function parseAll(text: string): Parsed {
  const digits = new WeakMap<object, Map<string, string>>();
  function keep(this: object, key: string, value: unknown, context?: { source?: string }): unknown {
    if (typeof value === "number" && context?.source !== undefined) {
      const known = digits.get(this) ?? new Map<string, string>();
      digits.set(this, known.set(key, context.source));
    }
    return value;
  }
  const parsed: unknown = JSON.parse(text, keep as (this: unknown, key: string, value: unknown) => unknown);
  return { parsed, digits };
}

/** Every place where a key may be commitTs, and its value if it is a whole number. */
const COMMIT_TS = /"commitTs"\s*:\s*(?:(\d+)(?=\s*[,}]))?/g;

/**
 * The same several times as fast, where no number but the commitTs has digits that matter, as TiCDC writes lines.
 * Without escaped letters every key is in the text as it is: if `_tidb` has a commitTs and there is one place, that is it.
 * @returns undefined: look at every number
 * @throws SyntaxError
 */
export function parseCommitTs(text: string): Parsed | undefined {
  if (text.includes("\\u")) return undefined;
  const [found, ...others] = text.matchAll(COMMIT_TS);
  const commitTs = found?.[1];
  if (commitTs === undefined || others.length > 0) return undefined;
  const parsed: unknown = JSON.parse(text);
  if (!isObject(parsed)) return undefined;
  const { _tidb: tidb, data, old } = parsed;
  if (!isObject(tidb) || typeof tidb["commitTs"] !== "number") return undefined;
  if (hasNumbers(data) || hasNumbers(old)) return undefined;
  return { parsed, digits: new WeakMap([[tidb, new Map([["commitTs", commitTs]])]]) };
}

const hasNumbers = (rows: unknown) =>
  Array.isArray(rows) &&
  rows.some((row) => isObject(row) && Object.values(row).some((value) => typeof value === "number"));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
