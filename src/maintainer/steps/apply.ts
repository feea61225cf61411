import { applyEvent } from "../../barrier/apply.ts";
import { RosterDraft } from "../../barrier/draft.ts";
import type { ChunkPointer, Roster } from "../../barrier/roster.ts";
import { planRoutes } from "../../barrier/routes.ts";
import { closedStep, grantCount, passingStep, type Step } from "../../barrier/step.ts";
import type { RootChanges } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { rejudgeAll } from "../session/agenda.ts";
import { closing, commit, sameStep } from "../session/commit.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { announceWritten, buryClosed } from "./close.ts";
import { holdForConflict, withoutConflict } from "./routes.ts";
import { tellScheduler } from "./schedule.ts";

/**
 * Applies the roster changes of a written event if no earlier one has still to be applied, otherwise leaves it in
 * phase written; whoever applies the one before goes on with it (protocol.md M10).
 * @param written the step that says so, if the root does not yet
 */
export function* applyInTurn(session: Session, key: string, written?: Step): Program<void> {
  yield* contend(session.where(key), function* () {
    const root = session.root;
    const present = session.step(key);
    if (root === undefined || present === undefined) return;
    // Somebody else has brought it on while this one lost a race.
    if (present.phase === "passing" || present.phase === "closed") return;
    const step = present.phase === "written" ? present : written;
    if (step === undefined) return;
    // Write was granted anew while this one lost a race: whether it is written is judged again.
    if (present.phase !== "written" && grantCount(present) !== grantCount(step)) return;
    const inTurn = session.earlierChange(key) === undefined;
    const roster = yield* session.roster();
    if (!inTurn || !roster.opened) {
      if (present.phase === "written") return;
      const changes = { step: { key, step: { ...step, phase: "written" as const } } };
      if (yield* commit(session, { sameEpoch: root.epoch, sameStep: sameStep(key, present) }, changes))
        return;
    } else if (yield* applyFirst(session, key, present, step, roster)) {
      return;
    }
    return LOST;
  });
}

function* applyFirst(
  session: Session,
  key: string,
  present: Step,
  step: Step,
  roster: Roster,
): Program<boolean> {
  const root = session.root!;
  const event = yield* session.event(key);
  const draft = new RosterDraft(roster, session.now, session.settings.rememberFor);
  const routes = planRoutes(roster.routes(), yield* session.routes(key));
  // It is written already: it stands in phase written until somebody mends the routing.
  if ("conflict" in routes) return yield* holdForConflict(session, key, present, step, routes.conflict);
  draft.changeRoutes(routes.put, routes.removed);
  const applied = applyEvent(draft, event);
  const settled = withoutConflict(step);
  const next = event.blocking
    ? passingStep(settled, session.now)
    : closedStep(settled, session.now, roster.version);
  const { changes, replaced, touched } = yield* putDraft(session, draft);
  const closes = event.blocking ? undefined : closing(root, key);
  const done = yield* commit(
    session,
    {
      sameEpoch: root.epoch,
      sameRoster: roster.version,
      sameStep: sameStep(key, present),
      samePending: root.pending,
      ...closes?.conditions,
    },
    {
      roster: changes,
      step: { key, step: next },
      removePending: key,
      ...closes?.changes,
    },
  );
  yield* ask(
    "expireChunks",
    session.space,
    done ? replaced : changes.pointers.filter((one) => touched.has(one.id)),
  );
  if (!done) return false;

  yield* session.roster();
  session.observer.note({ what: "roster-changed", space: session.space.text, key });
  if (event.blocking) {
    session.outbox.pass(key, applied.removed);
    yield* announceWritten(session, key, next);
  } else {
    const trigger = (yield* session.roster()).trigger();
    if (trigger) session.outbox.ackNow(key, [trigger.life]);
  }
  yield* tellScheduler(session, key, applied);
  if (!event.blocking) yield* buryClosed(session, key);
  // The roster changed: barriers that waited for that, this one too, are judged on the new one (M9, M10).
  rejudgeAll(session, [...touched]);
  return true;
}

/**
 * Writes a draft's chunks under new names. Nothing has changed until the root points to them.
 * @param startEpoch the epoch that the draft begins; absent: it changes the roster of the present one
 */
export function* putDraft(
  session: Session,
  draft: RosterDraft,
  startEpoch?: bigint,
): Program<{
  changes: NonNullable<RootChanges["roster"]>;
  replaced: ChunkPointer[];
  touched: Set<number>;
}> {
  const root = session.root;
  const epoch = startEpoch ?? root!.epoch;
  const chunks = draft.finish().map((chunk) => ({
    chunk,
    pointer: { kind: chunk.kind, id: chunk.id, version: chunk.version, name: session.chunkName(epoch) },
  }));
  if (chunks.length > 0) yield* ask("putChunks", session.space, chunks);
  for (const { chunk, pointer } of chunks) session.memory.chunks.set(pointer.name, chunk);
  const touched = new Set([...chunks.map(({ chunk }) => chunk.id), ...draft.emptied()]);
  const old = draft.base.version === 0 ? [] : (root?.pointers ?? []);
  const pointers = [
    ...old.filter((pointer) => !touched.has(pointer.id)),
    ...chunks.map(({ pointer }) => pointer),
  ].sort((a, b) => a.id - b.id);
  return {
    changes: { version: draft.version, meta: draft.meta, pointers },
    replaced: old.filter((pointer) => touched.has(pointer.id)),
    touched,
  };
}
