import { ComponentState } from "../protocol/messages.ts";
import type { KeyRange } from "../protocol/span.ts";
import type { DispatcherKey } from "./dispatcher-id.ts";
import { TRIGGER_TABLE } from "./event.ts";
import type { Forgotten } from "./forgotten.ts";
import { type Route, type Routes, sourceName, targetName } from "./routes.ts";
import { tiles } from "./tiling.ts";

/**
 * One existence of a dispatcher on one node (protocol.md R4). It stays in the chunk in which it was registered, under
 * a slot that no other life of that chunk ever had: the slot alone names it in a tally.
 */
export interface Life extends KeyRange {
  readonly slot: number;
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly node: string;
  /** Name of the queue that gets its actions. */
  readonly queue: string;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  readonly state: ComponentState;
  /** When the status that says so was sent, in ms since 1970: an older one that comes later changes nothing. */
  readonly stateAt: number;
  /** A commitTs: for keys at or below it this life is done and need not report (protocol.md R10). */
  readonly since: bigint;
  /** commitTs of the rename that brought its table into the schema; 0 if it was always there (protocol.md R10). */
  readonly schemaSince: bigint;
  /** Roster version in which this life first stood. */
  readonly addedAt: number;
  /** Roster version in which its schema last changed; `addedAt` if never. */
  readonly schemaAt: number;
}

/** A life that is over and that no newer one replaced: remembered so that a late copy revives nobody (R5). */
export interface EndedLife {
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly node: string;
  readonly queue: string;
  /** Milliseconds since 1970, by the coordinator's clock. */
  readonly endedAt: number;
  /** It did not end on purpose: its node started again without it, or was evicted. */
  readonly lost?: LostLife;
  /** An event has dropped its table: its dispatcher is to be removed, and is told so as long as it goes on (protocol.md R18). */
  readonly dropped?: OfTable;
}

/** The table that a dispatcher carried, with its schema. */
export interface OfTable {
  readonly tableId: bigint;
  readonly schemaId: bigint;
}

/** A life whose dispatcher has to be created again, if nobody has taken its span over. */
export interface LostLife {
  readonly was: Life;
  /** The roster version in which it did not stand any more. */
  readonly endedOn: number;
  /** Who was told to create it, and from where (ticdc.md TM59); asking again says the same. */
  readonly given?: Restart & Assignment;
}

/** A dispatcher that a node is asked to create. */
export interface Assignment {
  readonly node: string;
  /**
   * The life that the dispatcher is registered with: below that of the next who is asked, so that of two who obey only the
   * later one is accepted (protocol.md R11). 0: a version that named none has asked.
   */
  readonly life: bigint;
  /** Milliseconds since 1970, by the coordinator's clock: how long one waits before another is asked. */
  readonly at: number;
}

/** Where a dispatcher that is created again starts. */
export interface Restart {
  /** Everything up to this commitTs is behind it; the syncpoint at it is not. */
  readonly startTs: bigint;
  /** It takes the DDL at startTs + 1 again, and not the rows of that commitTs, which are in the sink. */
  readonly skipDMLAsStartTs: boolean;
}

export interface DispatcherChunk {
  readonly kind: "dispatchers";
  readonly id: number;
  /** All its lives are of one node, so that the folded report of a node completes whole chunks. */
  readonly node: string;
  /** The roster version that brought this content. */
  readonly version: number;
  readonly nextSlot: number;
  readonly lives: readonly Life[];
  readonly ended: readonly EndedLife[];
}

/** A table of the changefeed: expected to have dispatchers, whether it has any or not (protocol.md R8). */
export interface TableEntry {
  readonly tableId: bigint;
  readonly schemaId: bigint;
  /** commitTs of the event that added it; 0 if it came with the opening (protocol.md R10). */
  readonly since: bigint;
  /** commitTs of the rename that brought it into its schema; 0 if it was always there (protocol.md R10). */
  readonly schemaSince: bigint;
  /** Who was told to create its dispatcher; absent for tables of the opening. */
  readonly scheduled?: Assignment;
}

export interface DroppedTable {
  readonly tableId: bigint;
  readonly droppedAt: number;
  /** commitTs of the event that dropped it: what is told of again at or below that adds it no more. */
  readonly droppedBy: bigint;
}

export interface TableChunk {
  readonly kind: "tables";
  readonly id: number;
  readonly version: number;
  /** Its tables were named by parts of the opening with this number: they count if that is the one that was completed. */
  readonly opening?: number;
  readonly tables: readonly TableEntry[];
  readonly dropped: readonly DroppedTable[];
}

