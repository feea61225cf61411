import type { ComponentState } from "../protocol/messages.ts";
import {
  CHUNK_BYTES,
  DROPPED_BYTES,
  endedBytes,
  type Fill,
  fillOf,
  fits,
  isEmpty,
  LIVES_PER_CHUNK,
  lifeBytes,
  MAX_DROPPED,
  MAX_ENDED,
  MAX_NODES,
  nodeBytes,
  PAST_BYTES,
  ROUTES_PER_CHUNK,
  routeBytes,
  TABLES_PER_CHUNK,
  tableBytes,
} from "./chunk-room.ts";
import type { DispatcherKey } from "./dispatcher-id.ts";
import { forgetting, isUnseenFor, mayBeForgotten } from "./forgotten.ts";
import {
  type Chunk,
  countsIn,
  type DispatcherChunk,
  type EndedLife,
  type Life,
  type LostLife,
  type NodeChunk,
  type NodeEntry,
  type Roster,
  type RosterMeta,
  type RouteChunk,
  type TableChunk,
  type TableEntry,
} from "./roster.ts";
import { type Route, sourceName } from "./routes.ts";
import { covers } from "./tiling.ts";

/** What a registration says of one dispatcher. */
export type NewLife = Omit<Life, "slot" | "addedAt" | "schemaAt">;

/** What chunks hold that never change. */
const fills = new WeakMap<Chunk, Fill>();

function addTo(index: Map<string, number[]>, name: string, id: number): void {
  const ids = index.get(name);
  if (ids) ids.push(id);
  else index.set(name, [id]);
}

type Editable<C extends Chunk> = { -readonly [K in keyof C]: C[K] extends readonly (infer E)[] ? E[] : C[K] };

/**
 * A change of a roster in the making. Chunks are copied when they are first changed; `finish` gives the new chunks,
 * all under the next roster version. Nothing here has an effect before the root points to them.
 */
export class RosterDraft {
  readonly base: Roster;
  /** The roster version that this draft becomes if it is committed. */
  readonly version: number;
  readonly now: number;
  #meta: RosterMeta;
  #metaChanged = false;
  readonly #changed = new Map<number, Chunk>();
  /** Present place of each dispatcher that this draft touched; undefined: it has no life any more. */
  readonly #places = new Map<DispatcherKey, { chunk: number; life: Life } | undefined>();
  readonly #ended = new Map<DispatcherKey, EndedLife | undefined>();
  /** The chunk of each table, once it is asked for. */
  #tableIndex: Map<bigint, number> | undefined;
  /** The chunks that hold dispatchers of each node, once they are asked for. */
  #dispatcherIndex: Map<string, number[]> | undefined;
  /** The chunk of each node, once it is asked for. */
  #nodeIndex: Map<string, number> | undefined;
  /** What the chunks that changed hold at most; absent: to be counted again. */
  readonly #fills = new Map<number, Fill>();
  readonly #rememberFor: number;
  #endedCount: number | undefined;
  /** Chunks out of which went what is remembered no longer. */
  readonly #purged = new Set<number>();
  #droppedCount: number | undefined;

  /**
   * @param now milliseconds since 1970
   * @param rememberFor milliseconds for which ended lives and dropped tables are remembered (protocol.md R5)
   */
  constructor(base: Roster, now: number, rememberFor: number) {
    this.base = base;
    this.version = base.version + 1;
    this.now = now;
    this.#meta = base.meta;
    this.#rememberFor = rememberFor;
  }

  get meta(): RosterMeta {
    return this.#meta;
  }

  setMeta(change: Partial<RosterMeta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#metaChanged = true;
  }

  replaceMeta(meta: RosterMeta): void {
    this.#meta = meta;
    this.#metaChanged = true;
    // Which tables count may be another matter now.
    this.#tableIndex = undefined;
  }

  get changed(): boolean {
    return this.#metaChanged || this.#changed.size > 0;
  }

