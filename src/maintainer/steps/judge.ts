import {
  chooseWriter,
  judgePassing,
  judgeWaiting,
  requiredLives,
  sameLives,
} from "../../barrier/coverage.ts";
import { type BlockEvent, involvesTrigger } from "../../barrier/event.ts";
import type { Place, Roster } from "../../barrier/roster.ts";
import { closedStep, grantedStep, MAX_GRANTS, type Step, writerOf, writtenStep } from "../../barrier/step.ts";
import { GRANT_SHARE } from "../base/bounds.ts";
import type { RootConditions } from "../base/port.ts";
import type { Program } from "../base/program.ts";
import { passedBefore } from "../session/agenda.ts";
import { closing, commit, sameStep } from "../session/commit.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { applyInTurn } from "./apply.ts";
import { announceWritten, buryClosed } from "./close.ts";
import { adoptKnownRoutes, holdForConflict, routeConflict, withoutConflict } from "./routes.ts";

/**
 * Moves a barrier as far as what is recorded allows: grants Write when it is covered, applies what waits for its turn,
 * closes it when all are done. What `session` knows of the barrier's marks must hold all that its caller relies on.
 * @param preferred the last that reported: the writer where any may be (protocol.md M6)
 */
export function* judge(session: Session, key: string, preferred?: Place): Program<void> {
  yield* contend(session.where(key), function* () {
    const step = session.step(key);
    if (step === undefined) return;
    const event = yield* session.event(key);
    const roster = yield* session.roster();
    switch (step.phase) {
      case "waiting":
        if (yield* judgeOpen(session, { key, step, event, roster, preferred })) return;
        break;
      case "writing":
        if (yield* judgeGrant(session, { key, step, event, roster, preferred })) return;
        break;
      case "written":
        yield* applyInTurn(session, key);
        return;
      case "passing":
        if (yield* judgePassed(session, key, step, event, roster)) return;
        break;
      case "closed":
        yield* buryClosed(session, key);
        return;
    }
    return LOST;
  });
}

/** A barrier, and what it is judged on. */
export interface Judged {
  readonly key: string;
  readonly step: Step;
  readonly event: BlockEvent;
  readonly roster: Roster;
  /** The last that reported: the writer where any may be (protocol.md M6). */
  readonly preferred: Place | undefined;
}

/** Phase waiting. True: nothing more to do; false: a race was lost, look again. */
function* judgeOpen(session: Session, judged: Judged): Program<boolean> {
  const { key, step, event, roster, preferred } = judged;
  if (yield* adoptKnownRoutes(session, key, step)) return false;
  // An earlier event still has to change the roster, which is not yet the one to judge on (protocol.md M9).
  if (session.earlierChange(key) !== undefined) return true;
  if (step.routes) {
    const conflict = yield* routeConflict(session, key);
    if (conflict !== undefined) return yield* holdForConflict(session, key, step, step, conflict);
  }
  const marks = session.barrier(key).waiting.marks;
  const coverage = judgeWaiting(roster, event, marks, step.lateTablesHold);
  if (coverage.verdict === "missing") return true;
  if (coverage.verdict === "past") return yield* markWritten(session, key, -1, true);
  const writer = chooseWriter(roster, event, preferred);
  return yield* grant(session, judged, writer, coverage.lives);
}

/**
 * Phase writing: a grant holds while the lives that it was judged on are the current ones. Afterwards coverage is
 * judged again, and the writer stays the same dispatcher unless that has left (protocol.md M6a, M16).
 */
function* judgeGrant(session: Session, judged: Judged): Program<boolean> {
  const { key, step, event, roster, preferred } = judged;
  if (sameLives(roster, event, step.grantedOn, step.grantedLives)) return true;
  const marks = session.barrier(key).waiting.marks;
  const coverage = judgeWaiting(roster, event, marks, step.lateTablesHold);
  if (coverage.verdict === "missing") return true;
  if (coverage.verdict === "past") return yield* markWritten(session, key, -1, true);
  const before = roster.find(writerOf(step)!.id);
  const writer = involvesTrigger(event.influence)
    ? chooseWriter(roster, event, undefined)
    : chooseWriter(roster, event, before ?? preferred);
  // The former writer is still here but no longer touched: it is past the event, or its table was renamed away.
  return yield* grant(session, judged, writer, coverage.lives);
}

function* grant(
  session: Session,
  { key, step, event, roster }: Judged,
  writer: Place | undefined,
  lives: number,
): Program<boolean> {
  if (writer === undefined) return true;
  const given = giving(session, withoutConflict(step), roster, writer, lives);
  const granted = yield* commit(
    session,
    { sameEpoch: session.root!.epoch, sameStep: sameStep(key, step), ...given.conditions },
    { step: { key, step: given.next } },
  );
  if (!granted) return false;
  afterGrant(session, key, given, event, roster);
  return true;
}

