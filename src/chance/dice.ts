/**
 * Random numbers from a seed (sfc32): the only source of chance in a simulation. Each part of the world throws dice of its
 * own, named by a label, so that a change in one part leaves the others' throws as they were.
 */
export class Dice {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, label: string) {
    let hash = 2166136261 ^ seed;
    const mix = (text: string) => {
      for (let index = 0; index < text.length; index++)
        hash = Math.imul(hash ^ text.charCodeAt(index), 16777619);
      return hash >>> 0;
    };
    this.#a = mix(label);
    this.#b = mix(String(seed));
    this.#c = mix("weir");
    for (let round = 0; round < 12; round++) this.next();
  }

  /** A number from 0 up to, and without, 1. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return (sum >>> 0) / 4294967296;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from 0 up to, and without, `below`. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** A number from `low` up to, and without, `high`. */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** One of these; there is at least one. */
  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }

  /** Puts an array into random order, in place. */
  shuffle<T>(all: T[]): T[] {
    for (let index = all.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      [all[index], all[other]] = [all[other]!, all[index]!];
    }
    return all;
  }
}
