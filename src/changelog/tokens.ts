import { WeirError } from "../error/weir-error.ts";
/**
 * Tokens of MySQL's SQL, as MySQL 8 and 9, MariaDB and TiDB write it. Comments are gone; executable comments (MySQL's,
 * MariaDB's and TiDB's) are read as what they hold, for the log comes from a server that ran them.
 */
export type TokenKind = "word" | "name" | "string" | "number" | "symbol";

export interface Token {
  readonly kind: TokenKind;
  /** A word as written, a name or a string without its quotes and escapes, a number or a symbol as written. */
  readonly text: string;
  /** A word in upper case; empty for all others. Keywords are compared with it. */
  readonly upper: string;
  /** For a string: whether double quotes held it, which are a name's in ANSI mode. */
  readonly double: boolean;
  readonly start: number;
  readonly end: number;
}

/** A statement that cannot be read; `message` says why. */
export class UnknownStatement extends WeirError {
  override readonly name = "UnknownStatement";

  constructor(message: string, options?: ErrorOptions) {
    super("unknown-statement", message, options);
  }
}

const SPACE = /[\s\0]+/y;
const WORD = /[\w$\u0080-\uffff]+/y;
const NUMBER = /(?:0x[0-9a-f]+|0b[01]+|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)(?![\w$\u0080-\uffff])/iy;
const LINE_COMMENT = /(?:#|--(?=[\s\0]|$))[^\n]*/y;
/** `/*!80013`, `/*M!100100`, `/*T!`, `/*T![ttl]`: what opens a comment that is executed. */
const EXECUTABLE = /\/\*(?:M?!\d{0,6}|T!(?:\[[\w, ]*\])?)/iy;
const ESCAPES: Readonly<Record<string, string>> = {
  "0": "\0",
  b: "\b",
  n: "\n",
  r: "\r",
  t: "\t",
  Z: "\x1a",
};

/**
 * Splits a statement into tokens.
 * @throws UnknownStatement if a quote or a comment does not end
 */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let executable = 0;
  const matches = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(sql)?.[0];
  };
  const add = (kind: TokenKind, text: string, end: number, double = false) => {
    tokens.push({ kind, text, upper: kind === "word" ? text.toUpperCase() : "", double, start: at, end });
    at = end;
  };
  while (at < sql.length) {
    const skipped = matches(SPACE) ?? matches(LINE_COMMENT);
    if (skipped !== undefined) {
      at += skipped.length;
      continue;
    }
    const opening = matches(EXECUTABLE);
    if (opening !== undefined) {
      executable++;
      at += opening.length;
      continue;
    }
    if (sql.startsWith("/*", at)) {
      const end = sql.indexOf("*/", at + 2);
      if (end < 0) throw new UnknownStatement("a comment does not end");
      at = end + 2;
      continue;
    }
    if (executable > 0 && sql.startsWith("*/", at)) {
      executable--;
      at += 2;
      continue;
    }
    const char = sql[at]!;
    if (char === "`") {
      const end = closing(sql, at, "`", false);
      add("name", sql.slice(at + 1, end).replaceAll("``", "`"), end + 1);
    } else if (char === "'" || char === '"') {
      const end = closing(sql, at, char, true);
      add("string", unescaped(sql.slice(at + 1, end), char), end + 1, char === '"');
    } else {
      // Behind a dot stands a name, even if it begins with digits: `d`.2024_orders.
      const behindDot = tokens.at(-1)?.text === "." && tokens.at(-1)?.kind === "symbol";
      const number = behindDot ? undefined : matches(NUMBER);
      const word = number === undefined ? matches(WORD) : undefined;
      if (number !== undefined) add("number", number, at + number.length);
      else if (word !== undefined) add("word", word, at + word.length);
      else add("symbol", char, at + 1);
    }
  }
  if (executable > 0) throw new UnknownStatement("an executable comment does not end");
  return tokens;
}

/** Where a quoted thing ends: the place of its closing quote. */
function closing(sql: string, start: number, quote: string, escapes: boolean): number {
  for (let at = start + 1; at < sql.length; at++) {
    if (escapes && sql[at] === "\\") at++;
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at;
      at++;
    }
  }
  throw new UnknownStatement(`a quote (${quote}) does not end`);
}

function unescaped(text: string, quote: string): string {
  if (!text.includes("\\") && !text.includes(quote)) return text;
  let result = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === "\\" && at + 1 < text.length) {
      const next = text[++at]!;
      // In a LIKE pattern \% and \_ keep their backslash; MySQL does so in every string.
      result += ESCAPES[next] ?? (next === "%" || next === "_" ? `\\${next}` : next);
    } else {
      result += char;
      if (char === quote) at++;
    }
  }
  return result;
}
