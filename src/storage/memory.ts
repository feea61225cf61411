import { epochOfChunk } from "../barrier/chunk-name.ts";
import type { ChunkPosition } from "../barrier/floor.ts";
import type { Chunk, ChunkPointer } from "../barrier/roster.ts";
import { grantCount, type Step } from "../barrier/step.ts";
import {
  type BarrierChanges,
  type BarrierConditions,
  type BarrierItem,
  type BarrierName,
  type BarrierResult,
  type Count,
  type Kept,
  type KeyRange,
  NOTHING_CLOSED,
  type Port,
  type Registry,
  type Root,
  type RootChanges,
  type RootConditions,
  type RootResult,
  type Tally,
} from "../maintainer/base/port.ts";
import type { Space } from "../maintainer/base/space.ts";
import { parseSpace } from "../maintainer/base/space.ts";
import { canonical, frozen } from "./canonical.ts";
import { encodeChunk } from "./chunk-codec.ts";
import { barrierItem, tallyItem } from "./dynamodb/barrier-item.ts";
import { keptItem } from "./dynamodb/kept-item.ts";
import { barrierKey, chunkKey, type Key, keptKey, positionKey, rootKey, tallyKey } from "./dynamodb/keys.ts";
import { positionItem } from "./dynamodb/position-item.ts";
import { rootItem } from "./dynamodb/root-item.ts";
import { B, type Item } from "./dynamodb/values.ts";
import { type Billed, Ledger, type Where } from "./ledger.ts";
import { KEEP_SECONDS } from "./lifetimes.ts";

/** The half of the port that is kept in a table. */
export type Store = Pick<
  Port,
  | "readRoot"
  | "commitRoot"
  | "readChunks"
  | "putChunks"
  | "expireChunks"
  | "listChunks"
  | "readBarrier"
  | "touchBarrier"
  | "readHistory"
  | "expireBarriers"
  | "notePositions"
  | "readPositions"
  | "touchTally"
  | "readTallies"
  | "keep"
  | "readKept"
  | "dropKept"
  | "registerSpace"
  | "listSpaces"
  | "readRegistry"
  | "retireSpace"
  | "nextSweepFrom"
>;

interface TallyState {
  readonly reported: ReadonlySet<number>;
  readonly stamp: number;
}

export interface MemoryOptions {
  /** Bytes that an item may have: each is weighed as the table would, and refused beyond. Default: nothing is weighed. */
  readonly maxItemBytes?: number;
  /** Milliseconds since 1970, for the TTL. Default: nothing has one. */
  readonly now?: () => number;
  /** How long tombstones, tallies and kept messages stay. Default: `KEEP_SECONDS`. */
  readonly keepSeconds?: number;
  /** How long superseded chunk versions stay. Default: 0, they are gone at once, the worst that a TTL can do. */
  readonly supersededSeconds?: number;
}

/** As long as the one that the adapter names an attempt by. */
const COMMIT_TOKEN = "0123456789abcdef";

/**
 * The store in memory, with the semantics that the table has: each operation is atomic, conditions are judged on the
 * item as it is, sets are united. Values are never changed in place and frozen when they come in, so that a result that
 * was given out stays as it was, and a copy of the store is a copy of its maps.
 *
 * With `maxItemBytes` it weighs items to the byte as the table does, and refuses what is too large; with `now` they
 * have the TTL that they would have there, and `expire` takes them out.
 */
export class MemoryStore implements Store {
  readonly #options: MemoryOptions;
  #ledger: Ledger | undefined;

  roots = new Map<string, Root>();
  chunks = new Map<string, Chunk>();
  barriers = new Map<string, BarrierItem>();
  tallies = new Map<string, TallyState>();
  positions = new Map<string, ChunkPosition>();
  kept = new Map<string, Kept>();
  spaces = new Map<string, { readonly token: string; readonly retired: boolean }>();
  sweepFrom = "";

  constructor(options: MemoryOptions = {}) {
    this.#options = options;
    const { maxItemBytes, now } = options;
    if (maxItemBytes !== undefined || now !== undefined) this.#ledger = new Ledger(maxItemBytes ?? Infinity);
  }

