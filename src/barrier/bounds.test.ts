/** How large a roster gets, whatever comes: each chunk fits into an item, each set has an end (protocol.md R12). */
import { describe, expect, it } from "vitest";
import { decodeChunk, encodeChunk } from "../storage/chunk-codec.ts";
import { MAX_ITEM_BYTES } from "../storage/dynamodb/too-large.ts";
import { MAX_DROPPED, MAX_ENDED, MAX_NODES, TABLES_PER_CHUNK } from "./chunk-room.ts";
import { RosterDraft } from "./draft.ts";
import { applyMembership, type Registration } from "./membership.ts";
import { EMPTY_META, Roster } from "./roster.ts";

const DAY = 24 * 3600 * 1000;
const KEEP = 15 * DAY;
const START = 1_700_000_000_000;
const hex = (number: number) => number.toString(16).padStart(32, "0");

/** A roster that is stored and read back with each change. */
class Stored {
  roster = new Roster(0, EMPTY_META, []);
  now = START;

  change<T>(work: (draft: RosterDraft) => T): T {
    const draft = new RosterDraft(this.roster, this.now, KEEP);
    const result = work(draft);
    if (!draft.changed) return result;
    const chunks = new Map(this.roster.chunks);
    for (const id of draft.emptied()) chunks.delete(id);
    for (const chunk of draft.finish()) {
      const bytes = encodeChunk(chunk);
      if (bytes.length > MAX_ITEM_BYTES) throw new Error(`a ${chunk.kind} chunk of ${bytes.length} bytes`);
      chunks.set(chunk.id, decodeChunk(bytes));
    }
    this.roster = new Roster(draft.version, draft.meta, chunks.values());
    return result;
  }

  registers(
    node: string,
    start: bigint,
    spans: Registration["spans"] = [],
    more: Partial<Registration> = {},
  ) {
    const sender = { node, start, principal: "p", sentAt: this.now };
    const queue = `weir-action-${node}`.slice(0, 80);
    return this.change((draft) =>
      applyMembership(draft, {
        kind: "registration",
        sender,
        replyQueue: queue,
        nodeQueue: queue,
        encoding: "json",
        spans,
        ...more,
      }),
    );
  }

  leaves(node: string, start: bigint) {
    const sender = { node, start, principal: "p", sentAt: this.now };
    return this.change((draft) => applyMembership(draft, { kind: "leaving", sender }));
  }
}

const span = (id: number, life: bigint, more: Partial<Registration["spans"][number]> = {}) => ({
  id: hex(id),
  life,
  tableId: BigInt(id),
  schemaId: 1n,
  start: new Uint8Array(),
  end: new Uint8Array(),
  state: 0,
  checkpointTs: 1n,
  ...more,
});

describe("nodes", () => {
  it("that leave are forgotten, with their chunks, and what they sent before is refused", () => {
    const world = new Stored();
    world.registers("stays", BigInt(START), [span(1, 1n)]);
    for (let count = 0; count < 4_000; count++) {
      world.now += 1000;
      const start = BigInt(world.now);
      world.registers(`pod-${count}`, start, [span(2, start)]);
      world.leaves(`pod-${count}`, start);
    }
    expect([...world.roster.nodes.keys()]).toEqual(["stays"]);
    expect(world.roster.chunks.size).toBeLessThan(4);
    const late = BigInt(world.now - 5_000);
    expect(world.registers("pod-3995", late, [span(3, late)])).toMatchObject({
      accepted: [],
      knownStart: BigInt(world.now),
    });
    expect(world.roster.nodes.has("pod-3995")).toBe(false);
    // A clock that is behind: it is told, and starts above it.
    expect(world.registers("new", BigInt(world.now + 1), [span(3, late)]).accepted).toHaveLength(1);
  });

  it("that say what is no time are not forgotten, so that they keep nobody out", () => {
    const world = new Stored();
    const absurd = BigInt(Number.MAX_SAFE_INTEGER);
    world.registers("odd", absurd);
    world.leaves("odd", absurd);
    expect(world.roster.nodes.get("odd")).toMatchObject({ nodeQueue: "" });
    expect(world.registers("new", BigInt(START)).knownStart).toBeUndefined();
  });

  it("with the longest names fill many chunks; beyond the bound idle ones are forgotten, then new ones are refused", () => {
    const world = new Stored();
    world.change((draft) => {
      for (let count = 0; count < MAX_NODES; count++)
        draft.putNode({
          id: `${count}`.padEnd(256, "n"),
          start: BigInt(START + count),
          nodeQueue: "q".repeat(80),
          encoding: "protobuf",
          principal: "P".repeat(128),
        });
    });
    world.now += DAY;
    expect(world.registers("one-more", BigInt(world.now)).rejected).toBeUndefined();
    expect(world.roster.nodes.size).toBe(MAX_NODES - MAX_NODES / 10 + 1);
    expect(world.roster.nodes.has("0".padEnd(256, "n"))).toBe(false);
    world.change((draft) => {
      let id = 10;
      for (const node of draft.nodes())
        draft.addLife({
          ...span(id++, 1n),
          node: node.id,
          queue: "q",
          stateAt: 0,
          since: 1n,
          schemaSince: 0n,
        });
      for (let count = draft.nodeCount; count < MAX_NODES; count++) {
        draft.putNode({
          id: `more-${count}`,
          start: 1n,
          nodeQueue: "q",
          encoding: "json",
          principal: "",
        });
        draft.addLife({
          ...span(id++, 1n),
          node: `more-${count}`,
          queue: "q",
          stateAt: 0,
          since: 1n,
          schemaSince: 0n,
        });
      }
    });
    expect(world.registers("too-many", BigInt(world.now)).rejected).toContain("evict those that are gone");
    expect(world.registers("one-more", BigInt(world.now)).rejected).toBeUndefined();
  });
});

