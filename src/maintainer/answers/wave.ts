import { completeMark, completeVersions, missingLives } from "../../barrier/coverage.ts";
import type { BlockEvent } from "../../barrier/event.ts";
import type { DispatcherChunk, Life } from "../../barrier/roster.ts";
import type { Step } from "../../barrier/step.ts";
import { ask, type Program } from "../base/program.ts";
import { SLICE_LIVES, type Slice } from "../base/slice.ts";
import { learnAll, requiredFor, writerFor } from "../count/record.ts";
import type { Session } from "../session/session.ts";
import { stillAt } from "./gone-on.ts";
import { passTargets } from "./repeat.ts";

/** A slice, and whether an earlier invocation may have sent some of it. */
export interface HandedOver {
  readonly slice: Slice;
  readonly redelivered: boolean;
}

/**
 * Goes on with a wave that another invocation handed over (protocol.md M22): tells the lives of each slice what the state
 * says that they are owed. What is not due any more, or was never, has no effect.
 */
export function* tellSlices(session: Session, handedOver: readonly HandedOver[]): Program<void> {
  if (handedOver.length === 0) return;
  yield* session.recentRoot();
  // A phase in memory can only be behind.
  if (!session.fresh && handedOver.some(({ slice }) => !isDue(session, slice))) yield* session.refresh();
  if (session.root === undefined) return;
  const due = handedOver.filter(({ slice }) => isDue(session, slice));
  for (const [key, slices] of Map.groupBy(due, ({ slice }) => slice.key)) {
    const step = session.step(key)!;
    if (step.phase === "passing") yield* passSlices(session, key, slices);
    else yield* ackSlices(session, key, slices);
  }
}

/** A Pass in phase passing; an ACK before, for the Pass that comes counts as one (protocol.md D3). */
function isDue(session: Session, { epoch, key, kind }: Slice): boolean {
  const phase: Step["phase"] | undefined =
    session.root?.epoch === epoch ? session.step(key)?.phase : undefined;
  if (phase === undefined || phase === "closed") return false;
  return (phase === "passing") === (kind === "pass");
}

function* passSlices(session: Session, key: string, slices: readonly HandedOver[]): Program<void> {
  const event = yield* session.event(key);
  const roster = yield* session.roster();
  const again = slices.some(({ slice, redelivered }) => redelivered || !slice.first);
  if (again) yield* learnAll(session, key, "passed");
  const { marks, tallies } = session.barrier(key).passed;
  const writer = writerFor(session, key, "passed");
  const targets: Life[] = [];
  for (const { slice, redelivered } of slices) {
    const chunk = roster.chunks.get(slice.chunk);
    if (chunk?.kind !== "dispatchers") continue;
    const lives =
      slice.first && !redelivered
        ? passTargets(roster, chunk, event, session.step(key)!)
        : missingLives(
            requiredFor("passed", chunk, event, writer),
            event,
            tallies.get(chunk.id) ?? new Set(),
            completeVersions(marks, chunk),
          );
    targets.push(...within(slice, lives));
  }
  if (targets.length === 0) return;
  // As long as a wave makes progress nobody repeats it; where it stops, its repeat is due soon after.
  const touched = yield* ask("touchBarrier", session.name(key), { notClosed: true }, { sentAt: session.now });
  if (touched.item) session.learnItem(key, touched.item);
  if (touched.done) session.outbox.passNow(key, yield* stillAt(session, key, targets));
}

/** ACKs to those of the slices whose WAITING is recorded (protocol.md M7). */
function* ackSlices(session: Session, key: string, slices: readonly HandedOver[]): Program<void> {
  const event = yield* session.event(key);
  const roster = yield* session.roster();
  const recorded = (chunk: DispatcherChunk) => recordedLives(session, key, event, chunk);
  const chunks = new Map<number, DispatcherChunk>();
  for (const { slice } of slices) {
    const chunk = roster.chunks.get(slice.chunk);
    if (chunk?.kind === "dispatchers") chunks.set(chunk.id, chunk);
  }
  const { marks } = session.barrier(key).waiting;
  if ([...chunks.values()].some((chunk) => !marks.has(completeMark(chunk))))
    yield* learnAll(session, key, "waiting");
  for (const { slice } of slices) {
    const chunk = chunks.get(slice.chunk);
    if (chunk) session.outbox.ackNow(key, within(slice, recorded(chunk)));
  }
}

function recordedLives(session: Session, key: string, event: BlockEvent, chunk: DispatcherChunk): Life[] {
  const { marks, tallies } = session.barrier(key).waiting;
  const required = requiredFor("waiting", chunk, event, undefined);
  if (marks.has(completeMark(chunk))) return [...required];
  const tally = tallies.get(chunk.id);
  const missing = new Set(missingLives(required, event, tally ?? new Set(), completeVersions(marks, chunk)));
  return chunk.lives.filter(
    (life) => tally?.has(life.slot) || (required.includes(life) && !missing.has(life)),
  );
}

function within({ from }: Slice, lives: readonly Life[]): Life[] {
  return lives.filter(({ slot }) => slot >= from && slot < from + SLICE_LIVES);
}
