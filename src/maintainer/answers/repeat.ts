import { completeVersions, missingLives, requiredLives, sameLives } from "../../barrier/coverage.ts";
import type { BlockEvent } from "../../barrier/event.ts";
import type { DispatcherChunk, Life, Roster } from "../../barrier/roster.ts";
import { type Step, writerOf } from "../../barrier/step.ts";
import { ask, type Program } from "../base/program.ts";
import { requiredFor, writerFor } from "../count/record.ts";
import type { Session } from "../session/session.ts";
import { stillAt } from "./gone-on.ts";

/**
 * The first wave of Pass: to every life that the event touches, the writer of a new node too (protocol.md M12). Lives of tables
 * that the event dropped are told by whoever applied it.
 */
export function* passToAll(session: Session, key: string): Program<void> {
  const event = yield* session.event(key);
  const roster = yield* session.roster();
  const step = session.step(key);
  if (step === undefined) return;
  const targets: Life[] = [];
  for (const chunk of roster.dispatchers)
    for (const life of passTargets(roster, chunk, event, step)) targets.push(life);
  session.outbox.pass(key, yield* stillAt(session, key, targets), event.influence);
}

/**
 * Whom of a chunk the first wave of Pass goes to. An old node's writer is not told: it is done with its DONE of Write, and might
 * take the Pass for the syncpoint's of the same commitTs (protocol.md M21). If its DONE is still under way it is told
 * with the repeats, should the DONE not come. Nothing comes behind a syncpoint at its commitTs.
 */
export function passTargets(
  roster: Roster,
  chunk: DispatcherChunk,
  event: BlockEvent,
  step: Step,
): readonly Life[] {
  const required = requiredLives(chunk, event);
  const writer = writerOf(step);
  if (writer?.chunk !== chunk.id) return required;
  if (roster.isOld(chunk.node) && !event.key.isSyncPoint)
    return required.filter((life) => life.slot !== writer.slot);
  if (step.wroteBy < 0 || required.some((life) => life.slot === writer.slot)) return required;
  return [...required, ...chunk.lives.filter((life) => life.slot === writer.slot)];
}

/**
 * Repeats the outstanding action of a barrier if it was sent long enough ago, to those who are missing (protocol.md
 * M18; invariants.md Q4). One invocation of many wins the repeat.
 * @param force repeat whatever the time: the invocation that should have sent it may have died
 * @param asOf the latest time of which it is known that the answer was not there, in ms since 1970: a report that has
 *   waited in the queue says nothing about answers that wait behind it
 */
export function* repeatOutstanding(
  session: Session,
  key: string,
  force: boolean,
  asOf: number = session.now,
): Program<void> {
  const step = session.step(key);
  if (step === undefined || (step.phase !== "writing" && step.phase !== "passing")) return;
  const memory = session.barrier(key);
  const before = asOf - session.settings.repeatAfter;
  const isDue = Math.max(step.phaseAt, memory.sentAt) <= before;
  if (!force && !isDue) return;

  const event = yield* session.event(key);
  const roster = yield* session.roster();
  // A Write is repeated only while the lives are those of its grant (protocol.md M6a).
  if (step.phase === "writing" && !sameLives(roster, event, step.grantedOn, step.grantedLives)) return;
  // What was sent a moment ago an old node may be doing: it would take the same once more for the syncpoint at this commitTs, which
  // it comes to next (protocol.md M21). It has had the answer by when the repeat is due.
  const mayRepeat = ({ node }: Life) => isDue || event.key.isSyncPoint || !roster.isOld(node);
  const writer = step.phase === "writing" ? roster.find(writerOf(step)!.id)?.life : undefined;
  if (writer && !mayRepeat(writer)) return;
  const won = yield* ask(
    "touchBarrier",
    session.name(key),
    { notClosed: true, ...(!force && { notSentSince: before }) },
    { sentAt: session.now },
  );
  if (won.item) session.learnItem(key, won.item);
  if (!won.done) return;

  if (step.phase === "writing") {
    if (writer?.life === writerOf(step)!.life)
      for (const life of yield* stillAt(session, key, [writer])) session.outbox.write(key, life);
  } else {
    const missing = (yield* missingToPass(session, key)).filter(mayRepeat);
    session.outbox.pass(key, yield* stillAt(session, key, missing));
  }
  session.observer.note({ what: "action-repeated", space: session.space.text, key, detail: step.phase });
}

/** The lives whose DONE of Pass is missing, from what is stored. */
function* missingToPass(session: Session, key: string): Program<Life[]> {
  const event = yield* session.event(key);
  const roster = yield* session.roster();
  for (const tally of yield* ask("readTallies", session.name(key), "passed"))
    session.learnTally(key, "passed", tally);
  const { marks, tallies } = session.barrier(key).passed;
  const writer = writerFor(session, key, "passed");
  return roster.dispatchers.flatMap((chunk) =>
    missingLives(
      requiredFor("passed", chunk, event, writer),
      event,
      tallies.get(chunk.id) ?? new Set(),
      completeVersions(marks, chunk),
    ),
  );
}
