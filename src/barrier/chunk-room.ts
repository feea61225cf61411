/** How much a chunk of the roster holds: an item of the table has 400 KB, whatever names and keys somebody chooses. */
import type { Chunk, EndedLife, Life, NodeEntry, TableEntry } from "./roster.ts";
import type { Route } from "./routes.ts";

/** Lives in a chunk: few enough that a change rewrites little, enough that a set of chunks stays small. */
export const LIVES_PER_CHUNK = 400;
export const TABLES_PER_CHUNK = 2000;
export const ROUTES_PER_CHUNK = 500;

/** Bytes of what is there: lives and those that were lost, tables, nodes, routes. What is over has room beside it. */
export const CHUNK_BYTES = 160 * 1024;
/** Bytes of what is over: ended lives, dropped tables. */
export const PAST_BYTES = 64 * 1024;
/** By how much a life may grow when it is lost: its ending, and the name of the node that it is given to. */
export const LOST_BYTES = 360;

/** Ended lives, dropped tables and nodes of a whole roster. Beyond that the oldest are forgotten (protocol.md R12). */
export const MAX_ENDED = 50_000;
export const MAX_DROPPED = 50_000;
export const MAX_NODES = 10_000;

/** What a chunk holds at most, as stored: estimates that are never too low. */
export interface Fill {
  readonly present: number;
  readonly past: number;
}

const NUMBERS = 140;
const utf8 = (text: string) => Buffer.byteLength(text) + 4;

export function lifeBytes(life: Pick<Life, "start" | "end" | "queue">): number {
  return NUMBERS + life.start.length + life.end.length + utf8(life.queue);
}

export function endedBytes(ended: EndedLife): number {
  const own = 60 + (ended.dropped ? 24 : 0) + utf8(ended.node) + utf8(ended.queue);
  return ended.lost ? lifeBytes(ended.lost.was) + own : own;
}

export function tableBytes(table: TableEntry): number {
  return 60 + (table.scheduled ? 24 + utf8(table.scheduled.node) : 0);
}

export const DROPPED_BYTES = 36;

/** What a node says went wrong and when, its keyspace, and since when it is away. */
const FAILURE_BYTES = 232;

export function nodeBytes(node: NodeEntry): number {
  // The queue, the principal, and what went wrong may be told later.
  return (
    40 +
    FAILURE_BYTES +
    utf8(node.id) +
    Math.max(84, utf8(node.nodeQueue)) +
    Math.max(132, utf8(node.principal))
  );
}

export function routeBytes(route: Route): number {
  return (
    8 +
    utf8(route.sourceSchema) +
    utf8(route.sourceTable) +
    utf8(route.targetSchema) +
    utf8(route.targetTable)
  );
}

const sum = <T>(all: readonly T[], bytes: (one: T) => number) =>
  all.reduce((total, one) => total + bytes(one), 0);

export function fillOf(chunk: Chunk): Fill {
  switch (chunk.kind) {
    case "dispatchers": {
      const lost = chunk.ended.filter((one) => one.lost);
      const past = chunk.ended.filter((one) => !one.lost);
      return { present: sum(chunk.lives, lifeBytes) + sum(lost, endedBytes), past: sum(past, endedBytes) };
    }
    case "tables":
      return { present: sum(chunk.tables, tableBytes), past: chunk.dropped.length * DROPPED_BYTES };
    case "nodes":
      return { present: sum(chunk.nodes, nodeBytes), past: 0 };
    case "routes":
      return { present: sum(chunk.routes, routeBytes), past: 0 };
  }
}

/** Whether nothing is left in it: such a chunk leaves the roster. */
export function isEmpty(chunk: Chunk): boolean {
  switch (chunk.kind) {
    case "dispatchers":
      return chunk.lives.length === 0 && chunk.ended.length === 0;
    case "tables":
      return chunk.tables.length === 0 && chunk.dropped.length === 0;
    case "nodes":
      return chunk.nodes.length === 0;
    case "routes":
      return chunk.routes.length === 0;
  }
}

/** Whether more fits: an entry that is larger than a chunk has one of its own. */
export function fits(used: number, bytes: number, limit: number): boolean {
  return used === 0 || used + bytes <= limit;
}
