/**
 * What the maintainer needs from outside: a store and queues. The maintainer itself is a program that asks for these
 * operations and is given their results (program.ts), so that the same code runs on DynamoDB and SQS, on the
 * in-memory store, and under a checker that tries every interleaving.
 */
import type { CompleteMark } from "../../barrier/coverage.ts";
import type { ChunkPosition } from "../../barrier/floor.ts";
import type { Chunk, ChunkPointer, RosterMeta } from "../../barrier/roster.ts";
import type { Phase, Step } from "../../barrier/step.ts";
import type { Encoding } from "../../protocol/codec.ts";
import type { Slice } from "./slice.ts";
import type { Space } from "./space.ts";

/** The one item through which everything exclusive of a space goes (invariants.md S1). */
export interface Root {
  readonly epoch: bigint;
  readonly rosterVersion: number;
  readonly meta: RosterMeta;
  readonly pointers: readonly ChunkPointer[];
  /** How many barriers were closed in this epoch: a sleeper that did not see a closing cannot open (I9). */
  readonly closedCount: number;
  /**
   * The highest key (`keyText`) that was closed in this epoch; `NOTHING_CLOSED` before the first one. undefined: not known,
   * the root was begun by a version that did not write it down.
   */
  readonly closedUpTo: string | undefined;
  /**
   * Every dispatcher is done with everything up to this key (`keyText`): who waits there passes, and nothing there changes the
   * roster (protocol.md M19). It only grows within an epoch. `NOTHING_CLOSED`: not known of any key.
   */
  readonly floor: string;
  /** Items of barriers up to this key have a time to live; it is never above the floor. */
  readonly expiredUpTo: string;
  /** Earlier epochs whose items of barriers are still to be let expire (decisions/0042). */
  readonly former: readonly FormerEpoch[];
  /** When somebody last spoke for the changefeed, in ms since 1970 and to the day (protocol.md R15); 0: not known. */
  readonly heard: number;
  /** Nobody spoke for it for so long that it is not swept. Whoever speaks for it ends that. */
  readonly retired: boolean;
  /** Keys of events that still must change the roster, as `keyText` (protocol.md M9, M10). */
  readonly pending: readonly string[];
  /** Open barriers by `keyText`. */
  readonly steps: ReadonlyMap<string, Step>;
  /** What the item weighs, of the 400 KB that it may; 0 where the store does not weigh (docs/bounds.md). */
  readonly bytes: number;
}

/** An epoch that is over. */
export interface FormerEpoch {
  readonly epoch: bigint;
  /** When it ended, in ms since 1970. */
  readonly endedAt: number;
  /** Items of its barriers up to this key (`keyText`) have a time to live; `NOTHING_CLOSED`: none. */
  readonly upTo: string;
}

/** Below every key. */
export const NOTHING_CLOSED = "-";

/** The clauses of a conditional write of the root. Each name says what it protects. */
export interface RootConditions {
  /** The changefeed was not opened again meanwhile: fences invocations of an earlier life (protocol.md R1). */
  readonly sameEpoch?: bigint;
  /** There is no root yet, or one of a lower epoch: the first of an epoch wins. */
  readonly epochIsNew?: bigint;
  /** The roster that was judged is still the roster: nobody wins on a stale one (invariants.md I1). */
  readonly sameRoster?: number;
  /** The barrier has not moved: a step has one winner (invariants.md I2). */
  readonly sameStep?: { readonly key: string; readonly phase: Phase; readonly grants: number };
  /** The barrier is not open: an event that changes the roster is put in line once. */
  readonly notOpenYet?: string;
  /** Nothing was closed since the root was read: what is closed is not opened again (invariants.md I9). */
  readonly nothingClosedSince?: number;
  /** The key is above every one that was closed, so it was not closed itself (invariants.md I9). */
  readonly aboveClosed?: string;
  /** The key is above the floor: what everybody has behind it is not opened again (invariants.md I9). */
  readonly aboveFloor?: string;
  /** These barriers are open and no others: the floor does not rise over one that is opened meanwhile (invariants.md I9). */
  readonly sameOpen?: readonly string[];
  /** The barrier is not open, or is and waits without a grant: Write is granted once (invariants.md I2). */
  readonly notGrantedYet?: string;
  /** Nobody spoke for the changefeed since this: it is not retired beside who does (protocol.md R15). */
  readonly sameHeard?: number;
  /** No event came or went that still must change the roster (protocol.md M9, M10). */
  readonly samePending?: readonly string[];
}

