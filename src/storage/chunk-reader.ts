import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Life, TableEntry } from "../barrier/roster.ts";
import { tableRange } from "../protocol/span.ts";

/** A table, and the number of the name of its node. */
export interface TableAsStored extends Omit<TableEntry, "scheduled"> {
  readonly scheduledOn?: number | undefined;
  readonly scheduledLife: bigint;
  readonly scheduledAt: bigint;
}

/**
 * Reads the long lists of a chunk, lives and tables, without reflection: the first message of an environment reads the whole
 * roster before V8 has compiled anything (decisions/0022). Whatever is not written as `encodeChunk` writes it is undefined
 * here, and read by who reads it whole. 64-bit numbers are bigints where there are any, as everywhere in Node. A tag is a field's number and its wire type: 0 for numbers, 2 for what has a length.
 */
export class ChunkReader {
  readonly #reader: BinaryReader;
  readonly #buffer: Buffer;

  constructor(bytes: Uint8Array) {
    this.#reader = new BinaryReader(bytes);
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A StoredChunk up to its content, which is its last field. */
  head(): { id: number; version: number; field: number } | undefined {
    const reader = this.#reader;
    let id = 0;
    let version = 0;
    while (reader.pos < reader.len) {
      const tag = this.#tag();
      if (tag === 1 << 3) id = reader.uint32();
      else if (tag === 2 << 3) version = reader.uint32();
      else {
        const end = reader.uint32() + reader.pos;
        return end === reader.len && (tag & 7) === 2 ? { id, version, field: tag >>> 3 } : undefined;
      }
    }
    return undefined;
  }

  /** A StoredDispatchers, up to the end. */
  dispatchers() {
    const reader = this.#reader;
    let node = "";
    let nextSlot = 0;
    const names: string[] = [];
    const lives: Life[] = [];
    const ended: Uint8Array[] = [];
    while (reader.pos < reader.len) {
      const tag = this.#tag();
      if (tag === ((4 << 3) | 2)) {
        const life = this.#life(names);
        if (life === undefined) return undefined;
        lives.push(life);
      } else if (tag === ((3 << 3) | 2)) names.push(reader.string(true));
      else if (tag === ((5 << 3) | 2)) ended.push(reader.bytes());
      else if (tag === ((1 << 3) | 2)) node = reader.string(true);
      else if (tag === 2 << 3) nextSlot = reader.uint32();
      else return undefined;
    }
    return reader.pos === reader.len ? { node, nextSlot, names, lives, ended } : undefined;
  }

  /** A StoredLife behind its length; its names stand in front of it. */
  #life(names: readonly string[]): Life | undefined {
    const reader = this.#reader;
    const stop = reader.uint32() + reader.pos;
    let slot = 0;
    let node = 0;
    let queue = 0;
    let state = 0;
    let stateAt = 0;
    let addedAt = 0;
    let schemaAt = 0;
    let life = 0n;
    let tableId = 0n;
    let schemaId = 0n;
    let since = 0n;
    let schemaSince = 0n;
    let id = "";
    let start: Uint8Array = NOTHING;
    let end: Uint8Array = NOTHING;
    let whole = false;
    while (reader.pos < stop) {
      switch (this.#tag()) {
        case 1 << 3:
          slot = reader.uint32();
          break;
        case (2 << 3) | 2:
          id = this.#hex();
          break;
        case 3 << 3:
          life = reader.uint64() as bigint;
          break;
        case 4 << 3:
          node = reader.uint32();
          break;
        case 5 << 3:
          queue = reader.uint32();
          break;
        case 6 << 3:
          tableId = reader.int64() as bigint;
          break;
        case 7 << 3:
          schemaId = reader.int64() as bigint;
          break;
        case (8 << 3) | 2:
          start = reader.bytes();
          break;
        case (9 << 3) | 2:
          end = reader.bytes();
          break;
        case 10 << 3:
          state = reader.uint32();
          break;
        case 11 << 3:
          stateAt = Number(reader.uint64());
          break;
        case 12 << 3:
          since = reader.uint64() as bigint;
          break;
        case 13 << 3:
          addedAt = reader.uint32();
          break;
        case 14 << 3:
          schemaAt = reader.uint32();
          break;
        case 15 << 3:
          whole = reader.bool();
          break;
        case 16 << 3:
          schemaSince = reader.uint64() as bigint;
          break;
        default:
          return undefined;
      }
    }
    const nodeName = names[node];
    const queueName = names[queue];
    if (reader.pos !== stop || nodeName === undefined || queueName === undefined) return undefined;
    if (whole) {
      const range = tableRange(tableId);
      start = range.start;
      end = range.end;
    }
    return {
      slot,
      id,
      life,
      node: nodeName,
      queue: queueName,
      tableId,
      schemaId,
      start,
      end,
      state,
      stateAt,
      since,
      schemaSince,
      addedAt,
      schemaAt,
    };
  }

  /** A StoredTables, up to the end. */
  tables() {
    const reader = this.#reader;
    const tables: TableAsStored[] = [];
    const names: string[] = [];
    const dropped: Uint8Array[] = [];
    let opening: number | undefined;
    while (reader.pos < reader.len) {
      const tag = this.#tag();
      if (tag === ((1 << 3) | 2)) {
        const table = this.#table();
        if (table === undefined) return undefined;
        tables.push(table);
      } else if (tag === ((2 << 3) | 2)) dropped.push(reader.bytes());
      else if (tag === ((3 << 3) | 2)) names.push(reader.string(true));
      else if (tag === 4 << 3) opening = reader.uint32();
      else return undefined;
    }
    return reader.pos === reader.len ? { tables, names, dropped, opening } : undefined;
  }

  /** A StoredTable behind its length. */
  #table(): TableAsStored | undefined {
    const reader = this.#reader;
    const stop = reader.uint32() + reader.pos;
    let tableId = 0n;
    let schemaId = 0n;
    let since = 0n;
    let schemaSince = 0n;
    let scheduledOn: number | undefined;
    let scheduledLife = 0n;
    let scheduledAt = 0n;
    while (reader.pos < stop) {
      const tag = this.#tag();
      if (tag === 1 << 3) tableId = reader.int64() as bigint;
      else if (tag === 2 << 3) schemaId = reader.int64() as bigint;
      else if (tag === 3 << 3) since = reader.uint64() as bigint;
      else if (tag === 4 << 3) scheduledOn = reader.uint32();
      else if (tag === 5 << 3) schemaSince = reader.uint64() as bigint;
      else if (tag === 6 << 3) scheduledLife = reader.uint64() as bigint;
      else if (tag === 7 << 3) scheduledAt = reader.uint64() as bigint;
      else return undefined;
    }
    if (reader.pos !== stop) return undefined;
    const scheduled = scheduledOn !== undefined && { scheduledOn };
    return { tableId, schemaId, since, schemaSince, ...scheduled, scheduledLife, scheduledAt };
  }

  /** A tag as short as those of this schema are; 0, which is none, for what is written longer. */
  #tag(): number {
    const start = this.#reader.pos;
    const tag = this.#reader.uint32();
    return this.#reader.pos - start > 2 ? 0 : tag;
  }

  /** Bytes behind their length, as hex digits. */
  #hex(): string {
    const reader = this.#reader;
    const end = reader.uint32() + reader.pos;
    const text = this.#buffer.toString("hex", reader.pos, end);
    reader.pos = end;
    return text;
  }
}

const NOTHING = new Uint8Array();