/** A capture node as its registrations describe it. */
export interface NodeEntry {
  readonly id: string;
  /** Grows with every start of the node; 0 for an old node, which sends none (protocol.md 1.5). */
  readonly start: bigint;
  /** Queue for `ScheduleDispatcherRequest` and for answers that no dispatcher's queue is known for; may be empty. */
  readonly nodeQueue: string;
  readonly encoding: "json" | "protobuf";
  /** Who may speak as this node (protocol.md R7); empty where the queue names no sender. */
  readonly principal: string;
  /** The keyspace of the spans that it registers (`TableSpan.KeyspaceID`); absent: none. */
  readonly keyspace?: number;
  /** What is wrong at it, as it said (`MaintainerBootstrapResponse.err`, `HeartBeatRequest.err`). Absent: nothing. */
  readonly failure?: string;
  /** When it last said so, or otherwise, in ms since 1970. Absent: it never did. */
  readonly failureAt?: number;
  /**
   * It has not registered in this epoch: only its principal is known, from one before, and since when in ms since 1970
   * (decisions/0046). Absent: it has.
   */
  readonly unseenSince?: number;
}

export interface NodeChunk {
  readonly kind: "nodes";
  readonly id: number;
  readonly version: number;
  readonly nodes: readonly NodeEntry[];
}

/** Routes that events have admitted (protocol.md M23). */
export interface RouteChunk {
  readonly kind: "routes";
  readonly id: number;
  readonly version: number;
  readonly routes: readonly Route[];
}

export type Chunk = DispatcherChunk | TableChunk | NodeChunk | RouteChunk;

/** Names one stored version of one chunk. `name` is unique to the attempt that wrote it. */
export interface ChunkPointer {
  readonly kind: Chunk["kind"];
  readonly id: number;
  readonly version: number;
  readonly name: string;
}

/** What the root says about the roster, beside its chunks. */
export interface RosterMeta {
  /** The table trigger, as the opening named it. */
  readonly trigger: DispatcherKey | undefined;
  /** The node that opened the changefeed, and its `start`. */
  readonly openedBy: string;
  readonly openedByStart: bigint;
  /** An old node that opened with epoch 0 gets epoch 0 back (protocol.md R9a). */
  readonly answersEpochZero: boolean;
  /** The parts of the opening that was completed: all of 1..partsExpected means that the changefeed is open (R1). */
  readonly parts: readonly number[];
  readonly partsExpected: number;
  /** Openings of which not all parts have come. */
  readonly openings?: readonly PendingOpening[];
  /** The number of the opening that was completed, if it had several parts: tables that it named have it too. */
  readonly opening?: number;
  readonly nextChunk: number;
  /**
   * The commitTs up to which what events have changed is in the opening already (protocol.md R1b). Absent: it did not say.
   */
  readonly openedAt?: bigint;
  /** Absent: nothing was forgotten. */
  readonly forgotten?: Forgotten;
  /** An operator has removed the changefeed: only a higher epoch brings it back (protocol.md R14). */
  readonly removed?: true;
}

/** An opening whose parts have not all come: of one start of one node, in so many parts (protocol.md R1). */
export interface PendingOpening {
  /** Above that of each one that began before. */
  readonly number: number;
  readonly node: string;
  readonly start: bigint;
  readonly parts: readonly number[];
  readonly expected: number;
  readonly trigger?: DispatcherKey;
}

/** Whether every part of the opening has come (protocol.md R1). */
export function isOpened({ parts, partsExpected }: RosterMeta): boolean {
  return partsExpected > 0 && parts.length === partsExpected;
}

/** Whether the tables of a chunk are the changefeed's, and not those of an opening that is not complete. */
export function countsIn({ opening }: RosterMeta, chunk: TableChunk): boolean {
  return chunk.opening === undefined || chunk.opening === opening;
}

export const EMPTY_META: RosterMeta = {
  trigger: undefined,
  openedBy: "",
  openedByStart: 0n,
  answersEpochZero: false,
  parts: [],
  partsExpected: 0,
  nextChunk: 1,
};

/** Whether a dispatcher replicates, so that its WAITING counts (protocol.md R2, R3, M1). */
export function isReplicating(life: Pick<Life, "tableId" | "state">): boolean {
  return life.tableId === TRIGGER_TABLE || life.state === ComponentState.Working;
}

/** Where a dispatcher's current life stands. */
export interface Place {
  readonly chunk: DispatcherChunk;
  readonly life: Life;
}

/** The dispatchers, tables and nodes of a changefeed in one version: a value, made from its chunks. */
export class Roster {
  readonly version: number;
  readonly meta: RosterMeta;
  readonly chunks: ReadonlyMap<number, Chunk>;
  readonly dispatchers: readonly DispatcherChunk[];
  readonly tables = new Map<bigint, TableEntry>();
  readonly dropped = new Map<bigint, DroppedTable>();
  readonly nodes = new Map<string, NodeEntry>();
  readonly #places = new Map<DispatcherKey, Place>();
  /** Where the last one was found: the `life`th of the `chunk`th of `dispatchers`. */
  #found = { chunk: 0, life: -1 };
  readonly #indexes = new Map<number, number>();
  readonly #ended = new Map<DispatcherKey, EndedLife>();
  #ofTable: Map<bigint, Life[]> | undefined;
  #untiled: ReadonlySet<bigint> | undefined;
  #routes: Routes | undefined;

