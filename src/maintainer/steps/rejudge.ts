import { completeMark, completeVersions, missingLives, supersededMarks } from "../../barrier/coverage.ts";
import type { DispatcherChunk, Roster } from "../../barrier/roster.ts";
import { MAX_SUPERSEDED_MARKS } from "../base/bounds.ts";
import type { BarrierItem, Count } from "../base/port.ts";
import { ask, type Program, together } from "../base/program.ts";
import { requiredFor, writerFor } from "../count/record.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";

/**
 * Looks at an open barrier after the roster has changed, or from scratch.
 *
 * Of a report and a roster change that meet, the later one must see the earlier: the tallies of the changed chunks and
 * the open barriers are stamped with the new version, and judged on what the stamped writes give back (invariants.md S5).
 * @param changed the chunks whose lives changed; "all": read everything and stamp nothing
 */
export function* rejudge(session: Session, key: string, changed: readonly number[] | "all"): Program<void> {
  yield* contend(session.where(key), function* () {
    const stamp = yield* lookAt(session, key, changed);
    const root = session.root;
    if (stamp === undefined || root === undefined || session.step(key) === undefined) return;
    if (stamp <= root.rosterVersion) return session.agenda.add({ what: "judge", key });
    // Somebody changed the roster again meanwhile, and what is written here may be what he had missed.
    yield* session.refresh();
    return LOST;
  });
}

/**
 * Learns what is stored of a barrier, marks what is complete, and leaves the stamp.
 * @returns the highest stamp that it met; undefined: its tombstone stands there
 */
function* lookAt(
  session: Session,
  key: string,
  changed: readonly number[] | "all",
): Program<number | undefined> {
  const step = session.step(key);
  if (step === undefined) return 0;
  if (step.phase === "closed") return 0;
  const count: Count = step.phase === "passing" ? "passed" : "waiting";
  const roster = yield* session.roster();
  const chunks =
    changed === "all" ? roster.dispatchers : roster.dispatchers.filter((chunk) => changed.includes(chunk.id));

  const tallies =
    changed === "all"
      ? yield* ask("readTallies", session.name(key), count)
      : yield* together(
          chunks.map((chunk) =>
            ask("touchTally", session.name(key), count, chunk.id, { stamp: roster.version }),
          ),
        );
  for (const tally of tallies) session.learnTally(key, count, tally);
  let stamp = Math.max(0, ...tallies.map((tally) => tally.stamp));
  if (changed === "all") {
    const item = yield* ask("readBarrier", session.name(key));
    if (item) session.learnItem(key, item);
    if (item) yield* dropSuperseded(session, key, item, roster);
    stamp = Math.max(stamp, item?.stamp ?? 0);
  } else {
    const stamped = yield* ask(
      "touchBarrier",
      session.name(key),
      { notClosed: true },
      { stamp: roster.version },
    );
    if (stamped.item) session.learnItem(key, stamped.item);
    if (!stamped.done) return undefined;
    stamp = Math.max(stamp, stamped.item.stamp);
  }
  return Math.max(stamp, yield* markCompleted(session, key, count, chunks));
}

/** Takes marks out of a barrier that was open through many versions of the roster (docs/bounds.md). */
function* dropSuperseded(session: Session, key: string, item: BarrierItem, roster: Roster): Program<void> {
  if (item.waiting.size + item.passed.size <= roster.dispatchers.length + MAX_SUPERSEDED_MARKS) return;
  const dropWaiting = supersededMarks(item.waiting, roster);
  const dropPassed = supersededMarks(item.passed, roster);
  if (dropWaiting.length + dropPassed.length <= MAX_SUPERSEDED_MARKS) return;
  yield* ask("touchBarrier", session.name(key), { notClosed: true }, { dropWaiting, dropPassed });
}

/** Marks chunks complete that are so by what is known now. @returns the stamp that it met */
function* markCompleted(
  session: Session,
  key: string,
  count: Count,
  chunks: readonly DispatcherChunk[],
): Program<number> {
  const event = yield* session.event(key);
  const { marks, tallies } = session.barrier(key)[count];
  const writer = writerFor(session, key, count);
  const complete = chunks.filter((chunk) => {
    if (marks.has(completeMark(chunk))) return false;
    const required = requiredFor(count, chunk, event, writer);
    const reported = tallies.get(chunk.id) ?? new Set<number>();
    return (
      required.length > 0 &&
      missingLives(required, event, reported, completeVersions(marks, chunk)).length === 0
    );
  });
  if (complete.length === 0) return 0;
  const add = complete.map(completeMark);
  const result = yield* ask(
    "touchBarrier",
    session.name(key),
    { notClosed: true },
    count === "waiting" ? { addWaiting: add } : { addPassed: add },
  );
  if (result.item) session.learnItem(key, result.item);
  return result.item?.stamp ?? 0;
}