  find(id: DispatcherKey): { chunk: number; life: Life } | undefined {
    if (this.#places.has(id)) return this.#places.get(id);
    const place = this.base.find(id);
    return place && { chunk: place.chunk.id, life: place.life };
  }

  /** The highest life of a dispatcher that is over and was not replaced. */
  ended(id: DispatcherKey): EndedLife | undefined {
    return this.#ended.has(id) ? this.#ended.get(id) : this.base.ended(id);
  }

  node(id: string): NodeEntry | undefined {
    const chunk = this.#chunksOfNodes().get(id);
    return chunk === undefined ? undefined : this.#nodesIn(chunk).find((node) => node.id === id);
  }

  nodes(): readonly NodeEntry[] {
    return this.#allChunks().flatMap((chunk) => (chunk.kind === "nodes" ? chunk.nodes : []));
  }

  /** How many nodes there are. */
  get nodeCount(): number {
    return this.#chunksOfNodes().size;
  }

  /** A table of the changefeed as this draft has it. */
  table(tableId: bigint): TableEntry | undefined {
    const chunkId = this.#chunksOfTables().get(tableId);
    if (chunkId === undefined) return undefined;
    const chunk = (this.#changed.get(chunkId) ?? this.base.chunks.get(chunkId)) as TableChunk;
    return chunk.tables.find((table) => table.tableId === tableId);
  }

  putNode(node: NodeEntry): void {
    const index = this.#chunksOfNodes();
    const known = index.get(node.id);
    const chunk = this.#edit(known ?? this.#roomForNode(node)) as Editable<NodeChunk>;
    if (known === undefined) {
      chunk.nodes.push(node);
      this.#fill(chunk.id, nodeBytes(node));
      index.set(node.id, chunk.id);
    } else chunk.nodes[chunk.nodes.findIndex((one) => one.id === node.id)] = node;
  }

  /** Forgets a node that has no lives. What it sends late is refused (protocol.md R12). */
  forgetNode({ id, start }: NodeEntry): void {
    const at = this.#chunksOfNodes().get(id);
    if (at === undefined) return;
    const chunk = this.#edit(at) as Editable<NodeChunk>;
    chunk.nodes = chunk.nodes.filter((one) => one.id !== id);
    this.#fills.delete(at);
    this.#chunksOfNodes().delete(id);
    this.forget({ start });
  }

  /** Takes over all that the roster before has, unchanged: no root points to its chunks yet (decisions/0046). */
  takeOver(): void {
    for (const id of this.base.chunks.keys()) this.#edit(id);
  }

  /** Room for one more node, if need be by forgetting some without dispatchers. @returns whether there is any */
  makeRoomForNode(): boolean {
    if (this.nodeCount < MAX_NODES) return true;
    const hosts = new Set<string>();
    for (const life of this.lives()) hosts.add(life.node);
    const idle = this.nodes().filter(
      ({ id, start, unseenSince }) =>
        unseenSince !== undefined || (start > 0n && !hosts.has(id) && mayBeForgotten(start, this.now)),
    );
    // Who has not come in this epoch has no start, and goes first.
    for (const node of idle.sort((a, b) => (a.start < b.start ? -1 : 1)).slice(0, MAX_NODES / 10))
      this.forgetNode(node);
    return this.nodeCount < MAX_NODES;
  }

  /** Notes what is not known any more, so that whatever is of it is refused. */
  forget(one: Parameters<typeof forgetting>[1]): void {
    const forgotten = forgetting(this.#meta.forgotten, one, this.now);
    if (forgotten && forgotten !== this.#meta.forgotten) this.setMeta({ forgotten });
  }

  /**
   * Puts a new life in the place of whatever its dispatcher was before. The caller has checked that it is higher than
   * every life that the dispatcher had (protocol.md R4).
   */
  addLife(life: NewLife): void {
    const before = this.find(life.id);
    if (before) this.#takeOut(life.id, before.chunk);
    else if (this.ended(life.id)) this.#forgetEnded(life.id);
    const chunk = this.#roomFor(life.node, lifeBytes(life));
    const placed: Life = { ...life, slot: chunk.nextSlot, addedAt: this.version, schemaAt: this.version };
    chunk.nextSlot++;
    chunk.lives.push(placed);
    this.#fill(chunk.id, lifeBytes(placed));
    this.#places.set(life.id, { chunk: chunk.id, life: placed });
  }

  /**
   * Ends a dispatcher's current life, and remembers that lives up to `life` are over (protocol.md R5).
   * @param why `lost`: not on purpose, its dispatcher has to be created again; `dropped`: its table is gone, and so is it to be
   */
  endLife(id: DispatcherKey, life: bigint, why?: "lost" | "dropped"): Life | undefined {
    const place = this.find(id);
    if (!place) return undefined;
    this.#remember(this.#takeOut(id, place.chunk), {
      id,
      life,
      node: place.life.node,
      queue: place.life.queue,
      endedAt: this.now,
      ...(why === "lost" && { lost: { was: place.life, endedOn: this.version } }),
      ...(why === "dropped" && {
        dropped: { tableId: place.life.tableId, schemaId: place.life.schemaId },
      }),
    });
    return place.life;
  }

  /**
   * Notes who is told to create a lost dispatcher again, and from where. The life of whoever was told before is over: one who
   * obeys late is refused (protocol.md R11).
   */
  giveLost(chunkId: number, id: DispatcherKey, given: NonNullable<LostLife["given"]>): void {
    const chunk = this.#editDispatchers(chunkId);
    chunk.ended = chunk.ended.map((one) => {
      if (one.id !== id || !one.lost) return one;
      const before = one.lost.given?.life ?? 0n;
      return { ...one, life: before > one.life ? before : one.life, lost: { ...one.lost, given } };
    });
    this.#fills.delete(chunkId);
  }

  /** Remembers that a life is over of which nothing else is known. */
  rememberEnded(ended: Omit<EndedLife, "endedAt">): void {
    const before = this.ended(ended.id);
    if (before?.lost) {
      this.#raiseLost(before, ended);
      return;
    }
    if (before) this.#forgetEnded(ended.id);
    this.#remember(undefined, { ...ended, endedAt: this.now });
  }

  /** @param sentAt when the status was sent, in ms since 1970 */
  setState(id: DispatcherKey, state: ComponentState, sentAt: number): void {
    this.#replaceLife(id, (life) => ({ ...life, state, stateAt: sentAt }));
  }

  putTable(table: TableEntry): void {
    const index = this.#chunksOfTables();
    const known = index.get(table.tableId);
    const bytes = tableBytes(table);
    if (known !== undefined) {
      const chunk = this.#edit(known) as Editable<TableChunk>;
      const at = chunk.tables.findIndex((one) => one.tableId === table.tableId);
      const more = bytes - tableBytes(chunk.tables[at]!);
      if (more <= 0 || fits(this.#fillOf(chunk).present, more, CHUNK_BYTES)) {
        chunk.tables[at] = table;
        this.#fill(known, more);
        return;
      }
      // It has grown by the name of a node, and the chunk is full: another has room.
      chunk.tables.splice(at, 1);
      this.#fills.delete(known);
    }
    const chunk = this.#edit(this.#roomForTable(bytes)) as Editable<TableChunk>;
    chunk.tables.push(table);
    this.#fill(chunk.id, bytes);
    index.set(table.tableId, chunk.id);
    if (this.base.dropped.has(table.tableId)) this.#forgetDropped(table.tableId);
  }

  /** @param droppedBy commitTs of the event */
  dropTable(tableId: bigint, droppedBy: bigint): void {
    const index = this.#chunksOfTables();
    const at = index.get(tableId);
    if (at === undefined) return;
    index.delete(tableId);
    const chunk = this.#edit(at) as Editable<TableChunk>;
    const place = chunk.tables.findIndex((one) => one.tableId === tableId);
    this.#fill(at, -tableBytes(chunk.tables[place]!));
    chunk.tables.splice(place, 1);
    const room = this.#hasPast(chunk, DROPPED_BYTES) ? chunk : this.#roomForDropped();
    room.dropped.push({ tableId, droppedAt: this.now, droppedBy });
    this.#fill(room.id, 0, DROPPED_BYTES);
    this.#droppedCount ??= this.base.dropped.size;
    if (++this.#droppedCount > MAX_DROPPED) this.#forgetOldestDropped();
  }

  /** All lives as this draft has them. */
  *lives(): Iterable<Life> {
    const seen = new Set<number>();
    for (const chunk of this.#changed.values())
      if (chunk.kind === "dispatchers") {
        seen.add(chunk.id);
        yield* chunk.lives;
      }
    for (const chunk of this.base.dispatchers) if (!seen.has(chunk.id)) yield* chunk.lives;
  }

  /** All tables as this draft has them. */
  *tables(): Iterable<TableEntry> {
    for (const chunk of this.#countedTables()) yield* chunk.tables;
  }

  *#tableChunks(): Iterable<TableChunk> {
    for (const chunk of this.#chunks()) if (chunk.kind === "tables") yield chunk;
  }

  *#countedTables(): Iterable<TableChunk> {
    for (const chunk of this.#tableChunks()) if (countsIn(this.#meta, chunk)) yield chunk;
  }

  /**
   * Puts tables that a part of an opening names; they count when that opening is complete.
   * @param opening its number; 0: they count at once
   */
  putNamed(
    opening: number,
    tables: readonly { readonly tableId: bigint; readonly schemaId: bigint }[],
  ): void {
    if (opening === 0) {
      for (const table of tables)
        if (!this.table(table.tableId)) this.putTable({ ...table, since: 0n, schemaSince: 0n });
      return;
    }
    const mine = [...this.#tableChunks()].filter((chunk) => chunk.opening === opening);
    const named = new Set(mine.flatMap((chunk) => chunk.tables.map((table) => table.tableId)));
    const rooms = mine.filter((chunk) => chunk.tables.length < TABLES_PER_CHUNK).map((chunk) => chunk.id);
    let room: Editable<TableChunk> | undefined;
    for (const table of tables) {
      if (named.has(table.tableId)) continue;
      named.add(table.tableId);
      if (room === undefined || room.tables.length >= TABLES_PER_CHUNK)
        room = this.#roomForNamed(opening, rooms);
      room.tables.push({ ...table, since: 0n, schemaSince: 0n });
      this.#fills.delete(room.id);
    }
  }

  #roomForNamed(opening: number, rooms: number[]): Editable<TableChunk> {
    const emptied = () => {
      const chunks = [...this.#countedTables()];
      return chunks.find((one) => one.tables.length === 0 && one.dropped.length === 0)?.id;
    };
    const id = rooms.pop() ?? emptied() ?? this.#newTables();
    const chunk = this.#edit(id) as Editable<TableChunk>;
    chunk.opening = opening;
    this.#fills.delete(id);
    return chunk;
  }

  #newTables(): number {
    const id = this.#newChunkId();
    return this.#add({ kind: "tables", id, version: this.version, tables: [], dropped: [] }).id;
  }

  /** Takes out all that an opening has named which is not complete and never will be; 0: what counts at once. */
  dropNamed(opening: number): void {
    for (const { id } of [...this.#tableChunks()].filter((chunk) => (chunk.opening ?? 0) === opening)) {
      const { opening: _, ...chunk } = this.#edit(id) as TableChunk;
      this.#changed.set(id, { ...chunk, tables: [] });
      this.#fills.delete(id);
    }
    this.#tableIndex = undefined;
  }

  /** Moves a table and its dispatchers to another schema, from the key of the rename on (protocol.md R10). */
  moveTable(tableId: bigint, schemaId: bigint, since: bigint): void {
    const table = this.table(tableId);
    if (table) this.putTable({ ...table, schemaId, schemaSince: since });
    const ids = [...this.lives()].filter((life) => life.tableId === tableId).map((life) => life.id);
    for (const id of ids)
      this.#replaceLife(id, (life) => ({
        ...life,
        schemaId,
        schemaSince: since,
        schemaAt: this.version,
      }));
  }

  /** Lives that were registered before their table was named are in the schema that it has. */
  placeInSchemas(tables: Iterable<{ readonly tableId: bigint; readonly schemaId: bigint }>): void {
    const schemas = new Map([...tables].map(({ tableId, schemaId }) => [tableId, schemaId]));
    for (const { id, tableId, schemaId } of [...this.lives()]) {
      const named = schemas.get(tableId);
      if (named !== undefined && named !== schemaId)
        this.#replaceLife(id, (life) => ({ ...life, schemaId: named, schemaAt: this.version }));
    }
  }

  /** Puts routes and takes routes out, by their sources; the caller has seen that no two have one target. */
  changeRoutes(put: readonly Route[], removed: readonly Route[]): void {
    const gone = new Set([...put, ...removed].map(sourceName));
    for (const chunk of this.#routeChunks())
      if (chunk.routes.some((route) => gone.has(sourceName(route)))) {
        const copy = this.#edit(chunk.id) as Editable<RouteChunk>;
        copy.routes = copy.routes.filter((route) => !gone.has(sourceName(route)));
        this.#fills.delete(chunk.id);
      }
    for (const route of put) {
      const bytes = routeBytes(route);
      const room = this.#routeChunks().find(
        (chunk) =>
          chunk.routes.length < ROUTES_PER_CHUNK && fits(this.#fillOf(chunk).present, bytes, CHUNK_BYTES),
      );
      const id =
        room?.id ??
        this.#add({ kind: "routes", id: this.#newChunkId(), version: this.version, routes: [] }).id;
      (this.#edit(id) as Editable<RouteChunk>).routes.push(route);
      this.#fill(id, bytes);
    }
  }

  #routeChunks(): RouteChunk[] {
    return this.#allChunks().filter((chunk) => chunk.kind === "routes");
  }

  /** The chunks that changed, each whole, all with the version of this draft. */
  finish(): Chunk[] {
    return [...this.#changed.values()].filter((chunk) => !isEmpty(chunk));
  }

  /** Chunks of the roster before in which nothing is left: they leave it. */
  emptied(): number[] {
    return [...this.#changed.values()].filter(isEmpty).map((chunk) => chunk.id);
  }

  /**
   * Takes out what is not needed any more and nobody touches: chunks with nothing but what is remembered no longer, and nodes
   * that are gone (protocol.md R12). Changes nothing if there is none.
   */
  tidy(): void {
    const isOver = (at: number) => this.now - at >= this.#rememberFor;
    const hosts = new Set<string>();
    for (const chunk of this.#allChunks()) {
      if (chunk.kind === "dispatchers") {
        if (
          chunk.lives.length === 0 &&
          chunk.ended.every((one) => isOver(one.endedAt) && !this.#isMissing(one))
        ) {
          const copy = this.#editDispatchers(chunk.id);
          copy.ended = this.#stillRemembered(copy.ended);
          continue;
        }
        for (const life of chunk.lives) hosts.add(life.node);
        for (const ended of chunk.ended) hosts.add(ended.node);
      } else if (chunk.kind === "tables" && chunk.tables.length === 0)
        if (chunk.dropped.every((one) => isOver(one.droppedAt))) this.#edit(chunk.id);
    }
    for (const node of this.nodes()) {
      const { id, start, nodeQueue, unseenSince } = node;
      const isGone =
        unseenSince === undefined
          ? nodeQueue === "" && start > 0n && !hosts.has(id) && mayBeForgotten(start, this.now)
          : isUnseenFor(unseenSince, this.now, this.#rememberFor);
      if (isGone) this.forgetNode(node);
    }
  }

  #replaceLife(id: DispatcherKey, change: (life: Life) => Life): void {
    const place = this.find(id);
    if (!place) return;
    const chunk = this.#editDispatchers(place.chunk);
    const at = chunk.lives.findIndex((life) => life.id === id);
    const life = change(chunk.lives[at]!);
    chunk.lives[at] = life;
    this.#places.set(id, { chunk: chunk.id, life });
  }

  #takeOut(id: DispatcherKey, chunkId: number): Editable<DispatcherChunk> {
    const chunk = this.#editDispatchers(chunkId);
    const at = chunk.lives.findIndex((life) => life.id === id);
    this.#fill(chunkId, -lifeBytes(chunk.lives[at]!));
    chunk.lives.splice(at, 1);
    this.#places.set(id, undefined);
    return chunk;
  }

  /** @param stood the chunk in which it stood: one that is lost stays there, for what barriers know of it */
  #remember(stood: Editable<DispatcherChunk> | undefined, ended: EndedLife): void {
    const bytes = endedBytes(ended);
    const chunk = stood && (ended.lost || this.#hasPast(stood, bytes)) ? stood : this.#roomForPast(bytes);
    if (!this.#purged.has(chunk.id)) {
      this.#purged.add(chunk.id);
      chunk.ended = this.#stillRemembered(chunk.ended);
      this.#fills.delete(chunk.id);
    }
    chunk.ended.push(ended);
    if (ended.lost) this.#fill(chunk.id, bytes);
    else this.#fill(chunk.id, 0, bytes);
    this.#ended.set(ended.id, ended);
    this.#endedCount ??= this.base.dispatchers.reduce((count, one) => count + one.ended.length, 0);
    if (++this.#endedCount > MAX_ENDED) this.#forgetOldestEnded();
  }

  #hasPast(chunk: Chunk, bytes: number): boolean {
    return fits(this.#fillOf(chunk).past, bytes, PAST_BYTES);
  }

  /** Room for an ended life: beside lives of whatever node, or in a chunk of its own. */
  #roomForPast(bytes: number): Editable<DispatcherChunk> {
    const chunk = this.#firstChunk((one) => one.kind === "dispatchers" && this.#hasPast(one, bytes));
    return chunk ? this.#editDispatchers(chunk.id) : this.#newDispatchers("");
  }

  #stillRemembered(ended: readonly EndedLife[]): EndedLife[] {
    return ended.filter((one) => {
      if (this.now - one.endedAt < this.#rememberFor || this.#isMissing(one)) return true;
      this.#ended.set(one.id, undefined);
      this.forget(one);
      return false;
    });
  }

  /** Whether somebody has to create it again, however long ago it was lost. */
  #isMissing({ id, lost }: EndedLife): boolean {
    if (!lost || this.find(id) || !this.table(lost.was.tableId)) return false;
    const { tableId } = lost.was;
    return !covers(
      tableId,
      lost.was,
      [...this.lives()].filter((life) => life.tableId === tableId),
    );
  }

  /** A tenth of the lives that are over, the oldest: what is of them is refused from here on (protocol.md R12). */
  #forgetOldestEnded(): void {
    const all = this.#allChunks().flatMap((chunk) => (chunk.kind === "dispatchers" ? chunk.ended : []));
    const oldest = all.filter((one) => !one.lost).sort((a, b) => a.endedAt - b.endedAt);
    const gone = new Set(oldest.slice(0, MAX_ENDED / 10));
    for (const chunk of this.#allChunks())
      if (chunk.kind === "dispatchers" && chunk.ended.some((one) => gone.has(one))) {
        const copy = this.#editDispatchers(chunk.id);
        copy.ended = copy.ended.filter((one) => !gone.has(one));
        this.#fills.delete(chunk.id);
      }
    for (const one of gone) {
      this.#ended.set(one.id, undefined);
      this.forget(one);
    }
    this.#endedCount = all.length - gone.size;
  }

  /**
   * A lost dispatcher is to be created again until somebody has its span, whatever is said of lives of it that never stood
   * here: they may be of an epoch that is over. Whoever was asked for it may have been asked in a life that is over now.
   */
  #raiseLost({ id, lost }: EndedLife, { life, node, queue }: Omit<EndedLife, "endedAt">): void {
    for (const chunk of this.#allChunks()) {
      if (chunk.kind !== "dispatchers" || !chunk.ended.some((one) => one.id === id)) continue;
      const copy = this.#editDispatchers(chunk.id);
      const raised: EndedLife = {
        id,
        life,
        node,
        queue,
        endedAt: this.now,
        lost: { was: lost!.was, endedOn: lost!.endedOn },
      };
      copy.ended = copy.ended.map((one) => (one.id === id ? raised : one));
      this.#fills.delete(chunk.id);
      this.#ended.set(id, raised);
    }
  }

  #forgetEnded(id: DispatcherKey): void {
    this.#ended.set(id, undefined);
    for (const chunk of this.#allChunks())
      if (chunk.kind === "dispatchers" && chunk.ended.some((one) => one.id === id)) {
        const copy = this.#editDispatchers(chunk.id);
        copy.ended = copy.ended.filter((one) => one.id !== id);
        this.#fills.delete(chunk.id);
      }
  }

  #forgetDropped(tableId: bigint): void {
    for (const chunk of this.#allChunks())
      if (chunk.kind === "tables" && chunk.dropped.some((one) => one.tableId === tableId)) {
        const copy = this.#edit(chunk.id) as Editable<TableChunk>;
        copy.dropped = copy.dropped.filter((one) => one.tableId !== tableId);
        this.#fills.delete(chunk.id);
      }
  }

  /** All chunks as this draft has them, those that it added last. Nothing may be added before the last one is taken. */
  *#chunks(): Iterable<Chunk> {
    for (const [id, chunk] of this.base.chunks) yield this.#changed.get(id) ?? chunk;
    for (const [id, chunk] of this.#changed) if (!this.base.chunks.has(id)) yield chunk;
  }

  #allChunks(): Chunk[] {
    return [...this.#chunks()];
  }

  #firstChunk(matches: (chunk: Chunk) => boolean): Chunk | undefined {
    for (const chunk of this.#chunks()) if (matches(chunk)) return chunk;
    return undefined;
  }

  #roomFor(node: string, bytes: number): Editable<DispatcherChunk> {
    for (const id of this.#chunksOfDispatchers().get(node) ?? [])
      if (this.#hasRoom(this.#chunk(id) as DispatcherChunk, bytes)) return this.#editDispatchers(id);
    return this.#newDispatchers(node);
  }

  #chunksOfDispatchers(): Map<string, number[]> {
    if (this.#dispatcherIndex === undefined) {
      this.#dispatcherIndex = new Map();
      for (const chunk of this.#chunks())
        if (chunk.kind === "dispatchers") addTo(this.#dispatcherIndex, chunk.node, chunk.id);
    }
    return this.#dispatcherIndex;
  }

  /** One that was lost stays where it was: it counts as long as it is remembered. */
  #hasRoom({ id, lives, ended }: DispatcherChunk, bytes: number): boolean {
    const standing =
      lives.length < LIVES_PER_CHUNK ? lives.length + ended.filter((one) => one.lost).length : lives.length;
    return standing < LIVES_PER_CHUNK && fits(this.#fillOf(this.#chunk(id)).present, bytes, CHUNK_BYTES);
  }

  #newDispatchers(node: string): Editable<DispatcherChunk> {
    const id = this.#newChunkId();
    const chunk: Chunk = {
      kind: "dispatchers",
      id,
      node,
      version: this.version,
      nextSlot: 0,
      lives: [],
      ended: [],
    };
    if (this.#dispatcherIndex) addTo(this.#dispatcherIndex, node, id);
    return this.#add(chunk) as Editable<DispatcherChunk>;
  }

  #chunk(id: number): Chunk {
    return this.#changed.get(id) ?? this.base.chunks.get(id)!;
  }

  /** What a chunk holds at most. */
  #fillOf(chunk: Chunk): Fill {
    const changed = this.#changed.has(chunk.id);
    const known = changed ? this.#fills.get(chunk.id) : fills.get(chunk);
    if (known !== undefined) return known;
    const fill = fillOf(this.#chunk(chunk.id));
    if (changed) this.#fills.set(chunk.id, fill);
    else fills.set(chunk, fill);
    return fill;
  }

  /** So many bytes more are in a chunk that changed, of what is there and of what is over. */
  #fill(id: number, present: number, past = 0): void {
    const known = this.#fills.get(id);
    if (known) this.#fills.set(id, { present: known.present + present, past: known.past + past });
  }

  #chunksOfNodes(): Map<string, number> {
    if (this.#nodeIndex === undefined) {
      this.#nodeIndex = new Map();
      for (const chunk of this.#allChunks())
        if (chunk.kind === "nodes") for (const one of chunk.nodes) this.#nodeIndex.set(one.id, chunk.id);
    }
    return this.#nodeIndex;
  }

  #nodesIn(id: number): readonly NodeEntry[] {
    return (this.#chunk(id) as NodeChunk).nodes;
  }

  #roomForNode(node: NodeEntry): number {
    const bytes = nodeBytes(node);
    const room = this.#firstChunk(
      (one) => one.kind === "nodes" && fits(this.#fillOf(one).present, bytes, CHUNK_BYTES),
    );
    if (room) return room.id;
    return this.#add({ kind: "nodes", id: this.#newChunkId(), version: this.version, nodes: [] }).id;
  }

  #chunksOfTables(): Map<bigint, number> {
    if (this.#tableIndex === undefined) {
      this.#tableIndex = new Map();
      for (const chunk of this.#countedTables())
        for (const one of chunk.tables) this.#tableIndex.set(one.tableId, chunk.id);
    }
    return this.#tableIndex;
  }

  #roomForTable(bytes: number): number {
    for (const one of this.#countedTables()) if (this.#hasTableRoom(one, bytes)) return one.id;
    return this.#newTables();
  }

  #hasTableRoom(chunk: TableChunk, bytes: number): boolean {
    return chunk.tables.length < TABLES_PER_CHUNK && fits(this.#fillOf(chunk).present, bytes, CHUNK_BYTES);
  }

  #roomForDropped(): Editable<TableChunk> {
    const room = this.#firstChunk(
      (one) => one.kind === "tables" && countsIn(this.#meta, one) && this.#hasPast(one, DROPPED_BYTES),
    );
    return this.#edit(room?.id ?? this.#newTables()) as Editable<TableChunk>;
  }

  /** A tenth of the dropped tables, the oldest. What is told of them again is below the floor (protocol.md R12, M19). */
  #forgetOldestDropped(): void {
    const chunks = this.#allChunks().filter((one) => one.kind === "tables");
    const oldest = chunks.flatMap((one) => one.dropped).sort((a, b) => a.droppedAt - b.droppedAt);
    const gone = new Set(oldest.slice(0, MAX_DROPPED / 10));
    for (const chunk of chunks)
      if (chunk.dropped.some((one) => gone.has(one))) {
        const copy = this.#edit(chunk.id) as Editable<TableChunk>;
        copy.dropped = copy.dropped.filter((one) => !gone.has(one));
        this.#fills.delete(chunk.id);
      }
    this.#droppedCount = oldest.length - gone.size;
  }

  #editDispatchers(id: number): Editable<DispatcherChunk> {
    return this.#edit(id) as Editable<DispatcherChunk>;
  }

  #newChunkId(): number {
    const id = this.#meta.nextChunk;
    this.setMeta({ nextChunk: id + 1 });
    return id;
  }

  #add(chunk: Chunk): Chunk {
    this.#changed.set(chunk.id, chunk);
    return chunk;
  }

  #edit(id: number): Chunk {
    const already = this.#changed.get(id);
    if (already) return already;
    const chunk = this.base.chunks.get(id)!;
    const version = this.version;
    const copy: Chunk =
      chunk.kind === "dispatchers"
        ? { ...chunk, version, lives: [...chunk.lives], ended: [...chunk.ended] }
        : chunk.kind === "tables"
          ? { ...chunk, version, tables: [...chunk.tables], dropped: this.#stillDropped(chunk) }
          : chunk.kind === "nodes"
            ? { ...chunk, version, nodes: [...chunk.nodes] }
            : { ...chunk, version, routes: [...chunk.routes] };
    return this.#add(copy);
  }

  #stillDropped(chunk: TableChunk) {
    return chunk.dropped.filter((one) => this.now - one.droppedAt < this.#rememberFor);
  }
}
