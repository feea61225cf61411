import type { BarrierName } from "../../src/maintainer/base/port.ts";
import type { Request } from "../../src/maintainer/base/program.ts";
import type { Space } from "../../src/maintainer/base/space.ts";
import { canonical } from "../../src/storage/canonical.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import { Interner } from "./intern.ts";

/** The store of a state: by part the number of its content, 0 where there is nothing. */
export type StoreIds = readonly number[];

/** What an operation gave, with a number that is the same for equal results. */
export interface Answer {
  readonly value: unknown;
  readonly id: number;
}

type Table = Map<string, unknown>;

/**
 * The shipped in-memory store, cut into parts that change on their own: the root, the chunks, each barrier, its tallies.
 * An operation on the same content of the parts that it reads gives the same, so it is performed once and remembered.
 */
export class StoreParts {
  readonly #parts = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #contents = new Interner<Table>();
  readonly #answers = new Interner<unknown>();
  readonly #done = new Map<string, { answer: Answer; changes: readonly (readonly [number, number])[] }>();
  readonly #live = new Map<number, readonly string[]>();

  /** A store's content as numbers. */
  taken(store: MemoryStore): StoreIds {
    const ids: number[] = [];
    for (const [part, content] of this.#divide(store)) ids[part] = this.#contents.id(content);
    return Array.from(ids, (id) => id ?? 0);
  }

  /** The content of a field of the store in a state, such as `roots`. */
  table<V>(ids: StoreIds, name: string): ReadonlyMap<string, V> {
    const part = this.#parts.get(name);
    const id = part === undefined ? 0 : (ids[part] ?? 0);
    return (id === 0 ? new Map() : this.#contents.value(id)) as ReadonlyMap<string, V>;
  }

  /** The number of a part's content. */
  idOf(ids: StoreIds, name: string): number {
    const part = this.#parts.get(name);
    return part === undefined ? 0 : (ids[part] ?? 0);
  }

  /** The names of chunk versions that a state's store knows. */
  *nonces(ids: StoreIds): Iterable<string> {
    for (const id of ids) if (id !== 0) yield* this.#noncesOf(id);
  }

  #noncesOf(id: number): readonly string[] {
    let found = this.#live.get(id);
    if (found === undefined) {
      found = noncesIn(canonical(this.#contents.value(id)));
      this.#live.set(id, found);
    }
    return found;
  }

  /** Performs one operation of the store. */
  async perform(ids: StoreIds, request: Request, requestId: number): Promise<[Answer, StoreIds]> {
    const touched = this.#touched(request);
    let name = `${requestId}`;
    for (const part of touched ?? ids.keys()) name += `,${ids[part] ?? 0}`;
    let done = this.#done.get(name);
    if (done === undefined) {
      done = await this.#perform(ids, request, touched ?? [...ids.keys()]);
      this.#done.set(name, done);
    }
    if (done.changes.length === 0) return [done.answer, ids];
    const next = [...ids];
    for (const [part, id] of done.changes) {
      while (next.length <= part) next.push(0);
      next[part] = id;
    }
    return [done.answer, next];
  }

  async #perform(ids: StoreIds, request: Request, touched: readonly number[]) {
    const store = new MemoryStore();
    const fields = store as unknown as Record<string, Table>;
    for (const part of touched) {
      const id = ids[part] ?? 0;
      if (id === 0) continue;
      const field = this.#names[part]!.split(" ")[0]!;
      for (const [key, value] of this.#contents.value(id)) fields[field]!.set(key, value);
    }
    const operation = (store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[
      request.method
    ]!;
    const value = await operation.apply(store, request.args);
    const after = this.#divide(store);
    const changes: [number, number][] = [];
    for (const part of new Set([...touched, ...after.keys()])) {
      const content = after.get(part);
      const id = content === undefined ? 0 : this.#contents.id(content);
      if (id !== (ids[part] ?? 0)) changes.push([part, id]);
    }
    return { answer: this.answer(value), changes };
  }

  answer(value: unknown): Answer {
    const id = this.#answers.id(value);
    return { value: this.#answers.value(id), id };
  }

  #divide(store: MemoryStore): Map<number, Table> {
    const parts = new Map<number, Table>();
    for (const [field, table] of Object.entries(store)) {
      if (!(table instanceof Map)) continue;
      for (const [key, value] of table as Table) {
        const part = this.#part(partOf(field, key));
        const content = parts.get(part) ?? new Map<string, unknown>();
        parts.set(part, content);
        content.set(key, value);
      }
    }
    return parts;
  }

  #part(name: string): number {
    const known = this.#parts.get(name);
    if (known !== undefined) return known;
    const part = this.#names.push(name) - 1;
    this.#parts.set(name, part);
    return part;
  }

  /** The parts that an operation reads or writes; undefined: it is not known here, so all of them. */
  #touched({ method, args }: Request): readonly number[] | undefined {
    switch (method) {
      case "readRoot":
      case "commitRoot":
        return [this.#part("roots")];
      case "readChunks":
      case "putChunks":
        return [this.#part("chunks")];
      case "expireChunks":
        return [this.#part("roots"), this.#part("chunks")];
      case "readBarrier":
      case "touchBarrier":
        return [this.#part(`barriers ${pathOf(args[0])}`)];
      case "touchTally":
      case "readTallies":
        return [this.#part(`tallies ${pathOf(args[0])} ${args[1]}`)];
      case "notePositions":
      case "readPositions":
        return [this.#part("positions")];
      case "keep":
      case "readKept":
      case "dropKept":
        return [this.#part("kept")];
      default:
        return undefined;
    }
  }
}

/** Barriers and the tallies of one count change on their own; what else there is, field by field. */
function partOf(field: string, key: string): string {
  if (field === "barriers") return `barriers ${key}`;
  if (field === "tallies") return `tallies ${key.slice(0, key.lastIndexOf(" "))}`;
  return field;
}

function pathOf({ space, epoch, key }: BarrierName & { space: Space }): string {
  return `${space.text} ${epoch} ${key}`;
}

/** The nonces of invocations in names of chunk versions: `epoch:nonce.attempt.number`. */
export function noncesIn(text: string): string[] {
  const found = new Set<string>();
  for (const match of text.matchAll(/"(?:\d+:)?(i\d+x\d+)\.\d+\.\d+"/g)) found.add(match[1]!);
  return [...found];
}
