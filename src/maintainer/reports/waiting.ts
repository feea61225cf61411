import { changesRoster, touches } from "../../barrier/event.ts";
import { REMOVED_WITHIN } from "../../barrier/membership.ts";
import type { Place } from "../../barrier/roster.ts";
import { grantCount, type Step, writerOf } from "../../barrier/step.ts";
import { tiles } from "../../barrier/tiling.ts";
import { notDone, stillAt, stillToPass } from "../answers/gone-on.ts";
import { repeatOutstanding } from "../answers/repeat.ts";
import { ask, type Program } from "../base/program.ts";
import { noteDuplicates } from "../count/duplicates.ts";
import { record } from "../count/record.ts";
import type { Report } from "../intake/input.ts";
import type { Orphan, Placed } from "../intake/located.ts";
import { passedBefore } from "../session/agenda.ts";
import type { Session } from "../session/session.ts";
import { applyInTurn } from "../steps/apply.ts";
import { openBarrier } from "../steps/open.ts";
import { adoptRoutes, routesOf } from "../steps/routes.ts";
import { tellRemove } from "../steps/schedule.ts";
import { judgeNow, settle } from "../steps/settle.ts";
import { latest } from "./done.ts";

/** WAITING reports of one key (protocol.md M2 to M7, M17a). */
export function* waitingReports(
  session: Session,
  key: string,
  placed: readonly Placed[],
  orphans: readonly Orphan[],
  rejected: (report: Report, reason: string) => void,
): Program<void> {
  if (orphans.length > 0) yield* releaseOrphans(session, key, orphans);
  const first = placed[0];
  if (first === undefined) return;
  const places = placed.flatMap((one) => one.places);
  const lives = places.map((place) => place.life);

  if (!session.ahead.has(key)) noteDuplicates(session, key, "waiting", places);
  const found = yield* findOrOpen(session, key, placed, places, true);
  if ("full" in found) return;
  if ("closed" in found) return yield* late(session, key, placed);
  yield* adoptRoutes(session, key, routesOf(placed));
  const step = session.step(key) ?? found.step;
  rejectConflicting(session, key, step, placed, rejected);

  if (step.phase === "waiting" || step.phase === "writing" || step.phase === "written")
    if (!(yield* record(session, key, "waiting", places))) return yield* late(session, key, placed);
  passedBefore(session, key, places);
  if ("isNew" in found) session.agenda.add({ what: "past-by-later", key, read: true });
  yield* settle(session);
  session.outbox.ack(key, lives);

  const redelivered = placed.some((one) => one.report.redelivered);
  yield* judgeNow(session, key, places.at(-1));
  const after = session.step(key);
  if (after === undefined || after.phase === "closed") {
    session.outbox.passNow(key, yield* notDone(session, key, places));
    return;
  }
  const sentAt = latest(placed.map((one) => one.report));
  const granted = grantCount(after) > found.grantsBefore;
  yield* answer(session, key, after, places, { granted, redelivered, sentAt });
}

/** What a WAITING is told in the phase that it meets: its action again, if that is out already. */
function* answer(
  session: Session,
  key: string,
  after: Step,
  places: readonly Place[],
  {
    granted,
    redelivered,
    sentAt,
  }: { readonly granted: boolean; readonly redelivered: boolean; readonly sentAt: number },
): Program<void> {
  if (after.phase === "writing") {
    const writer = writerOf(after)!;
    // An old node that has had its Write may have gone on to a syncpoint at this commitTs: only a repeat that is due is told.
    const roster = yield* session.roster();
    const asks = places.some(
      ({ life }) => life.id === writer.id && life.life === writer.life && !roster.isOld(life.node),
    );
    // The grant that was just given has sent its Write already, unless it was given by an earlier delivery that died.
    if (granted && !redelivered) return;
    yield* repeatOutstanding(session, key, asks || redelivered, sentAt);
  } else if (after.phase === "passing") {
    const event = yield* session.event(key);
    const lives = places.map((place) => place.life).filter((life) => touches(event, life));
    session.outbox.pass(key, yield* stillToPass(session, key, lives));
    yield* repeatOutstanding(session, key, redelivered, sentAt);
  }
}

/** A report that says other than the first one did is counted and kept; the first one stands (protocol.md M3). */
export function rejectConflicting(
  session: Session,
  key: string,
  step: Step,
  placed: readonly Placed[],
  rejected: (report: Report, reason: string) => void,
): void {
  for (const { report } of placed)
    if (report.digest !== step.digest) {
      session.observer.note({
        what: "report-conflicts",
        space: session.space.text,
        key,
        node: report.sender.node,
      });
      rejected(
        report,
        `the report of ${key} names other tables or changes than the first one did, which stands`,
      );
    }
}

