import { MAX_STAMPS } from "./dynamodb/barrier-item.ts";
import type { Item } from "./dynamodb/item-size.ts";
import { itemBytes } from "./dynamodb/item-size.ts";
import type { Key } from "./dynamodb/keys.ts";
import { tooLarge } from "./dynamodb/too-large.ts";
import { N } from "./dynamodb/values.ts";

/** Which map of the store in memory holds an item, and under which name. */
export interface Where {
  readonly part: "roots" | "chunks" | "barriers" | "tallies" | "positions" | "kept";
  readonly path: string;
}

/** What the table would know of an item. */
export interface Billed extends Where {
  /** Names and values of all attributes, keys included. */
  readonly bytes: number;
  /** Seconds since 1970 after which the table may delete it; undefined: never. */
  readonly ttl: number | undefined;
}

/** What items of the store in memory would weigh in the table, and when they would expire there. */
export class Ledger {
  readonly #most: number;
  #items = new Map<string, Billed>();
  /** Sets of stamps, which a barrier and a tally keep whole; what is read is the highest. */
  #stamps = new Map<string, ReadonlySet<number>>();

  /** @param most bytes that an item may have */
  constructor(most: number) {
    this.#most = most;
  }

  clone(): Ledger {
    const copy = new Ledger(this.#most);
    copy.#items = new Map(this.#items);
    copy.#stamps = new Map(this.#stamps);
    return copy;
  }

  /** Every item by its keys, as the table holds it. */
  get items(): ReadonlyMap<string, Billed> {
    return this.#items;
  }

  /** What an item would weigh. @throws ItemTooLarge if that is more than an item may have */
  weigh(key: Key, attributes: Item, ttl: number | undefined): number {
    const item = { pk: { S: key.pk }, sk: { S: key.sk }, ...attributes };
    const bytes = itemBytes(ttl === undefined ? item : { ...item, ttl: N(ttl) });
    if (bytes > this.#most) throw tooLarge(key);
    return bytes;
  }

  book(key: Key, where: Where, bytes: number, ttl: number | undefined): void {
    this.#items.set(nameOf(key), { ...where, bytes, ttl });
  }

  find(key: Key): Billed | undefined {
    return this.#items.get(nameOf(key));
  }

  drop(key: Key): void {
    this.#items.delete(nameOf(key));
    this.#stamps.delete(nameOf(key));
  }

  stamps(key: Key): ReadonlySet<number> {
    return this.#stamps.get(nameOf(key)) ?? new Set();
  }

  /** What the adapter does with an item's stamps after a write. @param weigh the item with these stamps */
  setStamps(key: Key, stamps: ReadonlySet<number>, weigh: (stamps: ReadonlySet<number>) => number): void {
    const name = nameOf(key);
    if (stamps.size <= MAX_STAMPS) return void this.#stamps.set(name, stamps);
    const left = new Set([Math.max(...stamps)]);
    this.#stamps.set(name, left);
    this.#items.set(name, { ...this.#items.get(name)!, bytes: weigh(left) });
  }

  /** Takes out the items whose time is over and that `choose` takes. */
  expire(now: number, choose: (item: Billed) => boolean): Billed[] {
    return this.take((item) => item.ttl !== undefined && item.ttl * 1000 <= now && choose(item));
  }

  /** Takes out the items that `choose` takes. */
  take(choose: (item: Billed) => boolean): Billed[] {
    const over: Billed[] = [];
    for (const [name, item] of this.#items) {
      if (!choose(item)) continue;
      this.#items.delete(name);
      this.#stamps.delete(name);
      over.push(item);
    }
    return over;
  }
}

const nameOf = ({ pk, sk }: Key) => `${pk} ${sk}`;
