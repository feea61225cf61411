import { chunkName } from "../../barrier/chunk-name.ts";
import type { CompleteMark } from "../../barrier/coverage.ts";
import { type BlockEvent, eventFromBytes } from "../../barrier/event.ts";
import { highestOf, highestPlausible } from "../../barrier/plausible.ts";
import type { Chunk, Place } from "../../barrier/roster.ts";
import { Roster } from "../../barrier/roster.ts";
import { type RouteChange, routesFromBytes } from "../../barrier/routes.ts";
import type { Step } from "../../barrier/step.ts";
import { WeirError } from "../../error/weir-error.ts";
import { parseKeyText } from "../../protocol/event-key.ts";
import { COLLECT_EVERY, ITEM_BYTES } from "../base/bounds.ts";
import type { Observer } from "../base/observe.ts";
import {
  type BarrierItem,
  type BarrierName,
  type BarrierResult,
  type Count,
  NOTHING_CLOSED,
  type Root,
  type Tally,
} from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import type { Space } from "../base/space.ts";
import { Agenda } from "./agenda.ts";
import { MAX_ATTEMPTS } from "./contention.ts";
import type { Outbox } from "./outbox.ts";

export interface Settings {
  readonly actionQueuePrefix: string;
  /** How long a root that was read stands for the present one, in ms; writes are conditional in any case. */
  readonly rootMaxAge: number;
  /** Messages that one invocation sends; of more it hands over what others can send as well (protocol.md M22). */
  readonly sendsAtOnce: number;
  /** After this many ms without an answer an action is due to be sent again (invariants.md Q4). */
  readonly repeatAfter: number;
  /** Name of the one queue that gets all `ScheduleDispatcherRequest`; absent: each node's own (protocol.md M10). */
  readonly schedulerQueue?: string;
  /** Principals that may bring a dead letter back in the name of its sender (decisions/0016). */
  readonly redrivers?: readonly string[];
  /** How long a node that started again has to bring back its dispatchers before others are asked to, in ms. */
  readonly recreateAfter: number;
  /** How often it is noted how far the dispatchers of a chunk are, in ms (protocol.md M19). */
  readonly positionsEvery: number;
  /** How long a node that is asked for a dispatcher has to register it before another is asked, in ms. */
  readonly reassignAfter: number;
  /** How long ended lives and dropped tables are remembered, in ms: longer than a queue keeps a message. */
  readonly rememberFor: number;
  /** After this many ms in which nobody spoke for a changefeed it is not swept any more; 0: it always is (protocol.md R15). */
  readonly retireAfter: number;
  /**
   * Minutes from one collection of chunk versions that nobody points to, of a changefeed, to the next (decisions/0044). A prime, so that
   * sweeps at any interval come to all changefeeds.
   */
  readonly collectEvery: number;
  /** Bytes that an item of the table may have: DynamoDB's limit, less where bounds are to be met (docs/bounds.md). */
  readonly itemBytes: number;
}

export const DEFAULT_SETTINGS: Omit<Settings, "actionQueuePrefix"> = {
  rootMaxAge: 2_000,
  repeatAfter: 3_000,
  sendsAtOnce: 400,
  recreateAfter: 60_000,
  positionsEvery: 5 * 60_000,
  reassignAfter: 180_000,
  rememberFor: 15 * 24 * 3600 * 1000,
  retireAfter: 30 * 24 * 3600 * 1000,
  collectEvery: COLLECT_EVERY,
  itemBytes: ITEM_BYTES,
};

/** What is known to be recorded of one barrier. Sets only grow, so knowing less costs a write and never an answer. */
export interface BarrierMemory {
  event: BlockEvent | undefined;
  routes: readonly RouteChange[] | undefined;
  readonly waiting: Recorded;
  readonly passed: Recorded;
  sentAt: number;
}

export interface Recorded {
  marks: Set<CompleteMark>;
  readonly tallies: Map<number, Set<number>>;
}

