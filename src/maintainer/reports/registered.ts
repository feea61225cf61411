import { requiredLives } from "../../barrier/coverage.ts";
import type { Place } from "../../barrier/roster.ts";
import { grantedStep } from "../../barrier/step.ts";
import { WeirError } from "../../error/weir-error.ts";
import type { Program } from "../base/program.ts";
import { record } from "../count/record.ts";
import type { Report } from "../intake/input.ts";
import type { Placed } from "../intake/located.ts";
import { passedBefore } from "../session/agenda.ts";
import { commit, sameStep } from "../session/commit.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { markWritten } from "../steps/judge.ts";
import { adoptRoutes, routesOf } from "../steps/routes.ts";
import { judgeNow, settle } from "../steps/settle.ts";
import { findOrOpen, rejectConflicting } from "./waiting.ts";

/**
 * Block states WRITING and DONE that came with registrations: from the time of another coordinator, or of an earlier epoch
 * (protocol.md M14). Both stood at the event, so both count as WAITING. WRITING means Write or Pass: that life becomes the
 * writer only where nobody has a grant. DONE means that the event is written.
 */
export function* registeredReports(
  session: Session,
  key: string,
  writing: readonly Placed[],
  written: readonly Placed[],
  rejected: (report: Report, reason: string) => void,
): Program<void> {
  const all = [...written, ...writing];
  if (all.length === 0) return;
  const places = all.flatMap((one) => one.places);
  // They count as WAITING only when the root says what they are doing: who sees them wait before might be granted Write, or
  // grant it to another, while they write or have written.
  const found = yield* findOrOpen(session, key, all, []);
  // A registration says it once: its message comes again.
  if ("full" in found)
    throw new WeirError(
      "root-full",
      `${session.space.text}: too many barriers are open, ${key} is opened when some are closed`,
    );
  // Closed: written, and whoever still executes its action needs nothing for that.
  if ("closed" in found) return;
  yield* adoptRoutes(session, key, routesOf(all));
  rejectConflicting(session, key, found.step, all, rejected);
  const done = written.flatMap((one) => one.places);
  if (done.length > 0) yield* markDone(session, key, done);
  else
    yield* claim(
      session,
      key,
      writing.flatMap((one) => one.places),
    );
  const phase = session.step(key)?.phase;
  if (phase === "waiting" || phase === "writing" || phase === "written")
    if (!(yield* record(session, key, "waiting", places))) return;
  passedBefore(session, key, places);
  if ("isNew" in found) session.agenda.add({ what: "past-by-later", key, read: true });
  yield* judgeNow(session, key);
}

function* markDone(session: Session, key: string, places: readonly Place[]): Program<void> {
  yield* contend(session.where(key), function* () {
    return (yield* markWritten(session, key, -1)) || LOST;
  });
  yield* settle(session);
  if (session.step(key)?.phase === "passing") yield* record(session, key, "passed", places);
}

/** Makes a life the writer that is executing an action already: nothing is sent to it. */
function* claim(session: Session, key: string, places: readonly Place[]): Program<void> {
  yield* contend(session.where(key), function* () {
    const roster = yield* session.roster();
    const [writer] = yield* session.placesNow(places);
    const step = session.step(key);
    if (writer === undefined || step?.phase !== "waiting") return;
    const event = yield* session.event(key);
    const lives = roster.dispatchers.reduce((sum, chunk) => sum + requiredLives(chunk, event).length, 0);
    const { id, life, slot, node } = writer.life;
    const grant = { id, life, chunk: writer.chunk.id, slot, node, registered: true as const };
    const conditions = {
      sameEpoch: session.root!.epoch,
      sameRoster: roster.version,
      sameStep: sameStep(key, step),
    };
    const next = grantedStep(step, grant, roster.version, lives, session.now);
    if (yield* commit(session, conditions, { step: { key, step: next } })) return;
    return LOST;
  });
}
