import type { BlockEvent } from "../../src/barrier/event.ts";
import type { Chunk, Life, TableEntry } from "../../src/barrier/roster.ts";
import type { EventKey } from "../../src/protocol/event-key.ts";

/** The roster of a root, read anew here: the rules that are checked are not those that are checked with. */
export interface Seen {
  readonly lives: readonly Life[];
  readonly tables: readonly TableEntry[];
}

export function seenIn(chunks: readonly (Chunk | undefined)[]): Seen {
  const lives: Life[] = [];
  const tables: TableEntry[] = [];
  for (const chunk of chunks)
    if (chunk?.kind === "dispatchers") lives.push(...chunk.lives);
    else if (chunk?.kind === "tables") tables.push(...chunk.tables);
  return { lives, tables };
}

/** Checkpoint T is past the DDL at T and not past the syncpoint at T (protocol.md R10). */
export function behind(checkpoint: bigint, key: EventKey): boolean {
  return key.isSyncPoint ? key.commitTs < checkpoint : key.commitTs <= checkpoint;
}

/** Whom an event touches and who has not been past it from the start (protocol.md M4, R10). */
export function influenced({ lives }: Seen, { influence, key }: BlockEvent): Life[] {
  return lives.filter((life) => {
    if (behind(life.since, key)) return false;
    if (influence.type === "All") return true;
    if (influence.type === "Normal") return influence.tableIds.has(life.tableId);
    return life.tableId === 0n || (life.schemaId === influence.schemaId && !behind(life.schemaSince, key));
  });
}

/** The tables that must be covered whole (protocol.md R8). */
export function expected({ tables }: Seen, { influence, key }: BlockEvent): bigint[] {
  return tables
    .filter((table) => {
      if (behind(table.since, key)) return false;
      if (influence.type === "All") return true;
      if (influence.type === "Normal") return influence.tableIds.has(table.tableId);
      return table.schemaId === influence.schemaId && !behind(table.schemaSince, key);
    })
    .map((table) => table.tableId);
}

/** Whether spans join from the start of their table to its end (protocol.md R9); ends of tables are empty keys here. */
export function tiled(lives: readonly Life[]): boolean {
  const text = (key: Uint8Array) => Buffer.from(key).toString("latin1");
  let reached = "";
  for (;;) {
    const next = lives.filter((life) => text(life.start) <= reached);
    if (next.some((life) => life.end.length === 0)) return true;
    const furthest = next.reduce((end, life) => (text(life.end) > end ? text(life.end) : end), reached);
    if (furthest === reached) return false;
    reached = furthest;
  }
}
