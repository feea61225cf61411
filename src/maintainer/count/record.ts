import {
  type CompleteMark,
  completeMark,
  completeVersions,
  missingLives,
  requiredLives,
  requiredToPass,
} from "../../barrier/coverage.ts";
import type { BlockEvent } from "../../barrier/event.ts";
import type { DispatcherChunk, Life, Place } from "../../barrier/roster.ts";
import { type Grant, writerOf } from "../../barrier/step.ts";
import type { Count } from "../base/port.ts";
import { ask, type Program, together } from "../base/program.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";

/** The lives of a chunk that a count needs: all whom the event touches, for passed without the writer. */
export function requiredFor(
  count: Count,
  chunk: DispatcherChunk,
  event: BlockEvent,
  writer: Grant | undefined,
): readonly Life[] {
  return count === "waiting" ? requiredLives(chunk, event) : requiredToPass(chunk, event, writer);
}

/** The writer that wrote, for the count of passed; nobody yet for waiting. */
export function writerFor(session: Session, key: string, count: Count): Grant | undefined {
  const step = session.step(key);
  return count === "passed" && step !== undefined && step.wroteBy >= 0 ? writerOf(step) : undefined;
}

export interface Share {
  readonly chunk: DispatcherChunk;
  readonly slots: Set<number>;
}

/** Reports by the chunk that they are counted in. */
export function sharesOf(places: readonly Place[]): Share[] {
  const shares = new Map<number, Share>();
  let share: Share | undefined;
  for (const { chunk, life } of places) {
    // Lives of one chunk come one after the other in a folded report.
    if (share?.chunk !== chunk) {
      share = shares.get(chunk.id) ?? { chunk, slots: new Set<number>() };
      shares.set(chunk.id, share);
    }
    share.slots.add(life.slot);
  }
  return [...shares.values()];
}

const NOBODY: ReadonlySet<number> = new Set();

/** Learns what is recorded of a barrier, all of it. */
export function* learnAll(session: Session, key: string, count: Count): Program<void> {
  const item = yield* ask("readBarrier", session.name(key));
  if (item) session.learnItem(key, item);
  for (const tally of yield* ask("readTallies", session.name(key), count))
    session.learnTally(key, count, tally);
}

/** Whether slots that report, with those that are known to have, are all that a chunk's required lives stand in. */
export function completes(
  required: readonly Life[],
  slots: ReadonlySet<number>,
  known: ReadonlySet<number> = NOBODY,
): boolean {
  return required.length > 0 && required.every(({ slot }) => slots.has(slot) || known.has(slot));
}

/** Chunks that these reports complete by themselves, so that they need no tally. */
export function completedBy(
  places: readonly Place[],
  event: BlockEvent,
  count: Count,
  writer: Grant | undefined,
): CompleteMark[] {
  return sharesOf(places)
    .filter(({ chunk, slots }) => completes(requiredFor(count, chunk, event, writer), slots))
    .map(({ chunk }) => completeMark(chunk));
}

/**
 * Records that lives reported: into the tallies of their chunks, and the chunks that became complete into the barrier.
 * Only sets are added to, so no two invocations fail on each other, and recording twice changes nothing.
 * @returns whether the barrier is open; false: its tombstone stands there (invariants.md I9)
 */
export function* record(
  session: Session,
  key: string,
  count: Count,
  lives: readonly Place[],
): Program<boolean> {
  return yield* contend(session.where(key), function* () {
    const event = yield* session.event(key);
    const roster = yield* session.roster();
    const places = yield* session.placesNow(lives);
    const shares = sharesOf(places);
    const results = yield* together(shares.map((share) => recordShare(session, key, count, event, share)));

    const known = session.barrier(key)[count].marks;
    const marks = results.flatMap((result) => (result.mark && !known.has(result.mark) ? [result.mark] : []));
    let stamp = Math.max(0, ...results.map((result) => result.stamp));
    if (marks.length > 0) {
      const result = yield* ask(
        "touchBarrier",
        session.name(key),
        { notClosed: true },
        count === "waiting" ? { addWaiting: marks } : { addPassed: marks },
      );
      if (result.item) session.learnItem(key, result.item);
      if (!result.done) return false;
      stamp = Math.max(stamp, result.item.stamp);
    }
    // Who changed the roster meanwhile left a stamp: the report is looked at again on that roster (no lost wake-up).
    if (stamp <= roster.version) return true;
    yield* session.refresh();
    return session.step(key) === undefined ? false : LOST;
  });
}

/** The slots that are not those of required lives. */
function beyond(slots: ReadonlySet<number>, required: readonly Life[]): number[] {
  let needed = 0;
  for (const life of required) if (slots.has(life.slot)) needed++;
  if (needed === slots.size) return [];
  const all = new Set(required.map((life) => life.slot));
  return [...slots].filter((slot) => !all.has(slot));
}

function* recordShare(
  session: Session,
  key: string,
  count: Count,
  event: BlockEvent,
  { chunk, slots }: Share,
): Program<{ mark: CompleteMark | undefined; stamp: number }> {
  const mark = completeMark(chunk);
  const memory = session.barrier(key)[count];
  const required = requiredFor(count, chunk, event, writerFor(session, key, count));
  const known = memory.tallies.get(chunk.id) ?? NOBODY;
  // A WAITING that this roster does not ask for may be asked for by a later one, after a rename. A Pass is not.
  const extras = count === "waiting" ? beyond(slots, required) : [];
  const complete = (versions: readonly number[], all: ReadonlySet<number>) =>
    required.length > 0 && missingLives(required, event, all, versions).length === 0;

  if (memory.marks.has(mark) || completes(required, slots, known)) {
    const unknown = extras.filter((slot) => !known.has(slot));
    if (unknown.length === 0) return { mark, stamp: 0 };
    const tally = yield* ask("touchTally", session.name(key), count, chunk.id, { add: unknown });
    session.learnTally(key, count, tally);
    return { mark, stamp: tally.stamp };
  }

  const asked = count === "waiting" ? undefined : new Set(required.map((life) => life.slot));
  const add = [...slots].filter((slot) => !known.has(slot) && (asked === undefined || asked.has(slot)));
  const tally =
    add.length > 0 ? yield* ask("touchTally", session.name(key), count, chunk.id, { add }) : undefined;
  if (tally) session.learnTally(key, count, tally);
  const reported = tally?.reported ?? known;
  const stamp = tally?.stamp ?? 0;
  if (complete([], reported)) return { mark, stamp };
  const openedOn = session.step(key)?.openedOn ?? 0;
  if (required.length === 0 || chunk.version <= openedOn) return { mark: undefined, stamp };
  // The chunk changed since the barrier was opened: an earlier version of it may have been complete without a tally.
  const item = yield* ask("readBarrier", session.name(key));
  if (item === undefined) return { mark: undefined, stamp };
  session.learnItem(key, item);
  const versions = completeVersions(session.barrier(key)[count].marks, chunk);
  return { mark: complete(versions, reported) ? mark : undefined, stamp };
}
