import { completeMark, completeVersions, missingLives } from "../barrier/coverage.ts";
import type { DispatcherChunk } from "../barrier/roster.ts";
import { buryClosed, judge } from "./advance.ts";
import type { Count } from "./port.ts";
import { ask, type Program, together } from "./program.ts";
import { requiredFor, writerFor } from "./record.ts";
import type { Session } from "./session.ts";

/**
 * Looks at every open barrier after the roster has changed, or from scratch.
 *
 * Of a report and a roster change that meet, the later one must see the earlier: the tallies of the changed chunks and
 * the open barriers are stamped with the new version, and judged on what the stamped writes give back (design.md, "No
 * lost wake-up").
 * @param changed the chunks whose lives changed; "all": read everything and stamp nothing
 */
export function* evaluate(session: Session, changed: readonly number[] | "all"): Program<void> {
  const keys = [...(session.root?.steps.keys() ?? [])].sort();
  for (const key of keys) yield* evaluateOne(session, key, changed);
}

function* evaluateOne(session: Session, key: string, changed: readonly number[] | "all"): Program<void> {
  const step = session.step(key);
  if (step === undefined) return;
  if (step.phase === "closed") return yield* buryClosed(session, key);
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
  if (changed === "all") {
    const item = yield* ask("readBarrier", session.name(key));
    if (item) session.learnItem(key, item);
  } else {
    const stamped = yield* ask(
      "touchBarrier",
      session.name(key),
      { notClosed: true },
      { stamp: roster.version },
    );
    if (stamped.item) session.learnItem(key, stamped.item);
    if (!stamped.done) return;
  }
  yield* markCompleted(session, key, count, chunks);
  yield* judge(session, key);
}

/** Marks chunks complete that are so by what is known now. */
function* markCompleted(
  session: Session,
  key: string,
  count: Count,
  chunks: readonly DispatcherChunk[],
): Program<void> {
  const event = yield* session.event(key);
  const { marks, tallies } = session.barrier(key)[count];
  const writer = writerFor(session, key, count);
  const complete = chunks.filter((chunk) => {
    if (marks.has(completeMark(chunk))) return false;
    const required = requiredFor(count, chunk, event, writer);
    const reported = tallies.get(chunk.id) ?? new Set<number>();
    return (
      required.length > 0 &&
      missingLives(required, event, reported, completeVersions(marks, chunk.id)).length === 0
    );
  });
  if (complete.length === 0) return;
  const add = complete.map(completeMark);
  const result = yield* ask(
    "touchBarrier",
    session.name(key),
    { notClosed: true },
    count === "waiting" ? { addWaiting: add } : { addPassed: add },
  );
  if (result.item) session.learnItem(key, result.item);
}