  clone(): MemoryStore {
    const copy = new MemoryStore(this.#options);
    copy.#ledger = this.#ledger?.clone();
    copy.roots = new Map(this.roots);
    copy.chunks = new Map(this.chunks);
    copy.barriers = new Map(this.barriers);
    copy.tallies = new Map(this.tallies);
    copy.positions = new Map(this.positions);
    copy.kept = new Map(this.kept);
    copy.spaces = new Map(this.spaces);
    copy.sweepFrom = this.sweepFrom;
    return copy;
  }

  /** All that is stored, as text that is the same for equal stores, whatever was written in which order. */
  snapshot(): string {
    const { roots, chunks, barriers, tallies, positions, kept, spaces, sweepFrom } = this;
    const parts = [roots, chunks, barriers, tallies, positions, kept].map(
      (part) =>
        `{${[...part]
          .map(([path, value]) => `${path}=${canonical(value)}`)
          .sort()
          .join()}}`,
    );
    const known = [...spaces].map(([text, { retired }]) => `${text}${retired ? " retired" : ""}`);
    return [...parts, known.sort().join(), sweepFrom].join("\n");
  }

  /** What the table would hold: bytes and TTL of each item, by its keys. Empty where nothing is weighed. */
  get items(): ReadonlyMap<string, Billed> {
    return this.#ledger?.items ?? new Map();
  }

  /**
   * Deletes items as the table's TTL does: at any time after it, early only if `now` is told so.
   * @param now milliseconds since 1970
   * @param choose which of those whose time is over are deleted now; the table may take days to do it
   * @returns what is gone
   */
  expire(now: number, choose: (item: Billed) => boolean = () => true): Billed[] {
    const over = this.#ledger?.expire(now, choose) ?? [];
    for (const { part, path } of over) this[part].delete(path);
    return over;
  }

  /** Deletes items that are weighed, whatever their time, as an operator does who removes a changefeed. */
  discard(choose: (item: Billed) => boolean): void {
    for (const { part, path } of this.#ledger?.take(choose) ?? []) this[part].delete(path);
  }

  /** Weighs an item that is about to be written. @throws ItemTooLarge */
  #weigh(key: Key, where: Where, ttl: number | undefined, attributes: () => Item): number {
    if (this.#ledger === undefined) return 0;
    const bytes = this.#ledger.weigh(key, attributes(), ttl);
    this.#ledger.book(key, where, bytes, ttl);
    return bytes;
  }

  /** Seconds since 1970 until which an item stays that is kept for so long from now. */
  #ttl(seconds: number): number | undefined {
    const { now } = this.#options;
    return now && Math.floor(now() / 1000) + seconds;
  }

  async readRoot(space: Space): Promise<Root | undefined> {
    return this.roots.get(space.text);
  }

  async commitRoot(space: Space, conditions: RootConditions, changes: RootChanges): Promise<RootResult> {
    const root = this.roots.get(space.text);
    const { startEpoch } = changes;
    if ((root === undefined && startEpoch === undefined) || !rootAllows(root, conditions))
      return { committed: false, root };
    const changed = changeRoot(root, changes);
    const where: Where = { part: "roots", path: space.text };
    const bytes = this.#weigh(rootKey(space), where, undefined, () => rootItem(changed, COMMIT_TOKEN));
    const next = frozen({ ...changed, bytes });
    this.roots.set(space.text, next);
    return { committed: true, root: next };
  }

  async readChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<(Chunk | undefined)[]> {
    return pointers.map((pointer) => this.chunks.get(`${space.text} ${pointer.name}`));
  }

  async putChunks(space: Space, chunks: readonly { pointer: ChunkPointer; chunk: Chunk }[]): Promise<void> {
    for (const { pointer, chunk } of chunks) {
      const path = `${space.text} ${pointer.name}`;
      this.#weigh(chunkKey(space, pointer), { part: "chunks", path }, undefined, () => ({
        data: B(encodeChunk(chunk)),
      }));
      this.chunks.set(path, frozen(chunk));
    }
  }

  /** What the root points to stays, as in the table. */
  async expireChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<void> {
    const inUse = new Set(this.roots.get(space.text)?.pointers.map((pointer) => pointer.name));
    const { supersededSeconds = 0 } = this.#options;
    for (const pointer of pointers) {
      const path = `${space.text} ${pointer.name}`;
      const chunk = this.chunks.get(path);
      if (chunk === undefined || inUse.has(pointer.name)) continue;
      const key = chunkKey(space, pointer);
      const ttl = supersededSeconds > 0 ? this.#ttl(supersededSeconds) : undefined;
      if (ttl !== undefined)
        this.#weigh(key, { part: "chunks", path }, ttl, () => ({ data: B(encodeChunk(chunk)) }));
      else {
        this.chunks.delete(path);
        this.#ledger?.drop(key);
      }
    }
  }

  /** Those that were written under a name of earlier versions are not listed, as in the table. */
  async listChunks(space: Space): Promise<ChunkPointer[]> {
    const prefix = `${space.text} `;
    return [...this.chunks].flatMap(([path, { kind, id, version }]) => {
      if (!path.startsWith(prefix)) return [];
      const pointer = { kind, id, version, name: path.slice(prefix.length) };
      if (epochOfChunk(pointer.name) === undefined) return [];
      return this.#ledger?.find(chunkKey(space, pointer))?.ttl === undefined ? [pointer] : [];
    });
  }

  async readBarrier(name: BarrierName): Promise<BarrierItem | undefined> {
    return this.barriers.get(barrierPath(name));
  }

  async touchBarrier(
    name: BarrierName,
    conditions: BarrierConditions,
    changes: BarrierChanges,
  ): Promise<BarrierResult> {
    const path = barrierPath(name);
    const item = this.barriers.get(path);
    if (conditions.notClosed && item?.tombstone !== undefined) return { done: false, item };
    const { notSentSince, sameEvent } = conditions;
    if (sameEvent !== undefined && item?.event.length && !Buffer.from(sameEvent).equals(item.event))
      return { done: false, item };
    if (notSentSince !== undefined && item !== undefined && item.sentAt > notSentSince)
      return { done: false, item };
    const { fewerUnreachable } = conditions;
    const named = item?.unreachable.size ?? 0;
    if (fewerUnreachable !== undefined && named > 0 && named >= fewerUnreachable)
      return { done: false, item };
    const next = frozen(this.#weighBarrier(name, path, changeBarrier(item, changes), changes));
    this.barriers.set(path, next);
    return { done: true, item: next };
  }

  #weighBarrier(name: BarrierName, path: string, next: BarrierItem, changes: BarrierChanges): BarrierItem {
    const ledger = this.#ledger;
    if (ledger === undefined) return next;
    const key = barrierKey(name);
    const ttl = ledger.find(key)?.ttl;
    const stamps = withStamp(ledger.stamps(key), changes.stamp);
    const bytes = this.#weigh(key, { part: "barriers", path }, ttl, () => barrierItem(next, stamps));
    ledger.setStamps(key, stamps, (left) => ledger.weigh(key, barrierItem(next, left), ttl));
    return { ...next, bytes };
  }

  get #keepSeconds(): number {
    return this.#options.keepSeconds ?? KEEP_SECONDS;
  }

  async readHistory(
    space: Space,
    epoch: bigint,
    limit: number,
    range?: KeyRange,
  ): Promise<{ key: string; item: BarrierItem }[]> {
    const prefix = barrierPath({ space, epoch, key: "" });
    const order = range?.oldestFirst ? -1 : 1;
    return [...this.barriers]
      .filter(([path]) => path.startsWith(prefix))
      .map(([path, item]) => ({ key: path.slice(prefix.length), item }))
      .filter(({ key }) => range === undefined || (key > range.above && key <= range.upTo))
      .sort((a, b) => (a.key < b.key ? order : -order))
      .slice(0, limit);
  }

  /** At once, the worst that a TTL can do, where items have none. */
  async expireBarriers(space: Space, epoch: bigint, keys: readonly string[]): Promise<void> {
    const ttl = this.#ttl(this.#keepSeconds);
    for (const key of keys) {
      const name = { space, epoch, key };
      const path = barrierPath(name);
      const item = this.barriers.get(path);
      if (item === undefined) continue;
      if (ttl === undefined) {
        this.barriers.delete(path);
        this.#ledger?.drop(barrierKey(name));
      } else {
        const stamps = this.#ledger!.stamps(barrierKey(name));
        const where: Where = { part: "barriers", path };
        const bytes = this.#weigh(barrierKey(name), where, ttl, () => barrierItem(item, stamps));
        this.barriers.set(path, frozen({ ...item, bytes }));
      }
    }
  }

  async notePositions(space: Space, epoch: bigint, positions: readonly ChunkPosition[]): Promise<void> {
    for (const one of positions) {
      const path = `${space.text} ${epoch} ${one.chunk} ${one.start}`;
      const key = positionKey(space, epoch, one.chunk, one.start);
      this.#weigh(key, { part: "positions", path }, this.#ttl(this.#keepSeconds), () => positionItem(one));
      this.positions.set(path, frozen(one));
    }
  }

  async readPositions(space: Space, epoch: bigint): Promise<ChunkPosition[]> {
    const found = [...this.positions].filter(([path]) => path.startsWith(`${space.text} ${epoch} `));
    return found.map(([, one]) => one).sort((a, b) => a.chunk - b.chunk || (a.start < b.start ? -1 : 1));
  }

  async touchTally(
    name: BarrierName,
    count: Count,
    chunk: number,
    changes: { readonly add?: readonly number[]; readonly stamp?: number },
  ): Promise<Tally> {
    const path = `${barrierPath(name)} ${count} ${chunk}`;
    const state = this.tallies.get(path);
    const next: TallyState = {
      reported: new Set([...(state?.reported ?? []), ...(changes.add ?? [])]),
      stamp: Math.max(state?.stamp ?? 0, changes.stamp ?? 0),
    };
    if (this.#ledger !== undefined) {
      const key = tallyKey(name, count, chunk);
      const stamps = withStamp(this.#ledger.stamps(key), changes.stamp);
      const ttl = this.#ttl(this.#keepSeconds);
      this.#weigh(key, { part: "tallies", path }, ttl, () => tallyItem(next.reported, stamps));
      const ledger = this.#ledger;
      ledger.setStamps(key, stamps, (left) => ledger.weigh(key, tallyItem(next.reported, left), ttl));
    }
    this.tallies.set(path, next);
    return { chunk, ...next };
  }

  async readTallies(name: BarrierName, count: Count): Promise<Tally[]> {
    const prefix = `${barrierPath(name)} ${count} `;
    const found: Tally[] = [];
    for (const [path, state] of this.tallies)
      if (path.startsWith(prefix)) found.push({ chunk: Number(path.slice(prefix.length)), ...state });
    return found.sort((a, b) => a.chunk - b.chunk);
  }

  async keep(space: Space, kept: Kept): Promise<void> {
    const path = `${space.text} ${kept.id}`;
    const key = keptKey(space, kept.id);
    this.#weigh(key, { part: "kept", path }, this.#ttl(this.#keepSeconds), () => keptItem(kept));
    this.kept.set(path, frozen(kept));
  }

  async readKept(space: Space): Promise<Kept[]> {
    const found = [...this.kept].filter(([path]) => path.startsWith(`${space.text} `));
    return found.map(([, kept]) => kept).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async dropKept(space: Space, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      this.kept.delete(`${space.text} ${id}`);
      this.#ledger?.drop(keptKey(space, id));
    }
  }

  async registerSpace(space: Space, token: string): Promise<void> {
    this.spaces.set(space.text, { token, retired: false });
  }

  async listSpaces(): Promise<Space[]> {
    return [...this.spaces.keys()].sort().map(parseSpace);
  }

  async readRegistry(): Promise<Registry> {
    const entries = [...this.spaces].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      entries: entries.map(([text, entry]) => ({ space: parseSpace(text), ...entry })),
      from: this.sweepFrom,
    };
  }

  async retireSpace(space: Space, token: string): Promise<void> {
    if (this.spaces.get(space.text)?.token === token) this.spaces.set(space.text, { token, retired: true });
  }

  async nextSweepFrom(space: string): Promise<void> {
    this.sweepFrom = space;
  }
}