/**
 * The open barrier of a report's key, opened by it if need be, or the tombstone that stands in its place.
 * @param grants whether Write may be granted with the opening
 */
export function* findOrOpen(
  session: Session,
  key: string,
  placed: readonly Placed[],
  places: readonly Place[],
  grants = false,
) {
  const { report } = placed[0]!;
  const step = session.step(key);
  if (step?.phase === "closed") return { closed: true as const };
  if (step !== undefined) return { step, grantsBefore: grantCount(step) };
  const opened = yield* openBarrier(session, key, {
    event: report.event!,
    bytes: report.bytes,
    routes: routesOf(placed),
    lateTablesHold: report.sender.start === 0n,
    places,
    ...(grants && { grants }),
  });
  // It may have been granted with that.
  yield* settle(session);
  return opened;
}

/** The barrier is closed: its event was written, so who still waits passes (protocol.md M17a). */
function* late(session: Session, key: string, placed: readonly Placed[]): Program<void> {
  const places = placed.flatMap((one) => one.places);
  session.observer.note({ what: "report-stale", space: session.space.text, key, count: places.length });
  session.outbox.ackNow(
    key,
    places.map((place) => place.life),
  );
  session.outbox.passNow(key, yield* notDone(session, key, places));
}

/**
 * Dispatchers that nobody waits for, because their table was dropped or the event lies behind where they say that they
 * started: once the event is written they pass. What was sent when it was written may have been lost with its invocation.
 */
function* releaseOrphans(session: Session, key: string, orphans: readonly Orphan[]): Program<void> {
  if (!session.fresh) yield* session.refresh();
  const phase = session.step(key)?.phase;
  const open = phase !== undefined && phase !== "passing" && phase !== "closed";
  if (open) return;
  if (phase === undefined && key > (session.root?.floor ?? "")) {
    const item = yield* ask("readBarrier", session.name(key));
    if (item?.tombstone === undefined) return;
  }
  const targets = orphans.map((one) => one.target);
  session.outbox.passNow(key, yield* stillAt(session, key, targets));
  const roster = yield* session.roster();
  for (const { target, report } of orphans) {
    const { id, node, queue } = target;
    const ended = roster.find(id) ? undefined : roster.ended(id);
    const { dropped, endedAt = 0 } = ended ?? {};
    // A copy from before the drop says nothing of whether it goes on.
    if (dropped === undefined || report.sender.sentAt - endedAt < REMOVED_WITHIN) continue;
    if (!roster.tables.has(dropped.tableId)) yield* tellRemove(session, node, [{ id, queue, ...dropped }]);
  }
}

/**
 * Who carries the one table of an open barrier alone, and says that it wrote the event by itself: its predecessors shared the
 * table, waited, and were merged into it (protocol.md D1, D13). Nobody else would ever say that it is written.
 */
function* wroteAlone(session: Session, key: string, places: readonly Place[]): Program<readonly Place[]> {
  // It is said once: a root from memory may not know the barrier yet.
  if (!session.fresh) yield* session.refresh();
  if (session.step(key) === undefined) return [];
  const { influence } = yield* session.event(key);
  return places.filter(
    ({ life }) =>
      influence.type === "Normal" &&
      influence.tableIds.size === 1 &&
      influence.tableIds.has(life.tableId) &&
      // Its predecessors may be in the roster still: their end may be handled later.
      tiles(life.tableId, [life]),
  );
}

/** Reports of events that were written without the maintainer (protocol.md M11). */
export function* noneReports(session: Session, key: string, placed: readonly Placed[]): Program<void> {
  const first = placed[0];
  if (first === undefined) return;
  const places = placed.flatMap((one) => one.places);
  const lives = places.map((place) => place.life);
  passedBefore(session, key, places);
  yield* settle(session);
  if (!changesRoster(first.report.event!)) {
    session.agenda.add({ what: "past", key, places: yield* wroteAlone(session, key, places) });
    yield* settle(session);
  }
  if (!changesRoster(first.report.event!) && routesOf(placed).length === 0) {
    session.outbox.ackNow(key, lives);
    return;
  }
  const found = yield* openBarrier(session, key, {
    event: first.report.event!,
    bytes: first.report.bytes,
    routes: routesOf(placed),
    lateTablesHold: false,
    places: [],
  });
  if ("full" in found) return;
  if ("closed" in found) {
    session.outbox.ackNow(key, lives);
    return;
  }
  yield* applyInTurn(session, key);
  yield* settle(session);
  const step = session.step(key);
  if (step?.phase === "closed") yield* judgeNow(session, key);
  // Not in its turn yet: kept, and acknowledged when it is applied or asked for again after that.
  if (step === undefined || step.phase === "closed") session.outbox.ackNow(key, lives);
}
