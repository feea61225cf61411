import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  Chunk,
  DispatcherChunk,
  DroppedTable,
  EndedLife,
  Life,
  LostLife,
  NodeEntry,
  TableChunk,
  TableEntry,
} from "../barrier/roster.ts";
import { WeirError } from "../error/weir-error.ts";
import { compareBytes, tableRange } from "../protocol/span.ts";
import {
  StoredChunkSchema,
  StoredDispatchersSchema,
  type StoredDropped,
  StoredDroppedSchema,
  type StoredEnded,
  StoredEndedSchema,
  type StoredLife,
  StoredLifeSchema,
  type StoredLost,
  StoredLostSchema,
  StoredOfTableSchema,
  StoredRoutesSchema,
  StoredTablesSchema,
} from "./chunk_pb.js";
import { ChunkReader, type TableAsStored } from "./chunk-reader.ts";

const idBytes = (id: string) => Uint8Array.from(Buffer.from(id, "hex"));
const idText = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** A chunk as it is stored: compact, and readable by later versions (chunk.proto). */
export function encodeChunk(chunk: Chunk): Uint8Array {
  return toBinary(
    StoredChunkSchema,
    create(StoredChunkSchema, { id: chunk.id, version: chunk.version, content: content(chunk) }),
  );
}

function content(chunk: Chunk) {
  switch (chunk.kind) {
    case "dispatchers":
      return {
        case: "dispatchers" as const,
        value: create(StoredDispatchersSchema, storedDispatchers(chunk)),
      };
    case "tables":
      return {
        case: "tables" as const,
        value: create(StoredTablesSchema, storedTables(chunk)),
      };
    case "nodes":
      return { case: "nodes" as const, value: { nodes: chunk.nodes.map(storedNode) } };
    case "routes":
      return {
        case: "routes" as const,
        value: create(StoredRoutesSchema, { routes: [...chunk.routes] }),
      };
  }
}

const storedNode = ({ unseenSince, failureAt, ...node }: NodeEntry) => ({
  ...node,
  ...(failureAt !== undefined && { failureAt: BigInt(failureAt) }),
  ...(unseenSince !== undefined && { unseenSince: BigInt(unseenSince) }),
});

/** Names that many entries share, each stored once. */
class Dictionary {
  readonly #index = new Map<string, number>();

  indexOf(name: string): number {
    const known = this.#index.get(name);
    if (known !== undefined) return known;
    this.#index.set(name, this.#index.size);
    return this.#index.size - 1;
  }