function withStamp(stamps: ReadonlySet<number>, stamp: number | undefined): ReadonlySet<number> {
  return stamp === undefined ? stamps : new Set([...stamps, stamp]);
}

function barrierPath({ space, epoch, key }: BarrierName): string {
  return `${space.text} ${epoch} ${key}`;
}

function rootAllows(root: Root | undefined, conditions: RootConditions): boolean {
  const { sameEpoch, epochIsNew, sameRoster, sameStep, notOpenYet, nothingClosedSince, samePending } =
    conditions;
  const { aboveClosed, aboveFloor, sameOpen, notGrantedYet, sameHeard } = conditions;
  if (sameHeard !== undefined && (root?.heard ?? 0) !== sameHeard) return false;
  if (sameEpoch !== undefined && root?.epoch !== sameEpoch) return false;
  if (epochIsNew !== undefined && root !== undefined && root.epoch >= epochIsNew) return false;
  if (sameRoster !== undefined && root?.rosterVersion !== sameRoster) return false;
  if (sameStep !== undefined) {
    const step = root?.steps.get(sameStep.key);
    if (step === undefined || step.phase !== sameStep.phase || grantCount(step) !== sameStep.grants)
      return false;
  }
  if (notOpenYet !== undefined && root?.steps.has(notOpenYet)) return false;
  if (nothingClosedSince !== undefined && root?.closedCount !== nothingClosedSince) return false;
  if (aboveClosed !== undefined && !(root?.closedUpTo !== undefined && root.closedUpTo < aboveClosed))
    return false;
  if (aboveFloor !== undefined && root !== undefined && !(root.floor < aboveFloor)) return false;
  if (sameOpen !== undefined) {
    if (root === undefined) return false;
    const open = new Set(root.steps.keys());
    if (open.symmetricDifference(new Set(sameOpen)).size > 0) return false;
  }
  if (notGrantedYet !== undefined) {
    const step = root?.steps.get(notGrantedYet);
    if (step !== undefined && (step.phase !== "waiting" || grantCount(step) > 0)) return false;
  }
  if (samePending !== undefined) {
    if (new Set(root?.pending).symmetricDifference(new Set(samePending)).size > 0) return false;
  }
  return true;
}