describe("dispatchers", () => {
  it("with the longest keys and names fit, also when all are lost and given to others with long names", () => {
    const world = new Stored();
    const node = "n".repeat(256);
    const long = { start: new Uint8Array(4_096).fill(1), end: new Uint8Array(4_096).fill(2) };
    const short = { start: new Uint8Array(180).fill(1), end: new Uint8Array(180).fill(2) };
    const ids = Array.from({ length: 500 }, (_, at) => at + 1);
    world.registers(
      node,
      BigInt(START),
      ids.map((id) => span(id, BigInt(START), { tableId: 7n, ...(id % 2 ? long : short) })),
    );
    world.registers(node, BigInt(START + 1));
    world.change((draft) => {
      draft.putTable({ tableId: 7n, schemaId: 1n, since: 0n, schemaSince: 0n });
      for (const { chunk, ended } of [...world.roster.lost()])
        draft.giveLost(chunk.id, ended.id, {
          node: `${ended.id}`.padEnd(256, "g"),
          life: 2n ** 63n,
          at: 2 ** 50,
          startTs: 2n ** 63n,
          skipDMLAsStartTs: true,
        });
    });
    expect([...world.roster.lost()]).toHaveLength(500);
  });

  it("that end with their tables a thousand times a day spill over, and leave when nothing can come of them", () => {
    const world = new Stored();
    world.change((draft) => draft.putTable({ tableId: 1n, schemaId: 1n, since: 0n, schemaSince: 0n }));
    let id = 1;
    let most = 0;
    for (let day = 0; day < 40; day++)
      for (let quarter = 0; quarter < 4; quarter++) {
        world.now += DAY / 4;
        const life = BigInt(world.now);
        world.registers("n1", BigInt(START), [span(id, life)]);
        world.change((draft) => {
          for (let count = 0; count < 250; count++) {
            draft.endLife(hex(id), life);
            draft.dropTable(BigInt(id), BigInt(id) * 10n);
            id++;
            draft.putTable({ tableId: BigInt(id), schemaId: 1n, since: BigInt(id) * 10n, schemaSince: 0n });
            draft.addLife({
              ...span(id, life),
              node: "n1",
              queue: `weir-action-${hex(id)}`,
              stateAt: 0,
              since: 1n,
              schemaSince: 0n,
            });
          }
        });
        world.change((draft) => draft.tidy());
        most = Math.max(most, world.roster.chunks.size);
      }
    expect(most).toBeLessThan(60);
    world.now += 16 * DAY;
    world.change((draft) => draft.tidy());
    expect(world.roster.chunks.size).toBeLessThan(6);
    // What was forgotten revives nobody: a life that low is refused, a higher one is not.
    const late = world.registers("n1", BigInt(START), [span(50, BigInt(START))]);
    expect(late.accepted).toEqual([]);
    const knownLife = late.refused[0]!.knownLife;
    expect(world.roster.meta.forgotten!.lives).toBeGreaterThan(0n);
    expect(world.registers("n1", BigInt(START), [span(50, knownLife + 1n)]).accepted).toHaveLength(1);
  });

  it("beyond the bound the oldest that ended are forgotten, and what was dropped first", () => {
    const world = new Stored();
    world.change((draft) => {
      for (let id = 1; id <= MAX_ENDED + 1; id++)
        draft.rememberEnded({ id: hex(id), life: BigInt(START - 100_000 + id), node: "n1", queue: "" });
    });
    const ended = world.roster.dispatchers.reduce((count, chunk) => count + chunk.ended.length, 0);
    expect(ended).toBe(MAX_ENDED + 1 - MAX_ENDED / 10);
    expect(world.roster.meta.forgotten!.lives).toBe(BigInt(START - 100_000 + MAX_ENDED / 10));
    expect(world.registers("n1", BigInt(START), [span(1, BigInt(START - 99_999))]).refused[0]).toMatchObject({
      knownLife: world.roster.meta.forgotten!.lives,
    });
    world.change((draft) => {
      for (let id = 1; id <= MAX_DROPPED + 1; id++) {
        draft.putTable({ tableId: BigInt(id), schemaId: 1n, since: 1n, schemaSince: 0n });
        draft.dropTable(BigInt(id), 5n);
      }
    });
    expect(world.roster.dropped.size).toBe(MAX_DROPPED + 1 - MAX_DROPPED / 10);
    expect(world.roster.dropped.has(1n)).toBe(false);
  });

  it("of old nodes are judged by when they were sent: a late copy of what was forgotten revives nobody", () => {
    const world = new Stored();
    world.change((draft) => draft.putTable({ tableId: 5n, schemaId: 1n, since: 0n, schemaSince: 0n }));
    expect(world.registers("old", 0n, [span(5, 0n)]).accepted).toHaveLength(1);
    world.now += 1_000;
    const endedAt = world.now;
    world.change((draft) => draft.endLife(hex(5), BigInt(endedAt)));
    world.now += 16 * DAY;
    world.change((draft) => draft.tidy());
    expect(world.roster.ended(hex(5))).toBeUndefined();
    world.now = endedAt;
    expect(world.registers("old", 0n, [span(5, 0n)]).accepted).toEqual([]);
    world.now = endedAt + 1;
    expect(world.registers("old", 0n, [span(5, 0n)]).accepted).toHaveLength(1);
  });

  it("that are lost are remembered as long as somebody has to create them again", () => {
    const world = new Stored();
    world.change((draft) => draft.putTable({ tableId: 1n, schemaId: 1n, since: 0n, schemaSince: 0n }));
    world.registers("n1", BigInt(START), [span(1, BigInt(START))]);
    world.registers("n1", BigInt(START + 1));
    world.now += 40 * DAY;
    world.change((draft) => draft.tidy());
    world.registers("n1", BigInt(START + 1), [span(2, BigInt(world.now))]);
    expect([...world.roster.lost()]).toHaveLength(1);
  });
});

