import type { AttributeValue } from "@aws-sdk/client-dynamodb";

export type Item = Record<string, AttributeValue>;

export const S = (value: string): AttributeValue => ({ S: value });
/** Numbers go as text: a commitTs or an epoch is larger than a JavaScript number is exact. */
export const N = (value: number | bigint): AttributeValue => ({ N: value.toString() });
export const B = (value: Uint8Array): AttributeValue => ({ B: value });
/** Sets may not be empty: callers leave the attribute out. DynamoDB refuses a set that names a member twice. */
export const SS = (values: Iterable<string>): AttributeValue => ({ SS: [...new Set(values)] });
export const NS = (values: Iterable<number>): AttributeValue => ({ NS: Array.from(new Set(values), String) });

export const text = (value: AttributeValue | undefined): string => value?.S ?? "";
export const integer = (value: AttributeValue | undefined): number => Number(value?.N ?? 0);
export const long = (value: AttributeValue | undefined): bigint => BigInt(value?.N ?? 0);
export const bytes = (value: AttributeValue | undefined): Uint8Array => value?.B ?? new Uint8Array();
export const strings = (value: AttributeValue | undefined): Set<string> => new Set(value?.SS ?? []);
export const numbers = (value: AttributeValue | undefined): Set<number> =>
  new Set((value?.NS ?? []).map(Number));
export const highest = (value: AttributeValue | undefined): number =>
  (value?.NS ?? []).reduce((max, one) => Math.max(max, Number(one)), 0);

/** Parts of an update, gathered with the names and values that they use. */
export class Update {
  readonly #set: string[] = [];
  readonly #add: string[] = [];
  readonly #remove: string[] = [];
  readonly #delete: string[] = [];
  readonly #conditions: string[] = [];
  readonly #names: Record<string, string> = {};
  readonly #values: Item = {};

  /** A placeholder for an attribute name: names like `key` are reserved words. */
  name(attribute: string): string {
    const known = Object.entries(this.#names).find(([, name]) => name === attribute);
    if (known) return known[0];
    const placeholder = `#n${Object.keys(this.#names).length}`;
    this.#names[placeholder] = attribute;
    return placeholder;
  }

  value(value: AttributeValue): string {
    const placeholder = `:v${Object.keys(this.#values).length}`;
    this.#values[placeholder] = value;
    return placeholder;
  }

  set(path: string, expression: string): void {
    this.#set.push(`${path} = ${expression}`);
  }

  add(attribute: string, value: AttributeValue): void {
    this.#add.push(`${this.name(attribute)} ${this.value(value)}`);
  }

  remove(path: string): void {
    this.#remove.push(path);
  }

  delete(attribute: string, value: AttributeValue): void {
    this.#delete.push(`${this.name(attribute)} ${this.value(value)}`);
  }

  /** All conditions must hold. */
  condition(expression: string): void {
    this.#conditions.push(`(${expression})`);
  }

  expressions() {
    const clause = (word: string, parts: readonly string[]) =>
      parts.length > 0 ? [`${word} ${parts.join(", ")}`] : [];
    const update = [
      ...clause("SET", this.#set),
      ...clause("ADD", this.#add),
      ...clause("REMOVE", this.#remove),
      ...clause("DELETE", this.#delete),
    ].join(" ");
    return {
      ...(update !== "" && { UpdateExpression: update }),
      ...(this.#conditions.length > 0 && { ConditionExpression: this.#conditions.join(" AND ") }),
      ...(Object.keys(this.#names).length > 0 && { ExpressionAttributeNames: this.#names }),
      ...(Object.keys(this.#values).length > 0 && { ExpressionAttributeValues: this.#values }),
    };
  }
}