/** A grant that is to be committed, and what it was judged on (protocol.md M6a). */
interface Given {
  readonly next: Step;
  readonly writer: Place;
  readonly conditions: RootConditions;
}

function giving(session: Session, step: Step, roster: Roster, writer: Place, lives: number): Given {
  const { id, life, slot, node } = writer.life;
  const grant = { id, life, chunk: writer.chunk.id, slot, node };
  return {
    next: grantedStep(step, grant, roster.version, lives, session.now, grantsToRemember(session, step)),
    writer,
    conditions: { sameRoster: roster.version, samePending: session.root!.pending },
  };
}

/** Of a root that is nearly full no more than there are: room for the first one was set aside. */
function grantsToRemember(session: Session, step: Step): number {
  const full = session.root!.bytes > GRANT_SHARE * session.settings.itemBytes;
  return full ? Math.max(1, step.grants.length) : MAX_GRANTS;
}

/**
 * The grant of a barrier that is just being opened and is covered already: opening and grant are then one write. Only where
 * it is the earliest one, and where the strictest rule about unknown tables finds it covered, for whoever opens it at the
 * same time may be of an old node (protocol.md R8).
 * @returns undefined: it is to be judged when it is open
 */
export function grantOnOpening(
  session: Session,
  { key, step, event, roster, preferred }: Judged,
): Given | undefined {
  if ([...session.root!.steps.keys()].some((other) => other < key)) return undefined;
  const coverage = judgeWaiting(roster, event, session.barrier(key).waiting.marks, true);
  if (coverage.verdict !== "covered") return undefined;
  const writer = chooseWriter(roster, event, preferred);
  if (writer === undefined) return undefined;
  const given = giving(session, step, roster, writer, coverage.lives);
  return { ...given, conditions: { ...given.conditions, notGrantedYet: key } };
}

/** What follows from a grant that is committed: Write is sent to the writer. */
export function afterGrant(
  session: Session,
  key: string,
  { next, writer }: Given,
  event: BlockEvent,
  roster: Roster,
): void {
  session.outbox.write(key, writer.life);
  session.observer.note({
    what: "write-granted",
    space: session.space.text,
    key,
    node: writer.life.node,
    count: next.grantedLives,
    ms: session.now - next.openedAt,
  });
  // Who waits here is past every earlier event. Its report may have been recorded on a root that did not know that one yet,
  // and what is granted here may take it out of the roster (protocol.md M2, M15).
  if ([...(session.root?.steps.keys() ?? [])].some((other) => other < key))
    passedBefore(session, key, requiredPlaces(roster, event));
}

function requiredPlaces(roster: Roster, event: BlockEvent): Place[] {
  return roster.dispatchers.flatMap((chunk) =>
    requiredLives(chunk, event).map((life): Place => ({ chunk, life })),
  );
}

/**
 * The event is written: by the grant `wroteBy`, or before Weir saw it (-1). Pass goes out, unless it changes the
 * roster: then in its turn (protocol.md M8, M10).
 */
export function* markWritten(
  session: Session,
  key: string,
  wroteBy: number,
  judged = false,
): Program<boolean> {
  const step = session.step(key);
  if (step === undefined || (step.phase !== "waiting" && step.phase !== "writing")) return true;
  const root = session.root!;
  const next = writtenStep(step, step.changesRoster ? "written" : "passing", wroteBy, session.now);
  if (step.changesRoster) {
    yield* applyInTurn(session, key, next);
    const phase = session.step(key)?.phase;
    return phase !== "waiting" && phase !== "writing";
  }
  const conditions = {
    sameEpoch: root.epoch,
    sameStep: sameStep(key, step),
    ...(judged && { sameRoster: root.rosterVersion }),
  };
  if (!(yield* commit(session, conditions, { step: { key, step: next } }))) return false;
  yield* announceWritten(session, key, next);
  session.agenda.add({ what: "judge", key });
  return true;
}

/** Phase passing: closes the barrier when every life that it touches is done (invariants.md I5). */
function* judgePassed(
  session: Session,
  key: string,
  step: Step,
  event: BlockEvent,
  roster: Roster,
): Program<boolean> {
  const writer = step.wroteBy >= 0 ? writerOf(step) : undefined;
  if (judgePassing(roster, event, session.barrier(key).passed.marks, writer).length > 0) return true;
  const root = session.root!;
  const { conditions, changes } = closing(root, key);
  const closed = yield* commit(
    session,
    { sameEpoch: root.epoch, sameRoster: roster.version, sameStep: sameStep(key, step), ...conditions },
    { step: { key, step: closedStep(step, session.now, roster.version) }, ...changes },
  );
  if (!closed) return false;
  session.observer.note({
    what: "barrier-closed",
    space: session.space.text,
    key,
    ms: session.now - step.openedAt,
    passMs: session.now - step.writtenAt,
  });
  yield* buryClosed(session, key);
  return true;
}