/** What was told to a barrier before the root was read. */
export interface Ahead {
  /** How many barriers were closed when the root was read that was remembered then. */
  readonly closedCount: number;
  /** What its item answered, if that was written. */
  touched: BarrierResult | undefined;
}

/** What an execution environment remembers of a space from one invocation to the next. */
export interface SpaceMemory {
  root: Root | undefined;
  readAt: number;
  roster: Roster | undefined;
  rosterEpoch: bigint;
  readonly chunks: Map<string, Chunk>;
  readonly barriers: Map<string, BarrierMemory>;
  /** When the position of a chunk was noted last, in ms since 1970, and in which version of it. */
  readonly positionsAt: Map<number, { readonly version: number; readonly at: number }>;
  /** What was known when the floor could not be raised, so that it is not tried again before more is. */
  floorTried: { readonly closedCount: number; readonly at: number } | undefined;
}

export function emptyMemory(): SpaceMemory {
  return {
    root: undefined,
    readAt: 0,
    roster: undefined,
    rosterEpoch: 0n,
    chunks: new Map(),
    barriers: new Map(),
    positionsAt: new Map(),
    floorTried: undefined,
  };
}

/** The changefeed was opened again while an invocation was at work: it starts over on the new epoch. */
export class EpochChanged extends WeirError {
  override readonly name = "EpochChanged";

  constructor(message: string) {
    super("epoch-over", message);
  }
}

/** The highest commitTs of any key that a changefeed has met; 0: none. */
export function highestMet(root: Root | undefined): bigint {
  if (root === undefined) return 0n;
  const { closedUpTo = NOTHING_CLOSED, floor, steps } = root;
  const keys = [...steps.keys(), closedUpTo, floor].filter((key) => key !== NOTHING_CLOSED);
  return highestOf(keys.map(parseKeyText));
}

/** Events that still have to change the roster and that others wait for, in their order. */
export function pendingChanges(root: Root): string[] {
  return root.pending.filter((key) => root.steps.get(key)?.conflict === undefined);
}

/** One invocation's work on one space: the root and roster as it knows them, and what it has to tell. */
export class Session {
  readonly space: Space;
  readonly now: number;
  /** Makes names of chunk versions unique to this attempt. */
  readonly #nonce: string;
  #names = 0;
  readonly memory: SpaceMemory;
  readonly outbox: Outbox;
  readonly settings: Settings;
  readonly observer: Observer;
  /** What is to be looked at next. */
  readonly agenda = new Agenda();
  /** Ids of what was kept and is dealt with, but for what it has to tell. */
  readonly settledKept = new Set<string>();
  /** Queues of nodes that do not exist any more, met while dispatchers were asked for. */
  readonly goneQueues = new Set<string>();
  /** Ids of what was kept in this session. */
  readonly keptNow = new Set<string>();
  /** The barriers that were told of WAITING reports before the root was read, by key. */
  readonly ahead = new Map<string, Ahead>();
  readonly #stop: Pick<AbortSignal, "aborted"> | undefined;
  #root: Root | undefined;
  #fresh = false;

  constructor(from: {
    space: Space;
    now: number;
    nonce: string;
    memory: SpaceMemory;
    outbox: Outbox;
    settings: Settings;
    observer: Observer;
    stop: Pick<AbortSignal, "aborted"> | undefined;
  }) {
    this.space = from.space;
    this.now = from.now;
    this.#nonce = from.nonce;
    this.memory = from.memory;
    this.outbox = from.outbox;
    this.settings = from.settings;
    this.observer = from.observer;
    this.#stop = from.stop;
  }

  /** Whether what can wait is to be left to others. */
  get stopped(): boolean {
    return this.#stop?.aborted === true;
  }

  /** A name for a chunk version that no other attempt ever uses. @param epoch the one of the root that is to point to it */
  chunkName(epoch: bigint): string {
    return chunkName(epoch, this.token());
  }

