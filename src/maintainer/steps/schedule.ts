/** Who is told to create and remove dispatchers (protocol.md M10): the node, or the deployment's one scheduler. */
import { createHash } from "node:crypto";
import type { Applied } from "../../barrier/apply.ts";
import type { DispatcherKey } from "../../barrier/dispatcher-id.ts";
import type { LeftOver, RegisteredSpan } from "../../barrier/membership.ts";
import type { Roster, TableEntry } from "../../barrier/roster.ts";
import type { Encoding } from "../../protocol/codec.ts";
import { parseKeyText } from "../../protocol/event-key.ts";
import { ComponentState } from "../../protocol/messages.ts";
import { type KeyRange, tableRange } from "../../protocol/span.ts";
import type { Program } from "../base/program.ts";
import type { Session } from "../session/session.ts";

/** Where `ScheduleDispatcherRequest` goes. */
export interface SchedulerQueue {
  readonly name: string;
  readonly encoding: Encoding;
  /** A node that knows of lives which it is given; a scheduler and old nodes do not. */
  readonly takesLives: boolean;
  /** The keyspace of an old node's tables; 0: none. undefined: a dispatcher of a whole table has no keys. */
  readonly keyspace: number | undefined;
}

/** Where `ScheduleDispatcherRequest` goes for a node; undefined: nobody can be told. */
export function schedulerQueue(
  session: Session,
  roster: Roster,
  node: string | undefined,
): SchedulerQueue | undefined {
  const { schedulerQueue: one } = session.settings;
  if (one) return { name: one, encoding: "json", takesLives: false, keyspace: undefined };
  const entry = node === undefined ? undefined : roster.nodes.get(node);
  if (entry === undefined || entry.nodeQueue === "") return undefined;
  const isNew = entry.start > 0n;
  return {
    name: entry.nodeQueue,
    encoding: entry.encoding,
    takesLives: isNew,
    keyspace: isNew ? undefined : (entry.keyspace ?? 0),
  };
}

/** Tells those who schedule what an applied event needs of them (protocol.md M10). */
export function* tellScheduler(session: Session, key: string, applied: Applied): Program<void> {
  const roster = yield* session.roster();
  for (const life of applied.removed) {
    const queue = schedulerQueue(session, roster, life.node);
    if (queue) session.outbox.removeDispatcher(queue.name, queue.encoding, life);
    else if (roster.isOld(life.node)) yield* tellRemove(session, life.node, [life]);
  }
  for (const table of applied.added) tellCreate(session, roster, table, parseKeyText(key).commitTs);
}

/** Tells a node once more to remove dispatchers whose tables were dropped (protocol.md R18). */
export function* tellRemove(session: Session, node: string, leftOver: readonly LeftOver[]): Program<void> {
  const roster = yield* session.roster();
  const queue = schedulerQueue(session, roster, node);
  const encoding = queue?.encoding ?? roster.nodes.get(node)?.encoding ?? "json";
  for (const one of leftOver) {
    // A node that has registered one dispatcher only has named that one's queue.
    const name = queue?.name ?? one.queue;
    if (name !== "") session.outbox.removeDispatcher(name, encoding, { ...one, ...NO_KEYS });
  }
}

/** Asks again for dispatchers of tables that an event added and that nobody has registered (protocol.md M10). */
export function* missingTables(session: Session): Program<void> {
  const roster = yield* session.roster();
  for (const table of unhosted(roster)) tellCreate(session, roster, table, table.since);
}

/** Tables that an event added and that nobody has. One that had a dispatcher and lost it is asked for as it was. */
export function unhosted(roster: Roster): TableEntry[] {
  const lost = new Set([...roster.lost()].map((one) => one.lost.was.tableId));
  return [...roster.tables.values()].filter(
    (table) => table.since > 0n && roster.ofTable(table.tableId).length === 0 && !lost.has(table.tableId),
  );
}

/** The dispatcher that is asked for where an event added a table: the same whoever is asked. */
export function dispatcherOf(session: Session, tableId: bigint): DispatcherKey {
  return createHash("sha256")
    .update(`${session.space.text} ${session.root!.epoch} ${tableId}`)
    .digest("hex")
    .slice(0, 32);
}

/** Asks for a table's dispatcher. Asking again names the same dispatcher, in the same life. */
function tellCreate(session: Session, roster: Roster, table: TableEntry, startTs: bigint): void {
  const { scheduled } = table;
  const queue = schedulerQueue(session, roster, scheduled?.node);
  if (queue === undefined) return;
  const id = dispatcherOf(session, table.tableId);
  const life = queue.takesLives ? (scheduled?.life ?? 0n) : 0n;
  // That life is over: who obeyed would be refused.
  if (life > 0n && (roster.ended(id)?.life ?? 0n) >= life) return;
  session.outbox.createDispatcher(queue.name, queue.encoding, {
    id,
    life,
    tableId: table.tableId,
    schemaId: table.schemaId,
    ...wholeTable(queue, table.tableId),
    startTs,
    skipDMLAsStartTs: false,
    move: false,
  });
}

const NO_KEYS: KeyRange = { start: new Uint8Array(), end: new Uint8Array() };

/**
 * The keys that a dispatcher of a whole table is created with. An old node takes one without for a part of a table, and reads all
 * keys that there are (protocol.md R16).
 */
export function wholeTable({ keyspace }: SchedulerQueue, tableId: bigint): KeyRange & { keyspace?: number } {
  return keyspace === undefined ? NO_KEYS : { ...tableRange(tableId, keyspace), keyspace };
}

/** The dispatchers that nodes were asked to create and that are not there yet, by node and id. */
export class AskedOf {
  readonly #session: Session;
  readonly #roster: Roster;
  #asked: ReadonlyMap<string, RegisteredSpan> | undefined;

  constructor(session: Session, roster: Roster) {
    this.#session = session;
    this.#roster = roster;
  }

  /** What was asked of a node under this id, as it stands when it has done so. */
  find(node: string, id: DispatcherKey): RegisteredSpan | undefined {
    this.#asked ??= new Map(this.#all());
    return this.#asked.get(`${node} ${id}`);
  }

  *#all(): Iterable<[string, RegisteredSpan]> {
    const roster = this.#roster;
    const state = ComponentState.Working;
    for (const { tableId, schemaId, since, scheduled } of unhosted(roster)) {
      const queue = schedulerQueue(this.#session, roster, scheduled?.node);
      if (scheduled === undefined || queue === undefined) continue;
      const id = dispatcherOf(this.#session, tableId);
      const { start, end } = wholeTable(queue, tableId);
      const span = { id, life: 0n, tableId, schemaId, start, end, state, checkpointTs: since };
      yield [`${scheduled.node} ${id}`, span];
    }
    for (const { ended, lost } of roster.lost()) {
      if (lost.given === undefined) continue;
      const { tableId, schemaId, start, end } = lost.was;
      const checkpointTs = lost.given.startTs;
      const span = { id: ended.id, life: 0n, tableId, schemaId, start, end, state, checkpointTs };
      yield [`${lost.given.node} ${ended.id}`, span];
    }
  }
}