export interface RootChanges {
  /** Starts an epoch with an empty root; the other changes apply to it. What is retired stays so. */
  readonly startEpoch?: bigint;
  readonly roster?: {
    readonly version: number;
    readonly meta: RosterMeta;
    readonly pointers: readonly ChunkPointer[];
  };
  readonly step?: { readonly key: string; readonly step: Step };
  /** Opens a barrier, unless it is open: two who open the same one at a time both succeed. */
  readonly open?: { readonly key: string; readonly step: Step };
  readonly addPending?: string;
  readonly removePending?: string;
  readonly countClosed?: boolean;
  /** The key that is closed is the highest one so far. */
  readonly closedUpTo?: string;
  /** Raises the floor. */
  readonly floor?: { readonly key: string; readonly expiredUpTo: string };
  /** In place of those that are there. */
  readonly former?: readonly FormerEpoch[];
  readonly heard?: number;
  readonly retired?: boolean;
  /** The barrier has its tombstone and leaves the root. */
  readonly remove?: string;
}

/** The root after the write, or, if a clause failed, as it is (undefined: there is none). */
export type RootResult =
  | { readonly committed: true; readonly root: Root }
  | { readonly committed: false; readonly root: Root | undefined };

/** What is known of a barrier beside its step: what it is about, and who reported. Kept as its tombstone. */
export interface BarrierItem {
  readonly event: Uint8Array;
  /** `routeBytes` of the table trigger's report; empty: none. */
  readonly routes: Uint8Array;
  readonly openedAt: number;
  /** Roster versions that it was stamped with (invariants.md S5). */
  readonly stamp: number;
  readonly waiting: ReadonlySet<CompleteMark>;
  readonly passed: ReadonlySet<CompleteMark>;
  /** When the outstanding action was sent last, in ms since 1970; 0: with its phase. */
  readonly sentAt: number;
  /** Queues that do not exist any more (protocol.md R9b). */
  readonly unreachable: ReadonlySet<string>;
  readonly tombstone: Tombstone | undefined;
  /** What the item weighs, of the 400 KB that it may; 0 where the store does not weigh (docs/bounds.md). */
  readonly bytes: number;
}

/** What stays of a closed barrier, at least until the floor has passed it; and then for a while, as history. */
export interface Tombstone {
  readonly closedAt: number;
  /** The roster version on which everybody was done; 0: not known. */
  readonly closedOn: number;
  readonly grantedAt: number;
  readonly writtenAt: number;
  readonly writer: string;
  readonly lives: number;
}

export interface BarrierConditions {
  /** The barrier is not closed: no write brings a closed one back (invariants.md I9). */
  readonly notClosed?: true;
  /** The barrier is about this event (`eventBytes`), or is not there yet: marks are made for one event (protocol.md M3). */
  readonly sameEvent?: Uint8Array;
  /** Nobody repeated the outstanding action since: a repeat has one winner (invariants.md Q4). */
  readonly notSentSince?: number;
  /** It names fewer queues that are gone than this (docs/bounds.md). */
  readonly fewerUnreachable?: number;
}

export interface BarrierChanges {
  /** Written only where the item has none: the first report stands (protocol.md M3). */
  readonly create?: { readonly event: Uint8Array; readonly openedAt: number };
  /** Written only where the item has none: the table trigger's first report of them stands. */
  readonly routes?: Uint8Array;
  readonly stamp?: number;
  readonly addWaiting?: readonly CompleteMark[];
  readonly addPassed?: readonly CompleteMark[];
  /** Takes marks out that later ones say as well. In a write without `addWaiting` and `addPassed`. */
  readonly dropWaiting?: readonly CompleteMark[];
  readonly dropPassed?: readonly CompleteMark[];
  readonly addUnreachable?: readonly string[];
  readonly sentAt?: number;
  readonly tombstone?: Tombstone;
}

/** The item after the write, or, if a clause failed, as it is. */
export type BarrierResult =
  | { readonly done: true; readonly item: BarrierItem }
  | { readonly done: false; readonly item: BarrierItem | undefined };

/** Which reports a tally or a mark counts: WAITING, or the DONE of Pass. */
export type Count = "waiting" | "passed";

/** Names one barrier. */
export interface BarrierName {
  readonly space: Space;
  readonly epoch: bigint;
  /** `keyText`. */
  readonly key: string;
}

export interface Tally {
  readonly chunk: number;
  readonly reported: ReadonlySet<number>;
  readonly stamp: number;
}

/** A message that names lives which are not known yet (protocol.md R6). */
export interface Kept {
  /** The same for the same content of the same node, so that a repeat takes no second place. */
  readonly id: string;
  readonly type: "BlockStatusRequest" | "HeartBeatRequest";
  /** Base64 protobuf. */
  readonly body: string;
  readonly node: string;
  readonly start: bigint;
  readonly principal: string;
  readonly sentAt: number;
}

