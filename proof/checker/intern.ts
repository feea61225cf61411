import { canonical } from "../../src/storage/canonical.ts";

/** Gives equal values the same small number, from 1 on, so that a state is a row of numbers. */
export class Interner<T> {
  readonly #ids = new Map<string, number>();
  readonly #values: T[] = [];
  readonly #textOf: (value: T) => string;

  /** @param textOf the same text for equal values; values must not change afterwards */
  constructor(textOf: (value: T) => string = canonical) {
    this.#textOf = textOf;
  }

  id(value: T): number {
    const text = this.#textOf(value);
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    this.#values.push(value);
    this.#ids.set(text, this.#values.length);
    return this.#values.length;
  }

  value(id: number): T {
    return this.#values[id - 1]!;
  }

  get size(): number {
    return this.#values.length;
  }
}