function changeRoot(root: Root | undefined, changes: RootChanges): Root {
  const base =
    changes.startEpoch === undefined
      ? root!
      : {
          ...EMPTY_ROOT,
          ...changes.roster!,
          epoch: changes.startEpoch,
          retired: root?.retired ?? false,
        };
  const steps = new Map<string, Step>(base.steps);
  if (changes.step) steps.set(changes.step.key, frozen(changes.step.step));
  if (changes.open && !steps.has(changes.open.key)) steps.set(changes.open.key, frozen(changes.open.step));
  if (changes.remove !== undefined) steps.delete(changes.remove);
  const pending = new Set(base.pending);
  if (changes.addPending !== undefined) pending.add(changes.addPending);
  if (changes.removePending !== undefined) pending.delete(changes.removePending);
  return {
    epoch: base.epoch,
    rosterVersion: changes.roster?.version ?? base.rosterVersion,
    meta: changes.roster?.meta ?? base.meta,
    pointers: changes.roster?.pointers ?? base.pointers,
    closedCount: base.closedCount + (changes.countClosed ? 1 : 0),
    closedUpTo: changes.closedUpTo ?? base.closedUpTo,
    floor: changes.floor?.key ?? base.floor,
    expiredUpTo: changes.floor?.expiredUpTo ?? base.expiredUpTo,
    former: changes.former ?? base.former,
    heard: changes.heard ?? base.heard,
    retired: changes.retired ?? base.retired,
    pending: [...pending].sort(),
    steps: new Map([...steps].sort(([a], [b]) => (a < b ? -1 : 1))),
    bytes: 0,
  };
}

