/**
 * DynamoDB's condition and update expressions, as far as the adapter writes them: paths, comparisons, AND, OR, NOT,
 * attribute_exists, attribute_not_exists, contains, size, if_not_exists; SET, ADD, REMOVE, DELETE. What it does not know it
 * refuses, so that nothing is counted that was not understood. `standin.test.ts` holds it against another engine.
 */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";

export type Item = Record<string, AttributeValue>;

type Operand =
  | { readonly kind: "path"; readonly path: readonly string[] }
  | { readonly kind: "value"; readonly name: string }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Operand[] };

type Condition =
  | { readonly kind: "and" | "or"; readonly all: readonly Condition[] }
  | { readonly kind: "not"; readonly one: Condition }
  | { readonly kind: "compare"; readonly operator: string; readonly left: Operand; readonly right: Operand }
  | { readonly kind: "test"; readonly call: Operand & { kind: "call" } };

interface Updates {
  readonly set: { readonly path: readonly string[]; readonly value: Operand }[];
  readonly add: { readonly path: readonly string[]; readonly value: Operand }[];
  readonly remove: { readonly path: readonly string[] }[];
  readonly delete: { readonly path: readonly string[]; readonly value: Operand }[];
}

const TOKEN = /\s*([A-Za-z_][A-Za-z0-9_]*|#[A-Za-z0-9_]+|:[A-Za-z0-9_]+|<>|<=|>=|[=<>(),.])/y;

class Tokens {
  readonly #all: string[] = [];
  #at = 0;

  constructor(expression: string) {
    TOKEN.lastIndex = 0;
    let end = 0;
    for (let match = TOKEN.exec(expression); match; match = TOKEN.exec(expression)) {
      this.#all.push(match[1]!);
      end = TOKEN.lastIndex;
    }
    if (expression.slice(end).trim() !== "") throw new Error(`not understood: ${expression.slice(end)}`);
  }

  get done(): boolean {
    return this.#at >= this.#all.length;
  }

  peek(): string {
    return this.#all[this.#at] ?? "";
  }

  next(): string {
    return this.#all[this.#at++] ?? "";
  }

  take(wanted: string): boolean {
    const found = this.peek().toUpperCase() === wanted;
    if (found) this.#at++;
    return found;
  }

  expect(wanted: string): void {
    if (!this.take(wanted)) throw new Error(`expected ${wanted}, found "${this.peek()}"`);
  }
}

function operand(tokens: Tokens): Operand {
  const first = tokens.next();
  if (first.startsWith(":")) return { kind: "value", name: first };
  if (tokens.take("(")) {
    const args = [operand(tokens)];
    while (tokens.take(",")) args.push(operand(tokens));
    tokens.expect(")");
    return { kind: "call", name: first, args };
  }
  return { kind: "path", path: pathFrom(tokens, first) };
}

function pathFrom(tokens: Tokens, first: string): string[] {
  if (!/^[#A-Za-z_]/.test(first)) throw new Error(`expected a name, found "${first}"`);
  const path = [first];
  while (tokens.take(".")) path.push(tokens.next());
  return path;
}

function either(tokens: Tokens): Condition {
  const all = [both(tokens)];
  while (tokens.take("OR")) all.push(both(tokens));
  return all.length === 1 ? all[0]! : { kind: "or", all };
}

function both(tokens: Tokens): Condition {
  const all = [single(tokens)];
  while (tokens.take("AND")) all.push(single(tokens));
  return all.length === 1 ? all[0]! : { kind: "and", all };
}

function single(tokens: Tokens): Condition {
  if (tokens.take("NOT")) return { kind: "not", one: single(tokens) };
  if (tokens.take("(")) {
    const inner = either(tokens);
    tokens.expect(")");
    return inner;
  }
  const left = operand(tokens);
  if (["=", "<>", "<", "<=", ">", ">="].includes(tokens.peek()))
    return { kind: "compare", operator: tokens.next(), left, right: operand(tokens) };
  if (left.kind !== "call") throw new Error("a condition that compares nothing");
  return { kind: "test", call: left };
}

function updates(tokens: Tokens): Updates {
  const parsed: Updates = { set: [], add: [], remove: [], delete: [] };
  while (!tokens.done) {
    const word = tokens.next().toLowerCase();
    do {
      const path = pathFrom(tokens, tokens.next());
      if (word === "remove") parsed.remove.push({ path });
      else {
        if (word === "set") tokens.expect("=");
        else if (word !== "add" && word !== "delete") throw new Error(`update clause ${word} is not known`);
        parsed[word].push({ path, value: operand(tokens) });
      }
    } while (tokens.take(","));
  }
  return parsed;
}

function remembering<T>(parse: (tokens: Tokens) => T): (expression: string) => T {
  const known = new Map<string, T>();
  return (expression) => {
    let parsed = known.get(expression);
    if (parsed === undefined) {
      const tokens = new Tokens(expression);
      parsed = parse(tokens);
      if (!tokens.done) throw new Error(`not understood from "${tokens.peek()}" on: ${expression}`);
      known.set(expression, parsed);
    }
    return parsed;
  };
}

const parseCondition = remembering(either);
const parseUpdates = remembering(updates);

/** What an expression's placeholders stand for. */
export interface Placeholders {
  readonly names?: Record<string, string> | undefined;
  readonly values?: Record<string, AttributeValue> | undefined;
}

/** An item, and how an expression's placeholders are read. */
class Scope {
  readonly #item: Item;
  readonly #by: Placeholders;

  constructor(item: Item, by: Placeholders) {
    this.#item = item;
    this.#by = by;
  }

  names(path: readonly string[]): string[] {
    return path.map((part) => (part.startsWith("#") ? this.#known(this.#by.names?.[part], part) : part));
  }

  at(path: readonly string[]): AttributeValue | undefined {
    const [first, ...rest] = this.names(path);
    let value = this.#item[first!];
    for (const name of rest) value = value?.M?.[name];
    return value;
  }

  value(one: Operand): AttributeValue | undefined {
    if (one.kind === "path") return this.at(one.path);
    if (one.kind === "value") return this.#known(this.#by.values?.[one.name], one.name);
    if (one.name === "if_not_exists") return this.value(one.args[0]!) ?? this.value(one.args[1]!);
    if (one.name === "size") return { N: String(sizeOf(this.value(one.args[0]!))) };
    throw new Error(`function ${one.name} gives no value`);
  }

  #known<T>(found: T | undefined, placeholder: string): T {
    if (found === undefined) throw new Error(`placeholder ${placeholder} stands for nothing`);
    return found;
  }
}

function sizeOf(value: AttributeValue | undefined): number {
  const members = value?.SS ?? value?.NS ?? value?.BS ?? value?.L;
  if (members) return members.length;
  if (value?.S !== undefined) return Buffer.byteLength(value.S);
  return value?.B?.length ?? 0;
}

function compare(operator: string, a: AttributeValue | undefined, b: AttributeValue | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (operator === "=") return equal(a, b);
  if (operator === "<>") return !equal(a, b);
  const order =
    a.N !== undefined && b.N !== undefined
      ? Math.sign(Number(BigInt(a.N) - BigInt(b.N)))
      : a.S !== undefined && b.S !== undefined
        ? Buffer.compare(Buffer.from(a.S), Buffer.from(b.S))
        : undefined;
  if (order === undefined) return false;
  return { "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0 }[operator] ?? false;
}

function equal(a: AttributeValue, b: AttributeValue): boolean {
  if (a.S !== undefined) return a.S === b.S;
  if (a.N !== undefined) return b.N !== undefined && BigInt(a.N) === BigInt(b.N);
  if (a.B !== undefined) return b.B !== undefined && Buffer.compare(a.B, b.B) === 0;
  if (a.BOOL !== undefined) return a.BOOL === b.BOOL;
  const left = a.SS ?? a.NS;
  const right = b.SS ?? b.NS;
  if (!left || !right || !a.SS !== !b.SS) throw new Error("these values are not compared here");
  return left.length === right.length && new Set(left).isSubsetOf(new Set(right));
}

/** Whether a condition holds for an item; `{}` stands for none. */
export function holds(expression: string, item: Item, by: Placeholders): boolean {
  return judge(parseCondition(expression), new Scope(item, by));
}

function judge(condition: Condition, scope: Scope): boolean {
  switch (condition.kind) {
    case "and":
      return condition.all.every((one) => judge(one, scope));
    case "or":
      return condition.all.some((one) => judge(one, scope));
    case "not":
      return !judge(condition.one, scope);
    case "compare":
      return compare(condition.operator, scope.value(condition.left), scope.value(condition.right));
    case "test": {
      const { name, args } = condition.call;
      const first = scope.value(args[0]!);
      if (name === "attribute_exists") return first !== undefined;
      if (name === "attribute_not_exists") return first === undefined;
      if (name === "contains") {
        const wanted = scope.value(args[1]!);
        return (first?.SS ?? first?.NS ?? []).includes(wanted?.S ?? wanted?.N ?? "");
      }
      throw new Error(`condition ${name} is not known`);
    }
  }
}

/** An item after an update: all values are read before any is written. */
export function updated(expression: string, item: Item, by: Placeholders): Item {
  const parsed = parseUpdates(expression);
  const scope = new Scope(item, by);
  const changes: [string[], AttributeValue | undefined][] = [];
  for (const { path, value } of parsed.set) changes.push([scope.names(path), scope.value(value)]);
  for (const { path } of parsed.remove) changes.push([scope.names(path), undefined]);
  for (const { path, value } of parsed.add)
    changes.push([scope.names(path), sum(scope.at(path), scope.value(value)!)]);
  for (const { path, value } of parsed.delete)
    changes.push([scope.names(path), difference(scope.at(path), scope.value(value)!)]);
  let after = item;
  for (const [path, value] of changes) after = withValue(after, path, value);
  return after;
}

function withValue(item: Item, [name, ...rest]: readonly string[], value: AttributeValue | undefined): Item {
  const copy = { ...item };
  if (rest.length > 0) {
    const inner = item[name!]?.M;
    if (!inner) throw new Error("the document path of the update is not there");
    copy[name!] = { M: withValue(inner, rest, value) };
  } else if (value === undefined) delete copy[name!];
  else copy[name!] = value;
  return copy;
}

function sum(before: AttributeValue | undefined, more: AttributeValue): AttributeValue {
  if (more.N !== undefined) return { N: (BigInt(before?.N ?? 0) + BigInt(more.N)).toString() };
  if (more.SS) return { SS: union(before?.SS, more.SS) };
  if (more.NS) return { NS: union(before?.NS, more.NS) };
  if (more.BS) {
    const all = new Map(
      [...(before?.BS ?? []), ...more.BS].map((one) => [Buffer.from(one).toString("hex"), one]),
    );
    return { BS: [...all.values()] };
  }
  throw new Error("only numbers and sets can be added");
}

function union(before: readonly string[] = [], more: readonly string[]): string[] {
  if (more.length > 1) return [...new Set([...before, ...more])];
  return before.includes(more[0]!) ? [...before] : [...before, ...more];
}

function difference(before: AttributeValue | undefined, less: AttributeValue): AttributeValue | undefined {
  const left = (before?.SS ?? []).filter((one) => !less.SS?.includes(one));
  if (before !== undefined && !before.SS) throw new Error("only members of string sets are deleted here");
  return left.length === 0 ? undefined : { SS: left };
}
