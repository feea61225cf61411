import type { ComponentState } from "../protocol/messages.ts";
import type { DispatcherKey } from "./dispatcherid.ts";
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

/** Lives in a chunk: few enough that a change rewrites little, enough that a set of chunks stays small. */
export const LIVES_PER_CHUNK = 400;
export const TABLES_PER_CHUNK = 2000;
/** A route is four names: at 64 bytes each this is far below the 400 KB of an item. */
export const ROUTES_PER_CHUNK = 500;

/** What a registration says of one dispatcher. */
export type NewLife = Omit<Life, "slot" | "addedAt" | "schemaAt">;

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
  readonly #rememberFor: number;

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
    for (const chunk of this.#changed.values())
      if (chunk.kind === "nodes") return chunk.nodes.find((node) => node.id === id);
    return this.base.nodes.get(id);
  }

  nodes(): readonly NodeEntry[] {
    for (const chunk of this.#changed.values()) if (chunk.kind === "nodes") return chunk.nodes;
    return [...this.base.nodes.values()];
  }

  /** A table of the changefeed as this draft has it. */
  table(tableId: bigint): TableEntry | undefined {
    const chunkId = this.#chunksOfTables().get(tableId);
    if (chunkId === undefined) return undefined;
    const chunk = (this.#changed.get(chunkId) ?? this.base.chunks.get(chunkId)) as TableChunk;
    return chunk.tables.find((table) => table.tableId === tableId);
  }

  putNode(node: NodeEntry): void {
    const chunk = this.#editNodes();
    const at = chunk.nodes.findIndex((one) => one.id === node.id);
    if (at < 0) chunk.nodes.push(node);
    else chunk.nodes[at] = node;
  }

  /**
   * Puts a new life in the place of whatever its dispatcher was before. The caller has checked that it is higher than
   * every life that the dispatcher had (protocol.md R4).
   */
  addLife(life: NewLife): void {
    const before = this.find(life.id);
    if (before) this.#takeOut(life.id, before.chunk);
    else if (this.ended(life.id)) this.#forgetEnded(life.id);
    const chunk = this.#roomFor(life.node);
    const placed: Life = { ...life, slot: chunk.nextSlot, addedAt: this.version, schemaAt: this.version };
    chunk.nextSlot++;
    chunk.lives.push(placed);
    this.#places.set(life.id, { chunk: chunk.id, life: placed });
  }

  /**
   * Ends a dispatcher's current life, and remembers that lives up to `life` are over (protocol.md R5).
   * @param lost it did not end on purpose: its dispatcher has to be created again
   */
  endLife(id: DispatcherKey, life: bigint, lost = false): Life | undefined {
    const place = this.find(id);
    if (!place) return undefined;
    this.#remember(this.#takeOut(id, place.chunk), {
      id,
      life,
      node: place.life.node,
      queue: place.life.queue,
      endedAt: this.now,
      ...(lost && { lost: { was: place.life, endedOn: this.version } }),
    });
    return place.life;
  }

  /**
   * Notes who is told to create a lost dispatcher again, and from where. The life of whoever was told before is over: one who
   * obeys late is refused (decisions/0028).
   */
  giveLost(chunkId: number, id: DispatcherKey, given: NonNullable<LostLife["given"]>): void {
    const chunk = this.#editDispatchers(chunkId);
    chunk.ended = chunk.ended.map((one) => {
      if (one.id !== id || !one.lost) return one;
      const before = one.lost.given?.life ?? 0n;
      return { ...one, life: before > one.life ? before : one.life, lost: { ...one.lost, given } };
    });
  }

  /** Remembers that a life is over of which nothing else is known. */
  rememberEnded(ended: Omit<EndedLife, "endedAt">): void {
    if (this.ended(ended.id)) this.#forgetEnded(ended.id);
    this.#remember(this.#roomFor(ended.node), { ...ended, endedAt: this.now });
  }

  /** @param sentAt when the status was sent, in ms since 1970 */
  setState(id: DispatcherKey, state: ComponentState, sentAt: number): void {
    this.#replaceLife(id, (life) => ({ ...life, state, stateAt: sentAt }));
  }

  putTable(table: TableEntry): void {
    const known = this.#chunksOfTables().has(table.tableId);
    const chunk = this.#editTables(table.tableId);
    if (known) chunk.tables[chunk.tables.findIndex((one) => one.tableId === table.tableId)] = table;
    else chunk.tables.push(table);
    if (this.base.dropped.has(table.tableId)) this.#forgetDropped(table.tableId);
  }

  /** @param droppedBy commitTs of the event */
  dropTable(tableId: bigint, droppedBy: bigint): void {
    if (!this.#chunksOfTables().has(tableId)) return;
    const chunk = this.#editTables(tableId);
    this.#chunksOfTables().delete(tableId);
    chunk.tables = chunk.tables.filter((one) => one.tableId !== tableId);
    chunk.dropped.push({ tableId, droppedAt: this.now, droppedBy });
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
    for (const chunk of this.#allChunks()) if (chunk.kind === "tables") yield chunk;
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
      }
    for (const route of put) {
      const room = this.#routeChunks().find((chunk) => chunk.routes.length < ROUTES_PER_CHUNK);
      const id =
        room?.id ??
        this.#add({ kind: "routes", id: this.#newChunkId(), version: this.version, routes: [] }).id;
      (this.#edit(id) as Editable<RouteChunk>).routes.push(route);
    }
  }

  #routeChunks(): RouteChunk[] {
    return this.#allChunks().filter((chunk) => chunk.kind === "routes");
  }

  /** The chunks that changed, each whole, all with the version of this draft. */
  finish(): Chunk[] {
    return [...this.#changed.values()];
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
    chunk.lives = chunk.lives.filter((life) => life.id !== id);
    this.#places.set(id, undefined);
    return chunk;
  }

  #remember(chunk: Editable<DispatcherChunk>, ended: EndedLife): void {
    chunk.ended = chunk.ended.filter((one) => this.now - one.endedAt < this.#rememberFor);
    chunk.ended.push(ended);
    this.#ended.set(ended.id, ended);
  }

  #forgetEnded(id: DispatcherKey): void {
    this.#ended.set(id, undefined);
    for (const chunk of this.#allChunks())
      if (chunk.kind === "dispatchers" && chunk.ended.some((one) => one.id === id)) {
        const copy = this.#editDispatchers(chunk.id);
        copy.ended = copy.ended.filter((one) => one.id !== id);
      }
  }

  #forgetDropped(tableId: bigint): void {
    for (const chunk of this.#allChunks())
      if (chunk.kind === "tables" && chunk.dropped.some((one) => one.tableId === tableId)) {
        const copy = this.#edit(chunk.id) as Editable<TableChunk>;
        copy.dropped = copy.dropped.filter((one) => one.tableId !== tableId);
      }
  }

  #allChunks(): Chunk[] {
    const chunks = new Map<number, Chunk>(this.base.chunks);
    for (const [id, chunk] of this.#changed) chunks.set(id, chunk);
    return [...chunks.values()];
  }

  #roomFor(node: string): Editable<DispatcherChunk> {
    for (const chunk of this.#allChunks())
      if (chunk.kind === "dispatchers" && chunk.lives.length < LIVES_PER_CHUNK && chunk.node === node)
        return this.#editDispatchers(chunk.id);
    return this.#add({
      kind: "dispatchers",
      id: this.#newChunkId(),
      node,
      version: this.version,
      nextSlot: 0,
      lives: [],
      ended: [],
    }) as Editable<DispatcherChunk>;
  }

  #chunksOfTables(): Map<bigint, number> {
    if (this.#tableIndex === undefined) {
      this.#tableIndex = new Map();
      for (const chunk of this.#countedTables())
        for (const one of chunk.tables) this.#tableIndex.set(one.tableId, chunk.id);
    }
    return this.#tableIndex;
  }

  #editTables(tableId: bigint): Editable<TableChunk> {
    const index = this.#chunksOfTables();
    const chunkId =
      index.get(tableId) ??
      [...this.#countedTables()].find((one) => one.tables.length < TABLES_PER_CHUNK)?.id ??
      this.#newTables();
    index.set(tableId, chunkId);
    return this.#edit(chunkId) as Editable<TableChunk>;
  }

  #editNodes(): Editable<NodeChunk> {
    const chunk = this.#allChunks().find((one) => one.kind === "nodes");
    if (chunk) return this.#edit(chunk.id) as Editable<NodeChunk>;
    return this.#add({
      kind: "nodes",
      id: this.#newChunkId(),
      version: this.version,
      nodes: [],
    }) as Editable<NodeChunk>;
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
