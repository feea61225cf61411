/**
 * What the coordinator has written of its roster, read as it lies in the store. Of the product there are only the types
 * here: what is made of it is said anew by those who watch.
 */
import type { Chunk, ChunkPointer } from "../../src/barrier/roster.ts";

/** A life as the coordinator has written it down. */
export interface StoredLife {
  readonly id: string;
  readonly life: bigint;
  readonly node: string;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  readonly schemaSince: bigint;
  readonly since: bigint;
  /** The keys of rows that it carries: from, and up to but without (workload.ts, `KEYS`). */
  readonly from: number;
  readonly to: number;
  /** Where a tally or a mark names it. */
  readonly chunk: { readonly id: number; readonly version: number };
  readonly slot: number;
  readonly addedAt: number;
}

export interface StoredRoster {
  readonly lives: ReadonlyMap<string, StoredLife>;
  /** Lives that are over, by their dispatchers. */
  readonly ended: ReadonlyMap<string, bigint>;
  /** Schemas of tables. */
  readonly tables: ReadonlyMap<bigint, bigint>;
  readonly dropped: ReadonlySet<bigint>;
  /** The `start` of each node. */
  readonly starts: ReadonlyMap<string, bigint>;
  /** The queue that a node can be asked by; empty: none. */
  readonly queues: ReadonlyMap<string, string>;
}

/**
 * @param chunkOf the stored content of a pointer
 * @returns the roster, and the names of chunks that the root points to and that are gone
 */
export function readStored(
  pointers: readonly ChunkPointer[],
  chunkOf: (name: string) => Chunk | undefined,
): { roster: StoredRoster; missing: readonly string[] } {
  const missing: string[] = [];
  const lives = new Map<string, StoredLife>();
  const ended = new Map<string, bigint>();
  const tables = new Map<bigint, bigint>();
  const dropped = new Set<bigint>();
  const starts = new Map<string, bigint>();
  const queues = new Map<string, string>();
  for (const { name } of pointers) {
    const chunk = chunkOf(name);
    if (chunk === undefined) {
      missing.push(name);
      continue;
    }
    if (chunk.kind === "nodes")
      for (const { id, start, nodeQueue } of chunk.nodes) {
        starts.set(id, start);
        queues.set(id, nodeQueue);
      }
    if (chunk.kind === "tables") {
      for (const { tableId, schemaId } of chunk.tables) tables.set(tableId, schemaId);
      for (const { tableId } of chunk.dropped) dropped.add(tableId);
    }
    if (chunk.kind !== "dispatchers") continue;
    for (const { id, life } of chunk.ended) if (life > (ended.get(id) ?? -1n)) ended.set(id, life);
    for (const one of chunk.lives) {
      const { id, life, node, tableId, schemaId, schemaSince, since, slot, addedAt } = one;
      if (lives.has(id)) throw new Error(`dispatcher ${id} stands in two chunks`);
      const [from, to] = keysOf(one.start, one.end);
      const at = { id: chunk.id, version: chunk.version };
      lives.set(id, {
        id,
        life,
        node,
        tableId,
        schemaId,
        schemaSince,
        since,
        from,
        to,
        chunk: at,
        slot,
        addedAt,
      });
    }
  }
  return { roster: { lives, ended, tables, dropped, starts, queues }, missing };
}

/** Of an outer end that is left empty: the table's own. */
const LAST = 256;

/** A span as keys of rows: they are the last byte, alone or behind the table's own key. That by itself, or none, is an end of the table. */
export function keysOf(start: Uint8Array, end: Uint8Array): [number, number] {
  const inner = (key: Uint8Array) => (key.length === 1 || key.length === 19 ? key.at(-1)! : undefined);
  return [inner(start) ?? 0, inner(end) ?? LAST];
}

/** Whether spans join from the first key to the last without a gap (protocol.md R9). */
export function covered(spans: Iterable<{ readonly from: number; readonly to: number }>): boolean {
  let next = 0;
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    if (from > next) return false;
    if (to > next) next = to;
  }
  return next >= LAST;
}

/**
 * Versions of a chunk of which a barrier's item says that all of it has reported: `17.3` for version 3 of chunk 17 (docs,
 * invariants.md S2). Later ones say nothing of an earlier one.
 */
export function markedVersions(marks: Iterable<string>, chunk: { id: number; version: number }): number[] {
  const versions: number[] = [];
  for (const mark of marks) {
    const [id, version] = mark.split(".").map(Number);
    if (id === chunk.id && version! <= chunk.version) versions.push(version!);
  }
  return versions;
}