describe("tables and routes", () => {
  it("that are given to nodes with long names move to where there is room", () => {
    const world = new Stored();
    const table = (id: number) => ({ tableId: BigInt(id), schemaId: 1n, since: 9n, schemaSince: 0n });
    world.change((draft) => {
      for (let id = 1; id <= TABLES_PER_CHUNK; id++) draft.putTable(table(id));
    });
    expect(world.roster.chunks.size).toBe(1);
    world.change((draft) => {
      for (let id = 1; id <= TABLES_PER_CHUNK; id++)
        draft.putTable({
          ...table(id),
          scheduled: { node: `${id}`.padEnd(256, "n"), life: 2n ** 63n, at: 2 ** 50 },
        });
    });
    expect(world.roster.tables.size).toBe(TABLES_PER_CHUNK);
    expect(world.roster.tables.get(5n)!.scheduled!.node).toMatch(/^5n/);
  });

  it("with long names are spread over chunks, and leave them empty of what is released", () => {
    const world = new Stored();
    const routes = Array.from({ length: 300 }, (_, at) => ({
      sourceSchema: `${at}`.padEnd(1_000, "s"),
      sourceTable: "t".repeat(1_000),
      targetSchema: `${at}`.padEnd(1_000, "u"),
      targetTable: "v".repeat(1_000),
    }));
    world.change((draft) => draft.changeRoutes(routes, []));
    expect(world.roster.routes().bySource.size).toBe(300);
    world.change((draft) => draft.changeRoutes([], routes));
    expect(world.roster.chunks.size).toBe(0);
  });
});
