/** Tables and lost dispatchers that a node was asked for in vain go to another one (protocol.md R11). */
import { RosterDraft } from "../../barrier/draft.ts";
import { isOver, nextAssignedLife, Placement } from "../../barrier/placement.ts";
import type { Assignment, NodeEntry, Roster, TableEntry } from "../../barrier/roster.ts";
import type { Program } from "../base/program.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { dispatcherOf, schedulerQueue, unhosted } from "../steps/schedule.ts";
import { commitRoster } from "./commit.ts";

/**
 * Gives tables that nobody has registered to another node: the one that was asked cannot be told, or has not obeyed for long.
 * Whom it asks, and with which life, is committed before it is told. The life of whoever was asked before is over from then
 * on, so that one who obeys late is refused (protocol.md R11).
 */
export function* reassignTables(session: Session): Program<void> {
  if (session.settings.schedulerQueue) return;
  yield* contend(session.where(), function* () {
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
    return LOST;
  });
}

/**
 * Nodes whose queue is gone are asked for nothing any more, before they register again.
 * @returns whether there were any
 */
export function* retireNodes(session: Session): Program<boolean> {
  const gone = new Set(session.goneQueues);
  session.goneQueues.clear();
  if (gone.size === 0) return false;
  return yield* contend(session.where(), function* () {
    const roster = yield* session.roster();
    const draft = new RosterDraft(roster, session.now, session.settings.rememberFor);
    for (const node of roster.nodes.values())
      if (gone.has(node.nodeQueue)) draft.putNode({ ...node, nodeQueue: "" });
    if (!draft.changed) return false;
    return (yield* commitRoster(session, draft)) || LOST;
  });
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

/**
 * Who is asked instead of a node that was asked in vain; undefined: there is nobody else.
 * @param ended the highest life of the dispatcher that is over
 */
export function nextAsked(
  session: Session,
  draft: RosterDraft,
  placement: Placement,
  asked: Assignment | undefined,
  ended = 0n,
): NodeEntry | undefined {
  const over = asked && asked.life > ended ? asked.life : ended;
  if (asked === undefined) return placement.next(over);
  const before = draft.node(asked.node);
  // A version that named no life has asked it: whoever is asked after it can only be told from it if it is asked with one.
  if (asked.life === 0n && before && before.nodeQueue !== "") return before;
  const next = placement.insteadOf(asked.node, over);
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
    nextAsked(session, draft, placement, scheduled, ended?.life) ??
    (isOverThere ? placement.next(ended.life) : undefined);
  if (node === undefined) return;
  if (scheduled && scheduled.life > (ended?.life ?? 0n))
    draft.rememberEnded({ id, life: scheduled.life, node: scheduled.node, queue: "" });
  const life = nextAssignedLife(draft, ended, scheduled);
  draft.putTable({ ...table, scheduled: { node: node.id, life, at: session.now } });
}