/** A message to an action queue. */
export interface ActionMessage {
  readonly queue: string;
  readonly type: "HeartBeatResponse" | "ScheduleDispatcherRequest" | "RegistrationResult";
  readonly encoding: Encoding;
  readonly body: string;
  /** The barriers (`keyText`) that it carries actions of. */
  readonly about: readonly string[];
}

/** What became of an action: in its queue, or its queue is gone for good, or it may work later. */
export type SendResult = "sent" | "no-such-queue" | "failed";

/** A message as it came, with why it is not understood. */
export interface DeadLetter {
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly reason: string;
}

/** Keys (`keyText`) above one and up to another. */
export interface KeyRange {
  readonly above: string;
  readonly upTo: string;
  /** The lowest come first. */
  readonly oldestFirst?: true;
}

/** What the sweeper goes by. */
export interface Registry {
  /** In an order that stays. */
  readonly entries: readonly { readonly space: Space; readonly token: string; readonly retired: boolean }[];
  /** Text of the space where the sweep begins; empty: at the first. It may not be there any more. */
  readonly from: string;
}

/** The operations, each atomic. All reads are consistent. Each may throw: then it is unknown whether it took effect. */
export interface Port {
  readRoot(space: Space): Promise<Root | undefined>;
  commitRoot(space: Space, conditions: RootConditions, changes: RootChanges): Promise<RootResult>;
  /** Chunks in the order of the pointers; undefined for one that is gone: the root has moved on. */
  readChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<(Chunk | undefined)[]>;
  /** Writes chunks under their names, before the root points to them. */
  putChunks(space: Space, chunks: readonly { pointer: ChunkPointer; chunk: Chunk }[]): Promise<void>;
  /** Lets stored chunk versions expire that no root points to any more. */
  expireChunks(space: Space, pointers: readonly ChunkPointer[]): Promise<void>;
  /** Stored chunk versions that do not expire yet, whether a root points to them or not, of all epochs. */
  listChunks(space: Space): Promise<ChunkPointer[]>;
  readBarrier(name: BarrierName): Promise<BarrierItem | undefined>;
  touchBarrier(
    name: BarrierName,
    conditions: BarrierConditions,
    changes: BarrierChanges,
  ): Promise<BarrierResult>;
  /** Open and closed barriers of an epoch, the newest first, as many as `limit`. */
  readHistory(
    space: Space,
    epoch: bigint,
    limit: number,
    range?: KeyRange,
  ): Promise<{ readonly key: string; readonly item: BarrierItem }[]>;
  /** Lets items of barriers expire: the floor has passed them, so nothing depends on them any more. */
  expireBarriers(space: Space, epoch: bigint, keys: readonly string[]): Promise<void>;
  /** Notes how far chunks are at least; of two of the same chunk and `start` the last one stays. */
  notePositions(space: Space, epoch: bigint, positions: readonly ChunkPosition[]): Promise<void>;
  /** What is noted of an epoch. It may be gone any time: then less is known. */
  readPositions(space: Space, epoch: bigint): Promise<ChunkPosition[]>;
  /** Adds to the set of lives that reported, and gives the whole set (invariants.md S3). */
  touchTally(
    name: BarrierName,
    count: Count,
    chunk: number,
    changes: { readonly add?: readonly number[]; readonly stamp?: number },
  ): Promise<Tally>;
  readTallies(name: BarrierName, count: Count): Promise<Tally[]>;
  keep(space: Space, kept: Kept): Promise<void>;
  readKept(space: Space): Promise<Kept[]>;
  dropKept(space: Space, ids: readonly string[]): Promise<void>;
  /** Makes a space known to the sweeper, as one that is swept. @param token another one each time: see `retireSpace` */
  registerSpace(space: Space, token: string): Promise<void>;
  /** All of them, those that are retired too. */
  listSpaces(): Promise<Space[]>;
  readRegistry(): Promise<Registry>;
  /** A space is not swept any more, unless it was made known again since its entry was read (its `token`). */
  retireSpace(space: Space, token: string): Promise<void>;
  /** Says where the next sweep begins, for one did not get through. @param space its text */
  nextSweepFrom(space: string): Promise<void>;
  /** One result for each message, in order. */
  send(messages: readonly ActionMessage[]): Promise<SendResult[]>;
  /** Puts work that is left over into the status queue, for other invocations. All of it is there, or this throws. */
  handOver(slices: readonly Slice[]): Promise<void>;
  deadLetter(letter: DeadLetter): Promise<void>;
  /** Waits before attempt `attempt` (1, 2, ...) of a write that lost a race. */
  pause(attempt: number): Promise<void>;
}