  get root(): Root | undefined {
    return this.#root;
  }

  /** Whether the root was read or written in this invocation. */
  get fresh(): boolean {
    return this.#fresh;
  }

  /** The root as last seen by this environment if that was a moment ago, else as it is. */
  *recentRoot(): Program<Root | undefined> {
    return this.rememberedRoot() ?? (yield* this.refresh());
  }

  /** The root as last seen by this environment, if that was a moment ago. */
  rememberedRoot(): Root | undefined {
    const { root, readAt } = this.memory;
    const age = this.now - readAt;
    if (root === undefined || age < 0 || age > this.settings.rootMaxAge) return undefined;
    this.#root = root;
    return root;
  }

  /** Takes up the root as last seen by this environment, however long ago, if its roster is in memory too. */
  recall(): boolean {
    const { root, roster, rosterEpoch } = this.memory;
    if (root === undefined || roster?.version !== root.rosterVersion || rosterEpoch !== root.epoch)
      return false;
    this.#root = root;
    return true;
  }

  /** The root as it is now. */
  *refresh(): Program<Root | undefined> {
    const root = yield* ask("readRoot", this.space);
    this.adopt(root);
    return root;
  }

  /**
   * Takes over a root that a read or a write gave back.
   * @throws EpochChanged if it belongs to another epoch than this session has worked on
   */
  adopt(root: Root | undefined): void {
    const before = this.#root;
    // What is remembered may be of an epoch that ended long before this session began.
    const ended = this.memory.root !== undefined && this.memory.root.epoch !== root?.epoch;
    if (ended) this.memory.barriers.clear();
    this.#root = root;
    this.#fresh = true;
    this.memory.root = root;
    this.memory.readAt = this.now;
    const open = root?.steps;
    for (const key of this.memory.barriers.keys()) if (!open?.has(key)) this.memory.barriers.delete(key);
    if (before !== undefined && root !== undefined && before.epoch !== root.epoch)
      throw new EpochChanged(`epoch ${before.epoch} of ${this.space.text} ended`);
  }

  /** A word that no other attempt ever uses. */
  token(): string {
    return `${this.#nonce}.${this.#names++}`;
  }

  /** Forgets the root: the next one may be of any epoch, for it was this session that started a new one. */
  forgetRoot(): void {
    this.#root = undefined;
    this.memory.barriers.clear();
  }

  /** The roster of the present root, read as far as it is not in memory. */
  *roster(): Program<Roster> {
    for (let attempt = 1; ; attempt++) {
      const root = this.#root;
      if (root === undefined) throw new WeirError("state-missing", `${this.space.text} has no root`);
      const { memory } = this;
      if (memory.roster?.version === root.rosterVersion && memory.rosterEpoch === root.epoch) {
        this.outbox.under(memory.roster, root.epoch);
        return memory.roster;
      }
      const missing = root.pointers.filter((pointer) => !memory.chunks.has(pointer.name));
      const read = missing.length > 0 ? yield* ask("readChunks", this.space, missing) : [];
      if (read.every((chunk) => chunk !== undefined)) {
        for (const [index, pointer] of missing.entries()) memory.chunks.set(pointer.name, read[index]!);
        return this.#useRoster(root);
      }
      // A chunk expires only after the root has moved on: what was read is older than that.
      if (attempt >= MAX_ATTEMPTS)
        throw new WeirError("state-missing", `${this.space.text}: a roster chunk is missing`);
      yield* this.refresh();
    }
  }

