/** A dispatcher's 128-bit id, given as its halves, as 32 lower-case hex digits. */
export function hexId(high: bigint, low: bigint): string {
  return high.toString(16).padStart(16, "0") + low.toString(16).padStart(16, "0");
}

/** For each byte, its two hex digits as they lie in memory: the first one in the lower half. */
const PAIRS = Uint16Array.from({ length: 256 }, (_, byte) => {
  const [first, second] = byte.toString(16).padStart(2, "0");
  return first!.charCodeAt(0) | (second!.charCodeAt(0) << 8);
});

/** Many ids, written one after the other and cut into strings at the end: a fraction of what bigints take. */
export class HexIds {
  #pairs = new Uint16Array(16 * 256);
  #length = 0;

  /** Adds the next half of an id, given as the halves of that. */
  add(high: number, low: number): void {
    if (this.#length + 8 > this.#pairs.length) {
      const larger = new Uint16Array(this.#pairs.length * 2);
      larger.set(this.#pairs);
      this.#pairs = larger;
    }
    this.#addWord(high);
    this.#addWord(low);
  }

  #addWord(word: number): void {
    const pairs = this.#pairs;
    let at = this.#length;
    pairs[at++] = PAIRS[word >>> 24]!;
    pairs[at++] = PAIRS[(word >>> 16) & 0xff]!;
    pairs[at++] = PAIRS[(word >>> 8) & 0xff]!;
    pairs[at++] = PAIRS[word & 0xff]!;
    this.#length = at;
  }

  /** Forgets what was added. */
  clear(): void {
    this.#length = 0;
  }

  /** The ids that were added since the last time. */
  take(): string[] {
    const { buffer } = this.#pairs;
    const text = Buffer.from(buffer, 0, this.#length * 2).toString("latin1");
    this.clear();
    const ids = new Array<string>(text.length / 32);
    for (let index = 0; index < ids.length; index++) ids[index] = text.slice(index * 32, index * 32 + 32);
    return ids;
  }
}

/** The inverse of `hexId`. */
export function halvesOf(id: string): [high: bigint, low: bigint] {
  return [BigInt(`0x${id.slice(0, 16)}`), BigInt(`0x${id.slice(16)}`)];
}
