import { requiredLives } from "../../barrier/coverage.ts";
import { isPast, TRIGGER_TABLE, touches } from "../../barrier/event.ts";
import type { Place } from "../../barrier/roster.ts";
import { recordedOf } from "../answers/gone-on.ts";
import type { Program } from "../base/program.ts";
import { learnAll, record } from "../count/record.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { markWritten } from "./judge.ts";

/** Later barriers that are looked at when one is opened below them; the sweep looks at all. */
const MOST_LATER = 32;

/**
 * Who is recorded as waiting at a later barrier is past this one (protocol.md M2, M15). It said so once and has its ACK: before this
 * one was opened, by those who are behind, or before the opening was complete.
 * @param read reads what is stored of the later ones; false: it was read just now
 * @param left the later ones that are still to be looked at; absent: all
 */
export function* passedByLater(
  session: Session,
  key: string,
  read: boolean,
  left?: readonly string[],
): Program<void> {
  const isOpen = (phase: string | undefined) => phase === "waiting" || phase === "writing";
  if (!isOpen(session.step(key)?.phase)) return;
  const later = left ?? laterThan(session, key, read);
  if (later.length === 0 || !(yield* session.roster()).opened) return;
  const event = yield* session.event(key);
  for (const [index, other] of later.entries()) {
    if (session.step(other) === undefined) continue;
    const at = yield* session.event(other);
    const roster = yield* session.roster();
    const places = roster.dispatchers.flatMap((chunk) =>
      requiredLives(chunk, event)
        .filter((life) => touches(at, life) && !isPast(life.since, at.key))
        .map((life): Place => ({ chunk, life })),
    );
    if (places.length === 0) continue;
    if (read) yield* learnAll(session, other, "waiting");
    const waits = yield* recordedOf(session, other, "waiting");
    const past = places.filter(({ life }) => waits(life));
    if (past.length === 0) continue;
    const rest = later.slice(index + 1);
    return session.agenda.add(
      { what: "past", key, places: past },
      { what: "past-by-later", key, read, later: rest },
    );
  }
}

function laterThan(session: Session, key: string, read: boolean): readonly string[] {
  const later = [...session.root!.steps.keys()].filter((other) => other > key).sort();
  return read ? later.slice(0, MOST_LATER) : later;
}

/**
 * Lives that are past an open barrier: if the event touches one of them it was written, whoever did that, and each of them
 * is done with it (protocol.md M15). The roster changes that it brings are applied as after a DONE of Write.
 */
export function* provenPast(session: Session, key: string, places: readonly Place[]): Program<void> {
  if (places.length === 0 || session.step(key) === undefined) return;
  const event = yield* session.event(key);
  if (!event.blocking) return;
  let looked = false;
  yield* contend(session.where(key), function* () {
    const past = (yield* session.placesNow(places)).filter(
      ({ life }) => touches(event, life) && !isPast(life.since, event.key),
    );
    const step = session.step(key);
    if (past.length === 0 || step === undefined) return;
    if (step.phase === "waiting" || step.phase === "writing") {
      // Nothing is judged on a roster that is not all there yet (protocol.md R1).
      const roster = yield* session.roster();
      if (!roster.opened) {
        // What is recorded by now is seen by whoever completes the opening later; one that is complete already may have missed it.
        if (looked) return;
        looked = true;
        yield* session.refresh();
        return LOST;
      }
      // What the table trigger of an old node says proves no more: it is past it by its own Write, of which it says DONE.
      if (past.every(({ life }) => event.key.isSyncPoint && roster.isOld(life.node)))
        return yield* reached(session, key, past);
      if (yield* markWritten(session, key, -1, true))
        // Each of them is done with it: said when what follows from that it is written has been looked at.
        return session.agenda.add({ what: "past", key, places });
      return LOST;
    }
    if (step.phase !== "passing") return;
    if (yield* record(session, key, "passed", past)) session.agenda.add({ what: "judge", key });
    return;
  });
}

/**
 * Lives of old nodes that are past a syncpoint which nobody is known to have written: it is not waited for them, but for who
 * writes it (protocol.md M21).
 */
function* reached(session: Session, key: string, past: readonly Place[]): Program<void> {
  const others = past.filter(({ life }) => life.tableId !== TRIGGER_TABLE);
  if (others.length === 0) return;
  if (yield* record(session, key, "waiting", others)) session.agenda.add({ what: "judge", key });
}
