import type { Chunk, ChunkPointer } from "../barrier/roster.ts";
import type { Step } from "../barrier/step.ts";
import {
  type BarrierChanges,
  type BarrierConditions,
  type BarrierItem,
  type BarrierName,
  type BarrierResult,
  type Count,
  type Kept,
  NOTHING_CLOSED,
  type Port,
  type Root,
  type RootChanges,
  type RootConditions,
  type RootResult,
  type Tally,
} from "../maintainer/port.ts";
import type { Space } from "../maintainer/space.ts";
import { parseSpace } from "../maintainer/space.ts";
import { canonical, frozen } from "./canonical.ts";

/** The half of the port that is kept in a table. */
export type Store = Pick<
  Port,
  | "readRoot"
  | "commitRoot"
  | "readChunks"
  | "putChunks"
  | "expireChunks"
  | "readBarrier"
  | "touchBarrier"
  | "readHistory"
  | "touchTally"
  | "readTallies"
  | "keep"
  | "readKept"
  | "dropKept"
  | "registerSpace"
  | "listSpaces"
>;

interface TallyState {
  readonly reported: ReadonlySet<number>;
  readonly stamp: number;
}

/**
 * The store in memory, with the semantics that the table has: each operation is atomic, conditions are judged on the
 * item as it is, sets are united. Values are never changed in place and frozen when they come in, so that a result that
 * was given out stays as it was, and a copy of the store is a copy of its maps.
 */
export class MemoryStore implements Store {
  roots = new Map<string, Root>();
  chunks = new Map<string, Chunk>();
  barriers = new Map<string, BarrierItem>();
  tallies = new Map<string, TallyState>();
  kept = new Map<string, Kept>();
  spaces = new Set<string>();

  clone(): MemoryStore {
    const copy = new MemoryStore();
    copy.roots = new Map(this.roots);
    copy.chunks = new Map(this.chunks);
    copy.barriers = new Map(this.barriers);
    copy.tallies = new Map(this.tallies);
    copy.kept = new Map(this.kept);
    copy.spaces = new Set(this.spaces);
    return copy;
  }

  /** All that is stored, as text that is the same for equal stores, whatever was written in which order. */
  snapshot(): string {
    const { roots, chunks, barriers, tallies, kept, spaces } = this;
    const parts = [roots, chunks, barriers, tallies, kept].map(
      (part) =>
        `{${[...part]
          .map(([path, value]) => `${path}=${canonical(value)}`)
          .sort()
          .join()}}`,
    );
    return [...parts, [...spaces].sort().join()].join("\n");
  }

  async readRoot(space: Space): Promise<Root | undefined> {
    return this.roots.get(space.text);
  }

  async commitRoot(space: Space, conditions: RootConditions, changes: RootChanges): Promise<RootResult> {
    const root = this.roots.get(space.text);
    const { startEpoch } = changes;
    if ((root === undefined && startEpoch === undefined) || !rootAllows(root, conditions))
      return { committed: false, root };
    const next = changeRoot(root, changes);
    this.roots.set(space.text, next);
    return { committed: true, root: next };
  }

  async readChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<(Chunk | undefined)[]> {
    return pointers.map((pointer) => this.chunks.get(`${space.text} ${pointer.name}`));
  }

  async putChunks(space: Space, chunks: readonly { pointer: ChunkPointer; chunk: Chunk }[]): Promise<void> {
    for (const { pointer, chunk } of chunks) this.chunks.set(`${space.text} ${pointer.name}`, frozen(chunk));
  }

  /** Expires at once: the worst that a TTL can do. What the root points to stays, as in the table. */
  async expireChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<void> {
    const inUse = new Set(this.roots.get(space.text)?.pointers.map((pointer) => pointer.name));
    for (const { name } of pointers) if (!inUse.has(name)) this.chunks.delete(`${space.text} ${name}`);
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
    const next = changeBarrier(item, changes);
    this.barriers.set(path, next);
    return { done: true, item: next };
  }

  async readHistory(
    space: Space,
    epoch: bigint,
    limit: number,
  ): Promise<{ key: string; item: BarrierItem }[]> {
    const prefix = barrierPath({ space, epoch, key: "" });
    return [...this.barriers]
      .filter(([path]) => path.startsWith(prefix))
      .map(([path, item]) => ({ key: path.slice(prefix.length), item }))
      .sort((a, b) => (a.key < b.key ? 1 : -1))
      .slice(0, limit);
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
    this.kept.set(`${space.text} ${kept.id}`, frozen(kept));
  }

