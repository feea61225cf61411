/**
 * A set of 64-bit hashes that numbers its members 0, 1, 2, ... in the order in which they came. Made for millions: 12
 * bytes a member and the table.
 */
export class HashSet64 {
  #low = new Int32Array(1 << 12);
  #high = new Int32Array(1 << 12);
  /** Member number plus one, by place; 0: free. */
  #table = new Int32Array(1 << 14);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  low(index: number): number {
    return this.#low[index]!;
  }

  high(index: number): number {
    return this.#high[index]!;
  }

  has(low: number, high: number): boolean {
    return this.#table[this.#place(low, high)] !== 0;
  }

  /** @returns whether it is new; its number is then `size - 1` */
  add(low: number, high: number): boolean {
    const place = this.#place(low, high);
    if (this.#table[place] !== 0) return false;
    if (this.#size === this.#low.length) {
      this.#low = grown(this.#low);
      this.#high = grown(this.#high);
    }
    this.#low[this.#size] = low;
    this.#high[this.#size] = high;
    this.#table[place] = ++this.#size;
    if (this.#size * 2 > this.#table.length) this.#rehash();
    return true;
  }

  #place(low: number, high: number): number {
    const mask = this.#table.length - 1;
    for (let place = low & mask; ; place = (place + 1) & mask) {
      const member = this.#table[place]! - 1;
      if (member < 0 || (this.#low[member] === low && this.#high[member] === high)) return place;
    }
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2);
    for (let member = 0; member < this.#size; member++)
      this.#table[this.#place(this.#low[member]!, this.#high[member]!)] = member + 1;
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** Two 32-bit hashes of a row of numbers, each with its own constants: together 64 bits. */
export class Hasher {
  low = 0;
  high = 0;

  start(): void {
    this.low = 0x9747b28c | 0;
    this.high = 0x3c6ef372 | 0;
  }

  add(value: number): void {
    let k = Math.imul(value, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    this.low ^= Math.imul(k, 0x1b873593);
    this.low = (this.low << 13) | (this.low >>> 19);
    this.low = (Math.imul(this.low, 5) + 0xe6546b64) | 0;
    let m = Math.imul(value ^ 0x5bd1e995, 0x85ebca77);
    m = (m << 13) | (m >>> 19);
    this.high ^= Math.imul(m, 0xc2b2ae3d);
    this.high = (this.high << 17) | (this.high >>> 15);
    this.high = (Math.imul(this.high, 9) + 0x27d4eb2f) | 0;
  }

  finish(): void {
    const low = scrambled(this.low ^ Math.imul(this.high, 0x165667b1));
    this.high = scrambled(this.high ^ Math.imul(this.low, 0x2545f491));
    this.low = low;
  }
}

function scrambled(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
