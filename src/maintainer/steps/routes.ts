/** Route admissions (protocol.md M23): checked before Write, applied in commitTs order, a conflict stops its own event only. */
import { TRIGGER_TABLE } from "../../barrier/event.ts";
import { planRoutes } from "../../barrier/routes.ts";
import type { Step } from "../../barrier/step.ts";
import { shortReason } from "../base/bounds.ts";
import { ask, type Program } from "../base/program.ts";
import type { Placed } from "../intake/located.ts";
import { rejudgeAll } from "../session/agenda.ts";
import { commit, sameStep } from "../session/commit.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";

/** The route changes in reports of one key: those of the table trigger, for nobody else reports them. */
export function routesOf(placed: readonly Placed[]): Uint8Array {
  const of = placed.find(
    ({ report, places }) =>
      report.routes.length > 0 && places.some((place) => place.life.tableId === TRIGGER_TABLE),
  );
  return of?.report.routes ?? new Uint8Array();
}

/** Puts the table trigger's route changes to a barrier that somebody else has opened (ticdc.md TM18). */
export function* adoptRoutes(session: Session, key: string, routes: Uint8Array): Program<void> {
  if (routes.length === 0) return;
  yield* contend(session.where(key), function* () {
    const step = session.step(key);
    if (step === undefined || step.routes || step.phase !== "waiting") return;
    const kept = yield* ask("touchBarrier", session.name(key), { notClosed: true }, { routes });
    if (kept.item) session.learnItem(key, kept.item);
    if (!kept.done) return;
    const adopted = yield* adopt(session, key, step);
    if (adopted) return;
    return LOST;
  });
}

/**
 * Says in the root what only the barrier's item says yet: of two who open a barrier at a time the second may be the table
 * trigger, whose routes and WAITING are in the item before the root tells of the routes. Write must not be granted between.
 * @returns whether it had to: then the step is to be looked at again
 */
export function* adoptKnownRoutes(session: Session, key: string, step: Step): Program<boolean> {
  if (step.routes || !session.barrier(key).routes?.length) return false;
  yield* adopt(session, key, step);
  return true;
}

function* adopt(session: Session, key: string, step: Step): Program<boolean> {
  return yield* commit(
    session,
    { sameEpoch: session.root!.epoch, sameStep: sameStep(key, step) },
    { step: { key, step: { ...step, routes: true, changesRoster: true } }, addPending: key },
  );
}

/** Why the routes that an event brings cannot be admitted on the present roster; undefined: they can. */
export function* routeConflict(session: Session, key: string): Program<string | undefined> {
  const roster = yield* session.roster();
  const plan = planRoutes(roster.routes(), yield* session.routes(key));
  return "conflict" in plan ? plan.conflict : undefined;
}

/**
 * Says in the root that an event stands still because of its routes, once. What waited for its turn behind it is judged
 * again: it does not wait for that one any more.
 * @param step as it is to stand there, conflict apart
 * @returns whether it says so now; false: a race was lost
 */
export function* holdForConflict(
  session: Session,
  key: string,
  present: Step,
  step: Step,
  why: string,
): Program<boolean> {
  const conflict = shortReason(why);
  if (present.conflict === conflict && present.phase === step.phase) return true;
  const held = yield* commit(
    session,
    {
      sameEpoch: session.root!.epoch,
      sameRoster: session.root!.rosterVersion,
      sameStep: sameStep(key, present),
    },
    { step: { key, step: { ...step, conflict } } },
  );
  if (!held) return false;
  session.observer.note({ what: "route-conflict", space: session.space.text, key, detail: conflict });
  rejudgeAll(session, "all");
  return true;
}

/** A step without the conflict that it had. */
export function withoutConflict({ conflict: _, ...step }: Step): Step {
  return step;
}