  #useRoster(root: Root): Roster {
    const { memory } = this;
    const names = new Set(root.pointers.map((pointer) => pointer.name));
    for (const name of memory.chunks.keys()) if (!names.has(name)) memory.chunks.delete(name);
    const chunks = root.pointers.map((pointer) => memory.chunks.get(pointer.name)!);
    const ids = new Set(root.pointers.map((pointer) => pointer.id));
    for (const id of memory.positionsAt.keys()) if (!ids.has(id)) memory.positionsAt.delete(id);
    memory.roster = new Roster(root.rosterVersion, root.meta, chunks);
    memory.rosterEpoch = root.epoch;
    this.outbox.under(memory.roster, root.epoch);
    return memory.roster;
  }

  /** Names the changefeed, or a barrier of it, in errors. */
  where(key?: string): () => string {
    return () => (key === undefined ? this.space.text : `barrier ${key} of ${this.space.text}`);
  }

  name(key: string): BarrierName {
    return { space: this.space, epoch: this.#root!.epoch, key };
  }

  step(key: string): Step | undefined {
    return this.#root?.steps.get(key);
  }

  barrier(key: string): BarrierMemory {
    let memory = this.memory.barriers.get(key);
    if (memory === undefined) {
      const recorded = () => ({ marks: new Set<CompleteMark>(), tallies: new Map<number, Set<number>>() });
      memory = { event: undefined, routes: undefined, waiting: recorded(), passed: recorded(), sentAt: 0 };
      this.memory.barriers.set(key, memory);
    }
    return memory;
  }

  learnItem(key: string, item: BarrierItem): void {
    const memory = this.barrier(key);
    memory.event ??= eventFromBytes(item.event);
    if (item.routes.length > 0) memory.routes ??= routesFromBytes(item.routes);
    for (const mark of item.waiting) memory.waiting.marks.add(mark);
    for (const mark of item.passed) memory.passed.marks.add(mark);
    memory.sentAt = Math.max(memory.sentAt, item.sentAt);
  }

  learnTally(key: string, count: Count, tally: Tally): void {
    const { tallies } = this.barrier(key)[count];
    const known = tallies.get(tally.chunk) ?? new Set<number>();
    for (const slot of tally.reported) known.add(slot);
    tallies.set(tally.chunk, known);
  }

  /** What an open barrier is about. */
  *event(key: string): Program<BlockEvent> {
    const memory = this.barrier(key);
    if (memory.event === undefined) {
      const inline = this.step(key)?.event;
      if (inline !== undefined) memory.event = eventFromBytes(inline);
      else {
        const item = yield* ask("readBarrier", this.name(key));
        if (item === undefined) throw new WeirError("state-missing", `${this.where(key)()} has no item`);
        this.learnItem(key, item);
      }
    }
    return memory.event!;
  }

  /** The route changes that an open barrier brings. */
  *routes(key: string): Program<readonly RouteChange[]> {
    if (this.step(key)?.routes !== true) return [];
    const memory = this.barrier(key);
    if (memory.routes === undefined) {
      const item = yield* ask("readBarrier", this.name(key));
      if (item === undefined) throw new WeirError("state-missing", `${this.where(key)()} has no item`);
      this.learnItem(key, item);
    }
    return memory.routes ?? [];
  }

  /**
   * An earlier event that still has to change the roster (protocol.md M9, M10). One whose routes are in conflict is none: it
   * stands still, its dispatchers with it, and nobody else waits for that.
   */
  earlierChange(key: string): string | undefined {
    return this.#root && pendingChanges(this.#root).find((other) => other < key);
  }

  /** The highest commitTs that is taken for one of this changefeed's. */
  get highestPlausible(): bigint {
    return highestPlausible(highestMet(this.#root), this.now);
  }

  /** Where lives stand in the present roster; those that are no longer current are left out. */
  *placesNow(places: readonly Place[]): Program<readonly Place[]> {
    const roster = yield* this.roster();
    // Chunks never change: who stands in one of the present roster stands there still.
    if (places.every(({ chunk }) => roster.chunks.get(chunk.id) === chunk)) return places;
    const now: Place[] = [];
    for (const { life } of places) {
      const place = roster.find(life.id);
      if (place?.life.life === life.life) now.push(place);
    }
    return now;
  }
}
