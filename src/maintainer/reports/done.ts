import type { Place } from "../../barrier/roster.ts";
import { grantIndex, type Step, saysWritten } from "../../barrier/step.ts";
import { repeatOutstanding } from "../answers/repeat.ts";
import type { Program } from "../base/program.ts";
import { noteDuplicates } from "../count/duplicates.ts";
import { record } from "../count/record.ts";
import type { Report, ReportedLife } from "../intake/input.ts";
import type { Placed } from "../intake/located.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { buryClosed } from "../steps/close.ts";
import { markWritten } from "../steps/judge.ts";
import { judgeNow, settle } from "../steps/settle.ts";

/**
 * DONE reports of one key (protocol.md M8): a DONE counts only in the phase that its action belongs to.
 * @param granted DONEs of lives that were granted Write and are over since
 */
export function* doneReports(
  session: Session,
  key: string,
  placed: readonly Placed[],
  granted: readonly Report[],
): Program<void> {
  if (placed.length === 0 && granted.length === 0) return;
  // A phase can only be behind in memory: what does not fit is looked at again on the root as it is.
  if (!session.fresh && !fits(session.step(key), placed)) yield* session.refresh();
  const step = session.step(key);
  if (step === undefined) return stale(session, key, placed);
  if (step.phase === "closed") return yield* buryClosed(session, key);

  const redelivered = placed.some((one) => one.report.redelivered) || granted.some((one) => one.redelivered);
  const sentAt = latest([...placed.map((one) => one.report), ...granted]);
  const writes: ReportedLife[] = granted.map((report) => report.lives[0]!);
  const passes: Place[] = [];
  for (const { report, places } of placed)
    for (const place of places) {
      const grant = grantIndex(step, place.life.id, place.life.life);
      if (grant >= 0 && saysWritten(step, grant, report.done)) writes.push(place.life);
      // Of an old node without a grant: any other than the writer has passed (protocol.md M8).
      else if (report.done !== "write") passes.push(place);
      else session.observer.note({ what: "report-stale", space: session.space.text, key, count: 1 });
    }

  const already = step.phase === "passing";
  const written = yield* contend(session.where(key), function* () {
    const by = yield* answered(session, key, writes);
    return by === undefined || (yield* markWritten(session, key, by)) ? by : LOST;
  });
  if (written !== undefined) {
    yield* settle(session);
    if (session.step(key)?.phase === "written") yield* judgeNow(session, key);
    if (already) yield* repeatOutstanding(session, key, redelivered, sentAt);
  } else if (writes.length > 0)
    session.observer.note({ what: "report-stale", space: session.space.text, key, count: writes.length });
  if (passes.length > 0) yield* passDone(session, key, passes, sentAt);
  if (written === undefined && redelivered && session.step(key)?.phase === "closed")
    yield* buryClosed(session, key);
}

/**
 * Which of the grants whose DONE is here says that the event is written; undefined: none. As long as a later one is out to a
 * life that is there, its Write may be on its way and would come when others have passed: its own DONE counts
 * (protocol.md M8).
 */
function* answered(
  session: Session,
  key: string,
  writes: readonly ReportedLife[],
): Program<number | undefined> {
  const step = session.step(key);
  // Which grant it is: of the step as it is now, for what was granted meanwhile may have taken an old one's place.
  const indexes = step === undefined ? [] : writes.map(({ id, life }) => grantIndex(step, id, life));
  const [first] = indexes.filter((index) => index >= 0);
  const last = step?.grants.at(-1);
  if (step?.phase !== "writing" || last === undefined || first === undefined) return first;
  // The same life may have been granted Write again.
  const own = indexes.find((one) => step.grants[one]?.id === last.id && step.grants[one]?.life === last.life);
  if (own !== undefined) return own;
  const roster = yield* session.roster();
  return roster.find(last.id)?.life.life === last.life ? undefined : first;
}

/** When the last of some reports was put into the queue, in ms since 1970. */
export function latest(reports: readonly Report[]): number {
  return reports.reduce((last, { message }) => Math.max(last, message.sentAt), 0);
}

/** Whether DONEs can be judged on a step that is known from memory. */
function fits(step: Step | undefined, placed: readonly Placed[]): boolean {
  if (step === undefined) return false;
  if (placed.every((one) => one.report.done === "pass") || step.phase !== "writing")
    return step.phase === "passing";
  // A grant that is not known yet may have been given since: its DONE comes only once.
  return placed.every(({ places }) => places.every(({ life }) => grantIndex(step, life.id, life.life) >= 0));
}

function* passDone(session: Session, key: string, places: readonly Place[], sentAt: number): Program<void> {
  const step = session.step(key);
  if (step?.phase !== "passing") {
    session.observer.note({ what: "report-stale", space: session.space.text, key, count: places.length });
    return;
  }
  noteDuplicates(session, key, "passed", places);
  if (!(yield* record(session, key, "passed", places))) return;
  yield* judgeNow(session, key);
  yield* repeatOutstanding(session, key, false, sentAt);
}

function stale(session: Session, key: string, placed: readonly Placed[]): void {
  const count = placed.reduce((sum, one) => sum + one.places.length, 0);
  session.observer.note({ what: "report-stale", space: session.space.text, key, count });
}
