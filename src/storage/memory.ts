import type { Chunk, ChunkPointer } from "../barrier/roster.ts";
import type { Step } from "../barrier/step.ts";
import type {
  BarrierChanges,
  BarrierConditions,
  BarrierItem,
  BarrierName,
  BarrierResult,
  Count,
  Kept,
  Port,
  Root,
  RootChanges,
  RootConditions,
  RootResult,
  Tally,
} from "../maintainer/port.ts";
import type { Space } from "../maintainer/space.ts";
import { parseSpace } from "../maintainer/space.ts";

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
 * item as it is, sets are united. Values are never changed in place, so that a result that was given out stays as it
 * was, and a copy of the store is a copy of its maps.
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

  async readRoot(space: Space): Promise<Root | undefined> {
    return this.roots.get(space.text);
  }

  async commitRoot(space: Space, conditions: RootConditions, changes: RootChanges): Promise<RootResult> {
    const root = this.roots.get(space.text);
    if (!rootAllows(root, conditions)) return { committed: false, root };
    const next = changeRoot(root, changes);
    this.roots.set(space.text, next);
    return { committed: true, root: next };
  }

  async readChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<(Chunk | undefined)[]> {
    return pointers.map((pointer) => this.chunks.get(`${space.text} ${pointer.name}`));
  }

  async putChunks(space: Space, chunks: readonly { pointer: ChunkPointer; chunk: Chunk }[]): Promise<void> {
    for (const { pointer, chunk } of chunks) this.chunks.set(`${space.text} ${pointer.name}`, chunk);
  }

  /** Expires at once: the worst that a TTL can do. */
  async expireChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<void> {
    for (const pointer of pointers) this.chunks.delete(`${space.text} ${pointer.name}`);
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
    const { notSentSince } = conditions;
    if (notSentSince !== undefined && item !== undefined && item.sentAt > notSentSince)
      return { done: false, item };
    const next = changeBarrier(item, changes);
    this.barriers.set(path, next);
    return { done: true, item: next };
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
    this.kept.set(`${space.text} ${kept.id}`, kept);
  }

  async readKept(space: Space): Promise<Kept[]> {
    return [...this.kept].filter(([path]) => path.startsWith(`${space.text} `)).map(([, kept]) => kept);
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
  if (sameEpoch !== undefined && root?.epoch !== sameEpoch) return false;
  if (epochIsNew !== undefined && root !== undefined && root.epoch >= epochIsNew) return false;
  if (sameRoster !== undefined && root?.rosterVersion !== sameRoster) return false;
  if (sameStep !== undefined) {
    const step = root?.steps.get(sameStep.key);
    if (step?.phase !== sameStep.phase || step.grants.length !== sameStep.grants) return false;
  }
  if (notOpenYet !== undefined && root?.steps.has(notOpenYet)) return false;
  if (nothingClosedSince !== undefined && root?.closedCount !== nothingClosedSince) return false;
  if (samePending !== undefined) {
    const present = new Set(root?.pending);
    if (present.size !== samePending.length || samePending.some((key) => !present.has(key))) return false;
  }
  return true;
}

function changeRoot(root: Root | undefined, changes: RootChanges): Root {
  const base: Root | undefined =
    changes.startEpoch !== undefined
      ? {
          epoch: changes.startEpoch,
          rosterVersion: 0,
          meta: changes.roster!.meta,
          pointers: [],
          closedCount: 0,
          pending: [],
          steps: new Map(),
        }
      : root;
  if (base === undefined) throw new Error("a root without startEpoch: there is none to change");
  const steps = new Map<string, Step>(base.steps);
  if (changes.step) steps.set(changes.step.key, changes.step.step);
  if (changes.open && !steps.has(changes.open.key)) steps.set(changes.open.key, changes.open.step);
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
    pending: [...pending].sort(),
    steps,
  };
}

function changeBarrier(item: BarrierItem | undefined, changes: BarrierChanges): BarrierItem {
  return {
    event: item?.event.length ? item.event : (changes.create?.event ?? new Uint8Array()),
    openedAt: item?.openedAt || (changes.create?.openedAt ?? 0),
    stamp: Math.max(item?.stamp ?? 0, changes.stamp ?? 0),
    waiting: new Set([...(item?.waiting ?? []), ...(changes.addWaiting ?? [])]),
    passed: new Set([...(item?.passed ?? []), ...(changes.addPassed ?? [])]),
    sentAt: changes.sentAt ?? item?.sentAt ?? 0,
    unreachable: new Set([...(item?.unreachable ?? []), ...(changes.addUnreachable ?? [])]),
    tombstone: changes.tombstone ?? item?.tombstone,
  };
}
