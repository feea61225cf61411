/** Who is told to create and remove dispatchers (protocol.md M10): the node, or the deployment's one scheduler. */
import { createHash } from "node:crypto";
import type { Applied } from "../barrier/apply.ts";
import type { DispatcherKey } from "../barrier/dispatcherid.ts";
import { RosterDraft } from "../barrier/draft.ts";
import type { RegisteredSpan } from "../barrier/membership.ts";
import { isOver, nextAssignedLife, Placement } from "../barrier/placement.ts";
import type { Assignment, NodeEntry, Roster, TableEntry } from "../barrier/roster.ts";
import type { Encoding } from "../protocol/codec.ts";
import { parseKeyText } from "../protocol/eventkey.ts";
import { ComponentState } from "../protocol/messages.ts";
import { type KeyRange, tableRange } from "../protocol/span.ts";
import { ask, type Program } from "./program.ts";
import { commitRoster } from "./rosterchange.ts";
import { MAX_ATTEMPTS, type Session } from "./session.ts";

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
  }
  for (const table of applied.added) tellCreate(session, roster, table, parseKeyText(key).commitTs);
}

/** Asks again for dispatchers of tables that an event added and that nobody has registered (protocol.md M10). */
export function* missingTables(session: Session): Program<void> {
  const roster = yield* session.roster();
  for (const table of unhosted(roster)) tellCreate(session, roster, table, table.since);
}

/** Tables that an event added and that nobody has. One that had a dispatcher and lost it is asked for as it was. */
function unhosted(roster: Roster): TableEntry[] {
  const lost = new Set([...roster.lost()].map((one) => one.lost.was.tableId));
  return [...roster.tables.values()].filter(
    (table) => table.since > 0n && roster.ofTable(table.tableId).length === 0 && !lost.has(table.tableId),
  );
}

/**
 * Gives tables that nobody has registered to another node: the one that was asked cannot be told, or has not obeyed for long.
 * Whom it asks, and with which life, is committed before it is told. The life of whoever was asked before is over from then
 * on, so that one who obeys late is refused (protocol.md R11).
 */
export function* reassignTables(session: Session): Program<void> {
  if (session.settings.schedulerQueue) return;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const roster = yield* session.roster();
    const due = unhosted(roster).filter((table) => isDue(session, roster, table));
    if (due.length === 0) return;
    const draft = new RosterDraft(roster, session.now, session.settings.rememberFor);
    const placement = new Placement(draft);
    for (const table of due) reassign(session, draft, placement, table);
    if (!draft.changed) return;
    if (yield* commitRoster(session, draft)) {
      session.observer.note({ what: "tables-reassigned", space: session.space.text, count: due.length });
      return;
    }
    yield* ask("pause", attempt);
  }
  throw new Error(`${session.space.text}: lost ${MAX_ATTEMPTS} races to give tables to other nodes`);
}

/**
 * Nodes whose queue is gone are asked for nothing any more, before they register again.
 * @returns whether there were any
 */
export function* retireNodes(session: Session): Program<boolean> {
  const gone = new Set(session.goneQueues);
  session.goneQueues.clear();
  for (let attempt = 1; attempt <= MAX_ATTEMPTS && gone.size > 0; attempt++) {
    const roster = yield* session.roster();
    const draft = new RosterDraft(roster, session.now, session.settings.rememberFor);
    for (const node of roster.nodes.values())
      if (gone.has(node.nodeQueue)) draft.putNode({ ...node, nodeQueue: "" });
    if (!draft.changed) return false;
    if (yield* commitRoster(session, draft)) return true;
    yield* ask("pause", attempt);
  }
  return false;
}

function isDue(session: Session, roster: Roster, { tableId, scheduled }: TableEntry): boolean {
  if (scheduled === undefined) return true;
  const { reassignAfter } = session.settings;
  const ended = roster.ended(dispatcherOf(session, tableId));
  // It was there and went on purpose: whoever moves or splits it has as long to bring the table back.
  if (ended && ended.endedAt > scheduled.at) return isOver(ended.endedAt, reassignAfter, session.now);
  return isOverdue(session, roster, scheduled) || (ended !== undefined && ended.life >= scheduled.life);
}

/** Whether somebody else is to be asked for a dispatcher. */
export function isOverdue(session: Session, roster: Roster, asked: Assignment): boolean {
  const queue = schedulerQueue(session, roster, asked.node);
  if (queue === undefined) return true;
  // An old node begins without being accepted: as long as it can be told nobody else may.
  return queue.takesLives && isOver(asked.at, session.settings.reassignAfter, session.now);
}

/** Who is asked instead of a node that was asked in vain; undefined: there is nobody else. */
export function nextAsked(
  session: Session,
  draft: RosterDraft,
  placement: Placement,
  asked: Assignment | undefined,
): NodeEntry | undefined {
  if (asked === undefined) return placement.next();
  const before = draft.node(asked.node);
  // A version that named no life has asked it: whoever is asked after it can only be told from it if it is asked with one.
  if (asked.life === 0n && before && before.nodeQueue !== "") return before;
  const next = placement.insteadOf(asked.node);
  // Nobody knows whether a node without dispatchers is there. It is asked again when it has registered anything.
  if (next && before && placement.loadOf(before.id) === 0 && isOverdue(session, draft.base, asked))
    draft.putNode({ ...before, nodeQueue: "" });
  return next;
}

function reassign(session: Session, draft: RosterDraft, placement: Placement, table: TableEntry): void {
  const { scheduled } = table;
  const id = dispatcherOf(session, table.tableId);
  const ended = draft.ended(id);
  // With nobody else there it is asked again, in a life that is not over.
  const isOverThere = scheduled !== undefined && ended !== undefined && ended.life >= scheduled.life;
  const node =
    nextAsked(session, draft, placement, scheduled) ?? (isOverThere ? placement.next() : undefined);
  if (node === undefined) return;
  if (scheduled && scheduled.life > (ended?.life ?? 0n))
    draft.rememberEnded({ id, life: scheduled.life, node: scheduled.node, queue: "" });
  const life = nextAssignedLife(draft, ended, scheduled);
  draft.putTable({ ...table, scheduled: { node: node.id, life, at: session.now } });
}

/** The dispatcher that is asked for where an event added a table: the same whoever is asked. */
function dispatcherOf(session: Session, tableId: bigint): DispatcherKey {
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
