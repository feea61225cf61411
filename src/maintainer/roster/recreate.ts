/** Dispatchers that were lost with their node are created again elsewhere (protocol.md R11; ticdc.md TM59, TM65). */
import { completeVersions, spokenFor } from "../../barrier/coverage.ts";
import { RosterDraft } from "../../barrier/draft.ts";
import { eventFromBytes, isPast, TRIGGER_TABLE, touches } from "../../barrier/event.ts";
import type { ChunkPosition } from "../../barrier/floor.ts";
import { nextAssignedLife, Placement } from "../../barrier/placement.ts";
import { type Reached, restartAt } from "../../barrier/restart.ts";
import type { DispatcherChunk, EndedLife, LostLife, Restart, Roster } from "../../barrier/roster.ts";
import { covers } from "../../barrier/tiling.ts";
import { parseKeyText } from "../../protocol/event-key.ts";
import { type BarrierItem, type Count, NOTHING_CLOSED, type Tally } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { schedulerQueue, wholeTable } from "../steps/schedule.ts";
import { commitRoster } from "./commit.ts";
import { isOverdue, nextAsked } from "./reassign.ts";

/** Closed barriers that are looked through for how far a lost dispatcher had come. */
const HISTORY = 200;

interface Candidate {
  readonly chunk: DispatcherChunk;
  readonly ended: EndedLife;
  readonly lost: LostLife;
}

/**
 * Asks for dispatchers that were lost and whose span nobody has taken over: under the same id, on the node with the fewest
 * dispatchers, from where the lost one stood. Whom it asks and from where is committed before, so that asking again says
 * the same. The table trigger is not among them: it comes back with its node, or an opening names another (R1).
 * @param after milliseconds that a node has to bring its dispatchers back by itself
 */
export function* recreateLost(session: Session, after: number): Program<void> {
  yield* contend(session.where(), function* () {
    const roster = yield* session.roster();
    const due = candidates(roster, session.now - after);
    const unassigned = due.filter(({ lost }) => !lost.given || mayBeGiven(session, roster, lost.given));
    if (unassigned.length === 0 || (yield* assign(session, roster, unassigned))) {
      const now = yield* session.roster();
      for (const { ended, lost } of candidates(now, session.now - after))
        if (lost.given) tellMove(session, now, ended, lost.was.schemaId, lost, lost.given);
      return;
    }
    return LOST;
  });
}

function candidates(roster: Roster, endedBefore: number): Candidate[] {
  return [...roster.lost()].filter(
    ({ ended, lost: { was } }) =>
      was.tableId !== TRIGGER_TABLE &&
      ended.endedAt <= endedBefore &&
      roster.tables.has(was.tableId) !== roster.dropped.has(was.tableId) &&
      !covers(was.tableId, was, roster.ofTable(was.tableId)),
  );
}

function mayBeGiven(session: Session, roster: Roster, given: NonNullable<LostLife["given"]>): boolean {
  return !session.settings.schedulerQueue && isOverdue(session, roster, given);
}

/** @returns whether it is committed; false: a race was lost, or there is nobody to give them to */
function* assign(session: Session, roster: Roster, due: readonly Candidate[]): Program<boolean> {
  const draft = new RosterDraft(roster, session.now, session.settings.rememberFor);
  const placement = new Placement(draft);
  const evidence = new Evidence(session);
  for (const { chunk, ended, lost } of due) {
    const one = session.settings.schedulerQueue
      ? { id: "" }
      : nextAsked(session, draft, placement, lost.given, ended.life);
    // Nobody else can be told now: asked again with the next sweep.
    if (one === undefined) continue;
    const start = lost.given ?? (yield* evidence.startOf({ ended, chunk, lost }));
    draft.giveLost(chunk.id, ended.id, {
      node: one.id,
      life: nextAssignedLife(draft, ended, lost.given),
      at: session.now,
      startTs: start.startTs,
      skipDMLAsStartTs: start.skipDMLAsStartTs,
    });
  }
  if (!draft.changed) return true;
  if (!(yield* commitRoster(session, draft))) return false;
  session.observer.note({ what: "dispatchers-recreated", space: session.space.text, count: due.length });
  return true;
}

/** What barriers know of lost lives, each read once. */
class Evidence {
  readonly #session: Session;
  readonly #tallies = new Map<string, readonly Tally[]>();
  #barriers: { readonly key: string; readonly item: BarrierItem }[] | undefined;
  #positions: readonly ChunkPosition[] | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Where a lost dispatcher stood: its checkpoint, how far its chunk was, the newest barrier that it had passed, and the one at
   * which it waited. Only what is recorded of that very life counts: a start that is too late would lose rows. What everybody had behind
   * them, it had (protocol.md M19).
   */
  *startOf({ ended, chunk, lost: { was, endedOn } }: Candidate): Program<Restart> {
    const session = this.#session;
    this.#barriers ??= yield* ask("readHistory", session.space, session.root!.epoch, HISTORY);
    this.#positions ??= yield* ask("readPositions", session.space, session.root!.epoch);
    const checkpointTs = this.#positions
      .filter((one) => one.chunk === chunk.id && was.addedAt <= one.version && one.version < endedOn)
      .reduce((highest, { atLeast }) => (atLeast > highest ? atLeast : highest), was.since);
    const { floor } = session.root!;
    const reached: Reached[] = floor === NOTHING_CLOSED ? [] : [{ key: parseKeyText(floor), passed: true }];
    for (const { key, item } of this.#barriers) {
      const event = eventFromBytes(item.event);
      if (!event.blocking || !touches(event, was) || isPast(checkpointTs, event.key)) continue;
      const told = function* (this: Evidence, count: Count) {
        const complete = completeVersions(count === "waiting" ? item.waiting : item.passed, chunk);
        const before = complete.filter((version) => version < endedOn);
        if (spokenFor(was, before, event)) return true;
        const tally = (yield* this.#talliesOf(key, count)).find((one) => one.chunk === chunk.id);
        return tally?.reported.has(was.slot) === true;
      }.bind(this);
      const waited = yield* told("waiting");
      const wrote = waited && item.tombstone?.writer === ended.id;
      if (wrote || (yield* told("passed"))) {
        reached.push({ key: event.key, passed: true });
        break;
      }
      if (waited) reached.push({ key: event.key, passed: false });
    }
    return restartAt(checkpointTs, reached);
  }

  *#talliesOf(key: string, count: Count): Program<readonly Tally[]> {
    const name = `${key} ${count}`;
    const known = this.#tallies.get(name);
    if (known !== undefined) return known;
    const read = yield* ask("readTallies", this.#session.name(key), count);
    this.#tallies.set(name, read);
    return read;
  }
}

function tellMove(
  session: Session,
  roster: Roster,
  ended: EndedLife,
  schemaId: bigint,
  { was }: LostLife,
  given: NonNullable<LostLife["given"]>,
): void {
  const queue = schedulerQueue(session, roster, given.node);
  if (queue === undefined) return;
  const whole = wholeTable(queue, was.tableId);
  session.outbox.createDispatcher(queue.name, queue.encoding, {
    id: ended.id,
    life: queue.takesLives ? given.life : 0n,
    tableId: was.tableId,
    schemaId: roster.tables.get(was.tableId)?.schemaId ?? schemaId,
    start: was.start.length > 0 ? was.start : whole.start,
    end: was.end.length > 0 ? was.end : whole.end,
    keyspace: whole.keyspace ?? 0,
    startTs: given.startTs,
    skipDMLAsStartTs: given.skipDMLAsStartTs,
    move: true,
  });
}
