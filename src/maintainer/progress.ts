import { requiredLives } from "../barrier/coverage.ts";
import { isPast, TRIGGER_TABLE, touches } from "../barrier/event.ts";
import { type StatusChange, senderMismatch } from "../barrier/membership.ts";
import { commitTsFault } from "../barrier/plausible.ts";
import type { Place, Roster } from "../barrier/roster.ts";
import { parseKeyText } from "../protocol/eventkey.ts";
import { judge, markWritten } from "./advance.ts";
import { recordedOf } from "./goneon.ts";
import type { SpaceInput } from "./intake.ts";
import { ask, type Program } from "./program.ts";
import { learnAll, record } from "./record.ts";
import { MAX_ATTEMPTS, type Session } from "./session.ts";

/** Who reports a key is past every earlier one (protocol.md M2, M15). */
export function* passedBefore(session: Session, key: string, places: readonly Place[]): Program<void> {
  const earlier = [...(session.root?.steps.keys() ?? [])].filter((other) => other < key);
  for (const other of earlier.sort()) yield* provenPast(session, other, places);
}

/** Later barriers that are looked at when one is opened below them; the sweep looks at all. */
const MOST_LATER = 32;

/**
 * Who is recorded as waiting at a later barrier is past this one (protocol.md M2, M15). It said so once and has its ACK: before this
 * one was opened, by those who are behind, or before the opening was complete.
 * @param read reads what is stored of the later ones; false: it was read just now
 */
export function* passedByLater(session: Session, key: string, read: boolean): Program<void> {
  const isOpen = (phase: string | undefined) => phase === "waiting" || phase === "writing";
  if (!isOpen(session.step(key)?.phase)) return;
  const later = [...session.root!.steps.keys()].filter((other) => other > key).sort();
  if (later.length === 0 || !(yield* session.roster()).opened) return;
  const event = yield* session.event(key);
  for (const other of read ? later.slice(0, MOST_LATER) : later) {
    if (!isOpen(session.step(key)?.phase)) return;
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
    yield* provenPast(
      session,
      key,
      places.filter(({ life }) => waits(life)),
    );
  }
}

/** The same of all open barriers. */
export function* allPassedByLater(session: Session, read: boolean): Program<void> {
  for (const key of [...(session.root?.steps.keys() ?? [])].sort()) yield* passedByLater(session, key, read);
}

/** Who says that its checkpoint is above a commitTs is past that barrier; equal is not past (protocol.md M15). */
export function* noteProgress(session: Session, inputs: readonly SpaceInput[]): Program<void> {
  const open = [...(session.root?.steps.keys() ?? [])].sort();
  if (open.length === 0) return;
  for (const { membership } of inputs) {
    if (membership?.kind !== "status") continue;
    const reached = currentStatuses(yield* session.roster(), membership, session.highestPlausible);
    for (const key of open) {
      const { commitTs } = parseKeyText(key);
      const past = reached.filter((one) => one.checkpointTs > commitTs).map((one) => one.place);
      yield* provenPast(session, key, past);
    }
  }
}

/**
 * The checkpoints in a heartbeat that are of present lives, and said by who hosts them (protocol.md R6, R7).
 * @param most the highest commitTs that is taken for one: what nobody can mean says nothing, for everything is behind it
 */
export function currentStatuses(
  roster: Roster,
  { sender, statuses }: StatusChange,
  most: bigint,
): { readonly place: Place; readonly checkpointTs: bigint }[] {
  const node = roster.nodes.get(sender.node);
  // It names no epoch: what another process of this node says may be of a life of the same number (decisions/0025).
  if (node === undefined || sender.start !== node.start) return [];
  if (senderMismatch(node, sender) !== undefined) return [];
  return statuses.flatMap(({ id, life, checkpointTs }) => {
    const place = roster.find(id);
    if (place === undefined || place.life.node !== sender.node) return [];
    if (commitTsFault(checkpointTs, "checkpoint_ts", most) !== undefined) return [];
    const isOf = sender.start > 0n ? life === place.life.life : BigInt(sender.sentAt) >= place.life.life;
    return isOf ? [{ place, checkpointTs }] : [];
  });
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
  for (let attempt = 1; ; attempt++) {
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
        continue;
      }
      // What the table trigger of an old node says proves no more: it is past it by its own Write, of which it says DONE.
      if (past.every(({ life }) => event.key.isSyncPoint && roster.isOld(life.node)))
        return yield* reached(session, key, past);
      if (yield* markWritten(session, key, -1, true)) continue;
      if (attempt >= MAX_ATTEMPTS)
        throw new Error(`barrier ${key}: lost ${attempt} races to mark it written`);
      yield* ask("pause", attempt);
      continue;
    }
    if (step.phase !== "passing") return;
    if (yield* record(session, key, "passed", past)) yield* judge(session, key);
    return;
  }
}

/**
 * Lives of old nodes that are past a syncpoint which nobody is known to have written: it is not waited for them, but for who
 * writes it (protocol.md M21).
 */
function* reached(session: Session, key: string, past: readonly Place[]): Program<void> {
  const others = past.filter(({ life }) => life.tableId !== TRIGGER_TABLE);
  if (others.length === 0) return;
  if (yield* record(session, key, "waiting", others)) yield* judge(session, key);
}