const EMPTY_ROOT = {
  rosterVersion: 0,
  closedCount: 0,
  closedUpTo: NOTHING_CLOSED,
  floor: NOTHING_CLOSED,
  expiredUpTo: NOTHING_CLOSED,
  former: [],
  heard: 0,
  pending: [],
  steps: new Map<string, Step>(),
};

function changeBarrier(item: BarrierItem | undefined, changes: BarrierChanges): BarrierItem {
  return {
    event: item?.event.length ? item.event : Uint8Array.from(changes.create?.event ?? []),
    routes: item?.routes.length ? item.routes : Uint8Array.from(changes.routes ?? []),
    openedAt: item?.openedAt || (changes.create?.openedAt ?? 0),
    stamp: Math.max(item?.stamp ?? 0, changes.stamp ?? 0),
    waiting: changedSet(item?.waiting, changes.addWaiting, changes.dropWaiting),
    passed: changedSet(item?.passed, changes.addPassed, changes.dropPassed),
    sentAt: changes.sentAt ?? item?.sentAt ?? 0,
    unreachable: new Set([...(item?.unreachable ?? []), ...(changes.addUnreachable ?? [])]),
    tombstone: changes.tombstone ?? item?.tombstone,
    bytes: 0,
  };
}

function changedSet<T>(
  before: ReadonlySet<T> = new Set(),
  add: readonly T[] = [],
  drop: readonly T[] = [],
): Set<T> {
  const after = new Set([...before, ...add]);
  for (const one of drop) after.delete(one);
  return after;
}
