/**
 * Old nodes match an action by its commitTs alone (ticdc.md T-A5). At the commitTs of a DDL there may be a syncpoint, so a dispatcher
 * that is done with the DDL would take what it is told of the DDL for the syncpoint's, which it then passes before it is written.
 * Nothing is said of a DDL to who is known to be done with it (protocol.md M21).
 */
import { completeVersions, spokenFor } from "../../barrier/coverage.ts";
import { isPast, touches } from "../../barrier/event.ts";
import type { Place, Roster } from "../../barrier/roster.ts";
import { writerOf } from "../../barrier/step.ts";
import { keyText, parseKeyText } from "../../protocol/event-key.ts";
import type { Count } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { learnAll } from "../count/record.ts";
import type { Target } from "../session/outbox.ts";
import type { Session } from "../session/session.ts";

/**
 * Whom an action of a key may still be told: of old nodes nobody who waits for the syncpoint at the same commitTs. Costs nothing where
 * that is not open, or nobody of them is on an old node.
 */
export function* stillAt<T extends Target>(
  session: Session,
  key: string,
  targets: readonly T[],
): Program<readonly T[]> {
  const { commitTs, isSyncPoint } = parseKeyText(key);
  if (isSyncPoint || !(yield* anyOld(session, targets))) return targets;
  if (!session.fresh) yield* session.refresh();
  const later = keyText({ commitTs, isSyncPoint: true });
  if (session.step(later) === undefined) return targets;
  yield* learnAll(session, later, "waiting");
  const waits = yield* recordedOf(session, later, "waiting");
  const roster = yield* session.roster();
  // One that is not there any more, because its table was dropped, is left alone: it is closed when it is removed.
  return targets.filter(
    (target) => !roster.isOld(target.node) || (roster.find(target.id) !== undefined && !waits(target)),
  );
}

/**
 * The same of a barrier in phase passing, of whom a report says that they wait: a copy of it may come when they have passed. Who
 * was registered when the first wave went out is told again with the repeats only.
 */
export function* stillToPass(
  session: Session,
  key: string,
  targets: readonly Target[],
): Program<readonly Target[]> {
  if (parseKeyText(key).isSyncPoint || !(yield* anyOld(session, targets))) return targets;
  yield* learnAll(session, key, "passed");
  const passed = yield* recordedOf(session, key, "passed");
  const roster = yield* session.roster();
  const step = session.step(key);
  const writer = step && step.wroteBy >= 0 ? writerOf(step) : undefined;
  const wrote = (target: Target) => target.id === writer?.id && target.life === writer.life;
  const inWave = (target: Target) => target.life <= BigInt(step?.phaseAt ?? 0);
  const due = targets.filter((one) => !roster.isOld(one.node) || !(inWave(one) || wrote(one) || passed(one)));
  return yield* stillAt(session, key, due);
}

/** The same of a barrier that is closed: who stood in the roster then was done with it, and what says that it waits is late. */
export function* notDone(
  session: Session,
  key: string,
  places: readonly Place[],
): Program<readonly Target[]> {
  const lives = places.map((place) => place.life);
  if (parseKeyText(key).isSyncPoint || !(yield* anyOld(session, lives))) return lives;
  const closedOn =
    session.step(key)?.closedOn ?? (yield* ask("readBarrier", session.name(key)))?.tombstone?.closedOn ?? 0;
  const roster = yield* session.roster();
  const event = session.memory.barriers.get(key)?.event;
  const done = ({ life }: Place) =>
    roster.isOld(life.node) &&
    (event === undefined
      ? life.addedAt <= closedOn
      : touches(event, life) && !isPast(life.since, event.key) && spokenFor(life, [closedOn], event));
  return yield* stillAt(
    session,
    key,
    places.filter((place) => !done(place)).map((place) => place.life),
  );
}

function* anyOld(session: Session, targets: readonly Target[]): Program<boolean> {
  if (targets.length === 0 || session.root === undefined) return false;
  const roster: Roster = yield* session.roster();
  return targets.some((target) => roster.isOld(target.node));
}

/** Tells of a present life whether it is recorded, by what the session has learned. */
export function* recordedOf(
  session: Session,
  key: string,
  count: Count,
): Program<(target: Target) => boolean> {
  const event = yield* session.event(key);
  const roster = yield* session.roster();
  const { marks, tallies } = session.barrier(key)[count];
  return ({ id, life }) => {
    const place = roster.find(id);
    if (place === undefined || place.life.life !== life) return false;
    if (tallies.get(place.chunk.id)?.has(place.life.slot)) return true;
    return touches(event, place.life) && spokenFor(place.life, completeVersions(marks, place.chunk), event);
  };
}
