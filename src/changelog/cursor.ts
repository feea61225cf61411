import { type Token, UnknownStatement } from "./tokens.ts";

/** A table with its schema. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A name as SQL writes it. */
export function quote({ schema, table }: TableName): string {
  const one = (name: string) => `\`${name.replaceAll("`", "``")}\``;
  return `${one(schema)}.${one(table)}`;
}

/** Reads tokens one after the other. Behind the last one there is nothing: `peek` is undefined, `is` is false. */
export class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Everything that is not read yet. */
  get rest(): readonly Token[] {
    return this.#tokens.slice(this.#at);
  }

  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#at + ahead];
  }

  next(): Token | undefined {
    return this.#tokens[this.#at++];
  }

  skip(count = 1): void {
    this.#at += count;
  }

  /** Whether these keywords or symbols come next. A quoted name is never a keyword. */
  is(...words: readonly string[]): boolean {
    return words.every((word, index) => isWord(this.peek(index), word));
  }

  isOneOf(...words: readonly string[]): boolean {
    return words.some((word) => this.is(word));
  }

  /** Reads these keywords or symbols if they come next. */
  take(...words: readonly string[]): boolean {
    if (!this.is(...words)) return false;
    this.#at += words.length;
    return true;
  }

  /** Reads one of these if it comes next. */
  takeOneOf(...words: readonly string[]): string | undefined {
    const found = words.find((word) => this.is(word));
    if (found !== undefined) this.#at++;
    return found;
  }

  /** IF EXISTS or IF NOT EXISTS. */
  takeIfExists(): boolean {
    return this.take("IF", "EXISTS") || this.take("IF", "NOT", "EXISTS");
  }

  /** @throws UnknownStatement if no name comes next; `what` says whose */
  name(what: string): string {
    const token = this.next();
    if (!isName(token)) throw new UnknownStatement(`the name of ${what} is expected ${where(token)}`);
    return token.text;
  }

  /** A table's name with or without its schema. */
  table(database: string, what = "a table"): TableName {
    // .t is an old way to say t.
    if (this.is(".")) this.skip();
    const first = this.name(what);
    if (!this.take(".")) return { schema: database, table: first };
    return { schema: first, table: this.name(what) };
  }

  tables(database: string): TableName[] {
    const all = [this.table(database)];
    while (this.take(",")) all.push(this.table(database));
    return all;
  }

  /** What stands between the parenthesis that comes next and its end; the parentheses are read too. */
  parenthesis(): readonly Token[] {
    if (!this.take("(")) throw new UnknownStatement(`"(" is expected ${where(this.peek())}`);
    const start = this.#at;
    for (let depth = 1; depth > 0; ) {
      const token = this.next();
      if (token === undefined) throw new UnknownStatement("a parenthesis does not end");
      if (isWord(token, "(")) depth++;
      else if (isWord(token, ")")) depth--;
    }
    return this.#tokens.slice(start, this.#at - 1);
  }
}

export function isWord(token: Token | undefined, word: string): boolean {
  return token !== undefined && (token.kind === "symbol" ? token.text === word : token.upper === word);
}

/** A name: quoted or not; in double quotes, as ANSI mode has it. Digits alone are none. */
export function isName(token: Token | undefined): token is Token {
  return (
    token !== undefined &&
    (token.kind === "word" || token.kind === "name" || (token.kind === "string" && token.double))
  );
}

const where = (token: Token | undefined) =>
  token === undefined ? "at the end" : `at "${token.text.slice(0, 40)}"`;

/** Splits at separators that stand in no parenthesis. */
export function split(tokens: readonly Token[], separator: string): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (isWord(token, "(")) depth++;
    else if (isWord(token, ")")) depth--;
    if (depth === 0 && isWord(token, separator)) parts.push([]);
    else parts.at(-1)!.push(token);
  }
  return parts;
}

/** Where these keywords stand one behind the other, in no parenthesis; -1 if they do not. */
export function findOutside(tokens: readonly Token[], ...words: readonly string[]): number {
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    if (isWord(token, "(")) depth++;
    else if (isWord(token, ")")) depth--;
    else if (depth === 0 && words.every((word, ahead) => isWord(tokens[index + ahead], word))) return index;
  }
  return -1;
}