  constructor(version: number, meta: RosterMeta, chunks: Iterable<Chunk>) {
    this.version = version;
    this.meta = meta;
    const all = new Map<number, Chunk>();
    const dispatchers: DispatcherChunk[] = [];
    for (const chunk of chunks) {
      all.set(chunk.id, chunk);
      if (chunk.kind === "dispatchers") {
        this.#indexes.set(chunk.id, dispatchers.length);
        dispatchers.push(chunk);
        for (const life of chunk.lives) this.#places.set(life.id, { chunk, life });
        for (const ended of chunk.ended) this.#ended.set(ended.id, ended);
      } else if (chunk.kind === "tables") {
        if (!countsIn(meta, chunk)) continue;
        for (const table of chunk.tables) this.tables.set(table.tableId, table);
        for (const table of chunk.dropped) this.dropped.set(table.tableId, table);
      } else if (chunk.kind === "nodes") {
        for (const node of chunk.nodes) this.nodes.set(node.id, node);
      }
    }
    this.chunks = all;
    this.dispatchers = dispatchers;
  }

  /** Whether every part of the opening has come (protocol.md R1). */
  get opened(): boolean {
    return isOpened(this.meta);
  }

  /** Whether a node sends no `start`, as one that is not known: it matches actions by commitTs alone (protocol.md M21). */
  isOld(node: string): boolean {
    return (this.nodes.get(node)?.start ?? 0n) === 0n;
  }

  /** Reports name dispatchers in much the order in which they were registered: the next one is looked at first. */
  find(id: DispatcherKey): Place | undefined {
    return this.#next(id) ?? this.#lookUp(id);
  }

  #next(id: DispatcherKey): Place | undefined {
    const found = this.#found;
    let chunk = this.dispatchers[found.chunk];
    if (chunk === undefined) return undefined;
    if (found.life + 1 < chunk.lives.length) found.life++;
    else {
      chunk = this.dispatchers[found.chunk + 1];
      if (chunk === undefined) return undefined;
      found.chunk++;
      found.life = 0;
    }
    const life = chunk.lives[found.life];
    return life?.id === id ? { chunk, life } : undefined;
  }

  #lookUp(id: DispatcherKey): Place | undefined {
    const place = this.#places.get(id);
    if (place !== undefined) {
      const { lives } = place.chunk;
      let at = Math.min(place.life.slot, lives.length - 1);
      // Slots grow along a chunk, with gaps where lives ended.
      while (at > 0 && lives[at] !== place.life) at--;
      this.#found.chunk = this.#indexes.get(place.chunk.id)!;
      this.#found.life = at;
    }
    return place;
  }

  /** The highest life of a dispatcher that is over, if it has no current one. */
  ended(id: DispatcherKey): EndedLife | undefined {
    return this.#ended.get(id);
  }

  /** Lives that were lost and that no newer one has replaced, with the chunk in which they stood. */
  *lost(): Iterable<{ readonly chunk: DispatcherChunk; readonly ended: EndedLife; readonly lost: LostLife }> {
    for (const chunk of this.dispatchers)
      for (const ended of chunk.ended)
        if (ended.lost && !this.#places.has(ended.id) && this.#ended.get(ended.id) === ended)
          yield { chunk, ended, lost: ended.lost };
  }

  /** The table trigger's current life: the one that the opening named, or the one that carries table 0. */
  trigger(): Place | undefined {
    if (this.meta.trigger !== undefined) return this.find(this.meta.trigger);
    const life = this.ofTable(TRIGGER_TABLE)[0];
    return life && this.find(life.id);
  }

  ofTable(tableId: bigint): readonly Life[] {
    return this.#tableIndex().get(tableId) ?? [];
  }

  /** The admitted routes. */
  routes(): Routes {
    if (this.#routes === undefined) {
      const all = [...this.chunks.values()].flatMap((chunk) => (chunk.kind === "routes" ? chunk.routes : []));
      this.#routes = {
        bySource: new Map(all.map((route) => [sourceName(route), route])),
        byTarget: new Map(all.map((route) => [targetName(route), route])),
      };
    }
    return this.#routes;
  }

  #tableIndex(): ReadonlyMap<bigint, Life[]> {
    if (this.#ofTable === undefined) {
      const index = new Map<bigint, Life[]>();
      for (const chunk of this.dispatchers)
        for (const life of chunk.lives) {
          const lives = index.get(life.tableId);
          if (lives) lives.push(life);
          else index.set(life.tableId, [life]);
        }
      this.#ofTable = index;
    }
    return this.#ofTable;
  }

  /**
   * Tables whose dispatchers' spans leave a gap (protocol.md R9), among those of the changefeed and those that have a
   * dispatcher: a property of the roster alone, so computed once for all barriers.
   */
  untiled(): ReadonlySet<bigint> {
    if (this.#untiled === undefined) {
      const untiled = new Set<bigint>();
      const index = this.#tableIndex();
      for (const tableId of this.tables.keys())
        if (!tiles(tableId, this.ofTable(tableId))) untiled.add(tableId);
      for (const tableId of index.keys())
        if (tableId !== TRIGGER_TABLE && !this.tables.has(tableId) && !tiles(tableId, this.ofTable(tableId)))
          untiled.add(tableId);
      this.#untiled = untiled;
    }
    return this.#untiled;
  }
}