  async readKept(space: Space): Promise<Kept[]> {
    const found = [...this.kept].filter(([path]) => path.startsWith(`${space.text} `));
    return found.map(([, kept]) => kept).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async dropKept(space: Space, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.kept.delete(`${space.text} ${id}`);
  }

  async registerSpace(space: Space): Promise<void> {
    this.spaces.add(space.text);
  }

  async listSpaces(): Promise<Space[]> {
    return [...this.spaces].sort().map(parseSpace);
  }
}

function barrierPath({ space, epoch, key }: BarrierName): string {
  return `${space.text} ${epoch} ${key}`;
}

function rootAllows(root: Root | undefined, conditions: RootConditions): boolean {
  const { sameEpoch, epochIsNew, sameRoster, sameStep, notOpenYet, nothingClosedSince, samePending } =
    conditions;
  const { aboveClosed, notGrantedYet } = conditions;
  if (sameEpoch !== undefined && root?.epoch !== sameEpoch) return false;
  if (epochIsNew !== undefined && root !== undefined && root.epoch >= epochIsNew) return false;
  if (sameRoster !== undefined && root?.rosterVersion !== sameRoster) return false;
  if (sameStep !== undefined) {
    const step = root?.steps.get(sameStep.key);
    if (step?.phase !== sameStep.phase || step.grants.length !== sameStep.grants) return false;
  }
  if (notOpenYet !== undefined && root?.steps.has(notOpenYet)) return false;
  if (nothingClosedSince !== undefined && root?.closedCount !== nothingClosedSince) return false;
  if (aboveClosed !== undefined && !(root?.closedUpTo !== undefined && root.closedUpTo < aboveClosed))
    return false;
  if (notGrantedYet !== undefined) {
    const step = root?.steps.get(notGrantedYet);
    if (step !== undefined && (step.phase !== "waiting" || step.grants.length > 0)) return false;
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
      : { ...EMPTY_ROOT, ...changes.roster!, epoch: changes.startEpoch };
  const steps = new Map<string, Step>(base.steps);
  if (changes.step) steps.set(changes.step.key, frozen(changes.step.step));
  if (changes.open && !steps.has(changes.open.key)) steps.set(changes.open.key, frozen(changes.open.step));
  if (changes.remove !== undefined) steps.delete(changes.remove);
  const pending = new Set(base.pending);
  if (changes.addPending !== undefined) pending.add(changes.addPending);
  if (changes.removePending !== undefined) pending.delete(changes.removePending);
  return frozen({
    epoch: base.epoch,
    rosterVersion: changes.roster?.version ?? base.rosterVersion,
    meta: changes.roster?.meta ?? base.meta,
    pointers: changes.roster?.pointers ?? base.pointers,
    closedCount: base.closedCount + (changes.countClosed ? 1 : 0),
    closedUpTo: changes.closedUpTo ?? base.closedUpTo,
    pending: [...pending].sort(),
    steps: new Map([...steps].sort(([a], [b]) => (a < b ? -1 : 1))),
  });
}

const EMPTY_ROOT = {
  rosterVersion: 0,
  closedCount: 0,
  closedUpTo: NOTHING_CLOSED,
  pending: [],
  steps: new Map<string, Step>(),
};

function changeBarrier(item: BarrierItem | undefined, changes: BarrierChanges): BarrierItem {
  return frozen({
    event: item?.event.length ? item.event : Uint8Array.from(changes.create?.event ?? []),
    routes: item?.routes.length ? item.routes : Uint8Array.from(changes.routes ?? []),
    openedAt: item?.openedAt || (changes.create?.openedAt ?? 0),
    stamp: Math.max(item?.stamp ?? 0, changes.stamp ?? 0),
    waiting: new Set([...(item?.waiting ?? []), ...(changes.addWaiting ?? [])]),
    passed: new Set([...(item?.passed ?? []), ...(changes.addPassed ?? [])]),
    sentAt: changes.sentAt ?? item?.sentAt ?? 0,
    unreachable: new Set([...(item?.unreachable ?? []), ...(changes.addUnreachable ?? [])]),
    tombstone: changes.tombstone ?? item?.tombstone,
  });
}