  get names(): string[] {
    return [...this.#index.keys()];
  }
}

function storedTables(chunk: TableChunk) {
  const dictionary = new Dictionary();
  const tables = chunk.tables.map(({ scheduled, ...table }) => ({
    ...table,
    ...(scheduled && {
      scheduledOn: dictionary.indexOf(scheduled.node),
      scheduledLife: scheduled.life,
      scheduledAt: BigInt(scheduled.at),
    }),
  }));
  const dropped = chunk.dropped.map((one) => ({ ...one, droppedAt: BigInt(one.droppedAt) }));
  const { opening } = chunk;
  return { tables, dropped, names: dictionary.names, ...(opening !== undefined && { opening }) };
}

function storedDispatchers(chunk: DispatcherChunk) {
  const dictionary = new Dictionary();
  const lives = chunk.lives.map((life) => storedLife(life, dictionary));
  const ended = chunk.ended.map((one) => ({
    id: idBytes(one.id),
    life: one.life,
    node: dictionary.indexOf(one.node),
    queue: dictionary.indexOf(one.queue),
    endedAt: BigInt(one.endedAt),
    ...(one.lost && { lost: create(StoredLostSchema, storedLost(one.lost, dictionary)) }),
    ...(one.dropped && { dropped: create(StoredOfTableSchema, one.dropped) }),
  }));
  return { node: chunk.node, nextSlot: chunk.nextSlot, names: dictionary.names, lives, ended };
}

function storedLife(life: Life, dictionary: Dictionary) {
  const whole = isWhole(life);
  return {
    slot: life.slot,
    id: idBytes(life.id),
    life: life.life,
    node: dictionary.indexOf(life.node),
    queue: dictionary.indexOf(life.queue),
    tableId: life.tableId,
    schemaId: life.schemaId,
    ...(!whole && { start: life.start, end: life.end }),
    whole,
    state: life.state,
    stateAt: BigInt(life.stateAt),
    since: life.since,
    schemaSince: life.schemaSince,
    addedAt: life.addedAt,
    schemaAt: life.schemaAt,
  };
}

function storedLost({ was, endedOn, given }: LostLife, dictionary: Dictionary) {
  return {
    was: create(StoredLifeSchema, storedLife(was, dictionary)),
    endedOn,
    ...(given && {
      givenTo: dictionary.indexOf(given.node),
      startTs: given.startTs,
      skipDml: given.skipDMLAsStartTs,
      givenLife: given.life,
      givenAt: BigInt(given.at),
    }),
  };
}

function lifeFrom(life: StoredLife, names: readonly string[]): Life {
  const range = life.whole ? tableRange(life.tableId) : life;
  return {
    slot: life.slot,
    id: idText(life.id),
    life: life.life,
    node: names[life.node]!,
    queue: names[life.queue]!,
    tableId: life.tableId,
    schemaId: life.schemaId,
    start: range.start,
    end: range.end,
    state: life.state,
    stateAt: Number(life.stateAt),
    since: life.since,
    schemaSince: life.schemaSince,
    addedAt: life.addedAt,
    schemaAt: life.schemaAt,
  };
}

function lostFrom(
  { was, endedOn, givenTo, startTs, skipDml, givenLife, givenAt }: StoredLost,
  names: readonly string[],
): LostLife {
  return {
    was: lifeFrom(was!, names),
    endedOn,
    ...(givenTo !== undefined && {
      given: {
        node: names[givenTo]!,
        startTs,
        skipDMLAsStartTs: skipDml,
        life: givenLife,
        at: Number(givenAt),
      },
    }),
  };
}

function endedFrom(one: StoredEnded, names: readonly string[]): EndedLife {
  return {
    id: idText(one.id),
    life: one.life,
    node: names[one.node]!,
    queue: names[one.queue]!,
    endedAt: Number(one.endedAt),
    ...(one.lost && { lost: lostFrom(one.lost, names) }),
    ...(one.dropped && { dropped: { tableId: one.dropped.tableId, schemaId: one.dropped.schemaId } }),
  };
}

function tableFrom(
  { tableId, schemaId, since, schemaSince, scheduledOn, scheduledLife, scheduledAt }: TableAsStored,
  names: readonly string[],
): TableEntry {
  const node = scheduledOn === undefined ? undefined : names[scheduledOn];
  return {
    tableId,
    schemaId,
    since,
    schemaSince,
    ...(node !== undefined && { scheduled: { node, life: scheduledLife, at: Number(scheduledAt) } }),
  };
}

function droppedFrom({ tableId, droppedAt, droppedBy }: StoredDropped): DroppedTable {
  return { tableId, droppedAt: Number(droppedAt), droppedBy };
}

function isWhole(life: Life): boolean {
  if (life.start.length === 0) return false;
  const range = tableRange(life.tableId);
  return compareBytes(life.start, range.start) === 0 && compareBytes(life.end, range.end) === 0;
}

/** The inverse of `encodeChunk`. */
export function decodeChunk(bytes: Uint8Array): Chunk {
  return decodeLists(bytes) ?? decodeWhole(bytes);
}

/** The quick way, of dispatchers and of tables. undefined: it is something else, which may be good all the same. */
export function decodeLists(bytes: Uint8Array): Chunk | undefined {
  const reader = new ChunkReader(bytes);
  const head = reader.head();
  if (head === undefined) return undefined;
  const { id, version, field } = head;
  if (field === StoredChunkSchema.field.dispatchers.number) {
    const content = reader.dispatchers();
    if (content === undefined) return undefined;
    const { node, nextSlot, names, lives } = content;
    const ended = content.ended.map((one) => endedFrom(fromBinary(StoredEndedSchema, one), names));
    return { kind: "dispatchers", id, node, version, nextSlot, lives, ended };
  }
  if (field === StoredChunkSchema.field.tables.number) {
    const content = reader.tables();
    if (content === undefined) return undefined;
    const tables = content.tables.map((table) => tableFrom(table, content.names));
    const dropped = content.dropped.map((one) => droppedFrom(fromBinary(StoredDroppedSchema, one)));
    const { opening } = content;
    return { kind: "tables", id, version, tables, dropped, ...(opening !== undefined && { opening }) };
  }
  return undefined;
}

/** The same by the schema alone. */
export function decodeWhole(bytes: Uint8Array): Chunk {
  const { id, version, content } = fromBinary(StoredChunkSchema, bytes);
  switch (content.case) {
    case "dispatchers": {
      const { node, nextSlot, names, lives, ended } = content.value;
      return {
        kind: "dispatchers",
        id,
        node,
        version,
        nextSlot,
        lives: lives.map((life) => lifeFrom(life, names)),
        ended: ended.map((one) => endedFrom(one, names)),
      };
    }
    case "tables":
      return {
        kind: "tables",
        id,
        version,
        tables: content.value.tables.map((table) => tableFrom(table, content.value.names)),
        dropped: content.value.dropped.map(droppedFrom),
        ...(content.value.opening !== undefined && { opening: content.value.opening }),
      };
    case "nodes":
      return {
        kind: "nodes",
        id,
        version,
        nodes: content.value.nodes.map(
          ({ id, start, nodeQueue, encoding, principal, keyspace, failure, failureAt, unseenSince }) => ({
            id,
            start,
            nodeQueue,
            encoding: encoding === "protobuf" ? "protobuf" : "json",
            principal,
            ...(keyspace > 0 && { keyspace }),
            ...(failure !== "" && { failure }),
            ...(failureAt !== undefined && { failureAt: Number(failureAt) }),
            ...(unseenSince !== undefined && { unseenSince: Number(unseenSince) }),
          }),
        ),
      };
    case "routes":
      return {
        kind: "routes",
        id,
        version,
        routes: content.value.routes.map(({ sourceSchema, sourceTable, targetSchema, targetTable }) => ({
          sourceSchema,
          sourceTable,
          targetSchema,
          targetTable,
        })),
      };
    default:
      throw new WeirError(
        "item-too-large",
        `roster chunk ${id} version ${version} has a content that this version of Weir does not know`,
      );
  }
}
