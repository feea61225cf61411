import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Chunk, Life, LostLife } from "../barrier/roster.ts";
import { tableRange } from "../protocol/span.ts";
import { decodeChunk, decodeLists, decodeWhole, encodeChunk } from "./chunk-codec.ts";
import { MAX_ITEM_BYTES } from "./dynamodb/too-large.ts";

const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const name = fc.string({ unit: "grapheme", maxLength: 12 });
const id = uint64.chain((high) => uint64.map((low) => hex(high) + hex(low)));
const hex = (half: bigint) => half.toString(16).padStart(16, "0");
const bytes = fc.uint8Array({ maxLength: 40 });

const life: fc.Arbitrary<Life> = fc
  .record({
    slot: uint32,
    id,
    life: uint64,
    node: name,
    queue: name,
    tableId: int64,
    schemaId: int64,
    start: bytes,
    end: bytes,
    state: fc.integer({ min: 0, max: 6 }),
    stateAt: time,
    since: uint64,
    schemaSince: uint64,
    addedAt: uint32,
    schemaAt: uint32,
    whole: fc.boolean(),
  })
  .map(({ whole, ...one }) => (whole ? { ...one, ...tableRange(one.tableId) } : one));

const scheduled = fc.record({ node: name, life: uint64, at: time });

const lost: fc.Arbitrary<LostLife> = fc.record(
  {
    was: life,
    endedOn: uint32,
    given: fc.record({
      node: name,
      life: uint64,
      at: time,
      startTs: uint64,
      skipDMLAsStartTs: fc.boolean(),
    }),
  },
  { requiredKeys: ["was", "endedOn"] },
);

const dropped = fc.record({ tableId: int64, schemaId: int64 });

const chunk: fc.Arbitrary<Chunk> = fc.oneof(
  fc.record({
    kind: fc.constant("routes" as const),
    id: uint32,
    version: uint32,
    routes: fc.array(
      fc.record({ sourceSchema: name, sourceTable: name, targetSchema: name, targetTable: name }),
      { maxLength: 3 },
    ),
  }),
  fc.record({
    kind: fc.constant("dispatchers" as const),
    id: uint32,
    node: name,
    version: uint32,
    nextSlot: uint32,
    lives: fc.array(life, { maxLength: 5 }),
    ended: fc.array(
      fc.record(
        { id, life: uint64, node: name, queue: name, endedAt: time, lost, dropped },
        { requiredKeys: ["id", "life", "node", "queue", "endedAt"] },
      ),
      { maxLength: 3 },
    ),
  }),
  fc.record(
    {
      kind: fc.constant("tables" as const),
      id: uint32,
      version: uint32,
      tables: fc.array(
        fc.record(
          { tableId: int64, schemaId: int64, since: uint64, schemaSince: uint64, scheduled },
          { requiredKeys: ["tableId", "schemaId", "since", "schemaSince"] },
        ),
        { maxLength: 5 },
      ),
      dropped: fc.array(fc.record({ tableId: int64, droppedAt: time, droppedBy: uint64 }), { maxLength: 3 }),
      opening: uint32,
    },
    { requiredKeys: ["kind", "id", "version", "tables", "dropped"] },
  ),
  fc.record({
    kind: fc.constant("nodes" as const),
    id: uint32,
    version: uint32,
    nodes: fc.array(
      fc.record(
        {
          id: name,
          start: uint64,
          nodeQueue: name,
          encoding: fc.constantFrom("json" as const, "protobuf" as const),
          principal: name,
          keyspace: fc.integer({ min: 1, max: 100 }),
          failure: fc.string({ minLength: 1 }),
          failureAt: fc.nat(),
          unseenSince: fc.nat(),
        },
        { requiredKeys: ["id", "start", "nodeQueue", "encoding", "principal"] },
      ),
      { maxLength: 3 },
    ),
  }),
);

describe("stored chunks", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(chunk, (one) => {
        expect(decodeChunk(encodeChunk(one))).toEqual(one);
      }),
    );
  });

  it("are read the quick way where they have long lists, and the same as by the schema", () => {
    fc.assert(
      fc.property(chunk, (one) => {
        const bytes = encodeChunk(one);
        const quick = decodeLists(bytes);
        expect(quick !== undefined).toBe(one.kind === "dispatchers" || one.kind === "tables");
        if (quick !== undefined) expect(quick).toEqual(decodeWhole(bytes));
      }),
    );
  });

  it("that are damaged are read as by the schema, or not the quick way", () => {
    fc.assert(
      fc.property(
        chunk,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
        fc.nat(),
        (one, changes, cut) => {
          const whole = encodeChunk(one);
          const bytes = cut % 3 === 0 ? whole.slice(0, cut % (whole.length + 1)) : whole;
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          expect(outcome(() => decodeChunk(bytes))).toEqual(outcome(() => decodeWhole(bytes)));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("of 400 lives with keys of 40 bytes and long names take a tenth of an item", () => {
    const lives = Array.from(
      { length: 400 },
      (_, slot): Life => ({
        slot,
        id: hex(2n ** 64n - 1n) + hex(2n ** 64n - 1n - BigInt(slot)),
        life: 2n ** 63n,
        node: "n".repeat(200),
        queue: "q".repeat(80),
        tableId: 2n ** 62n,
        schemaId: 2n ** 62n,
        start: new Uint8Array(40).fill(255),
        end: new Uint8Array(40).fill(255),
        state: 6,
        stateAt: Number.MAX_SAFE_INTEGER,
        since: 2n ** 63n,
        schemaSince: 2n ** 63n,
        addedAt: 2 ** 31,
        schemaAt: 2 ** 31,
      }),
    );
    const ended = lives.map((was) => ({
      id: was.id,
      life: was.life,
      node: was.node,
      queue: was.queue,
      endedAt: 2 ** 50,
      lost: {
        was,
        endedOn: 2 ** 31,
        given: { node: "g", life: was.life, at: 2 ** 50, startTs: 2n ** 63n, skipDMLAsStartTs: true },
      },
    }));
    const base = { kind: "dispatchers" as const, id: 1, node: "n", version: 2, nextSlot: 400 };
    expect(encodeChunk({ ...base, lives, ended: [] }).length).toBeLessThan(MAX_ITEM_BYTES / 5);
    expect(encodeChunk({ ...base, lives, ended }).length).toBeLessThan(MAX_ITEM_BYTES / 2);
  });

  it("of 2000 tables that were scheduled on nodes with long names fit as well", () => {
    const tables = Array.from({ length: 2000 }, (_, index) => ({
      tableId: 2n ** 62n + BigInt(index),
      schemaId: 2n ** 62n,
      since: 2n ** 63n,
      schemaSince: 2n ** 63n,
      scheduled: { node: "n".repeat(200) + (index % 10), life: 2n ** 63n, at: 2 ** 50 },
    }));
    const stored = encodeChunk({ kind: "tables", id: 1, version: 2, tables, dropped: [] });
    expect(stored.length).toBeLessThan(MAX_ITEM_BYTES / 2);
  });

  it("that a later version wrote are refused with a reason", () => {
    expect(() => decodeChunk(new Uint8Array([8, 5, 16, 3]))).toThrow(
      "roster chunk 5 version 3 has a content that this version of Weir does not know",
    );
  });
});

function outcome(read: () => Chunk): Chunk | "error" {
  try {
    return read();
  } catch {
    return "error";
  }
}
