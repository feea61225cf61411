/** The opening of a changefeed, which may come in parts and from several senders (protocol.md R1, R1a). */
import type { RosterDraft } from "./draft.ts";
import type { Opening, Outcome } from "./membership.ts";
import { isOpened, type PendingOpening, type RosterMeta } from "./roster.ts";

/** Openings that are under way at a time, each of another node. The one that began first makes room. */
const MOST = 4;
/** Parts of one opening: at 2,000 tables each, two million. */
export const MAX_PARTS = 1_000;

/**
 * One part of an opening. A part belongs to one sending: that of one start of one node, in so many parts. Parts of several
 * sendings are kept apart, and the first one that is complete opens the changefeed; what only the others have named leaves. From
 * then on another start of the node that opened it may name another table trigger, and changes nothing else: tables come and go by
 * events.
 */
export function applyOpening(draft: RosterDraft, change: Opening, outcome: Outcome): void {
  const { sender, part, parts } = change;
  if (isOpened(draft.meta)) {
    renameTrigger(draft, change, outcome);
    return;
  }
  const known = pendingOf(draft.meta).find((one) => one.node === sender.node);
  if (known && sender.start < known.start) {
    outcome.stale++;
    outcome.knownStart = known.start;
    return;
  }
  const same = known?.start === sender.start ? known : undefined;
  if (same && same.expected !== parts) {
    outcome.rejected = `the opening has ${parts} parts here and ${same.expected} in a part that came before: send the same parts, or a higher start or maintainer_epoch`;
    return;
  }
  const sending = same ?? begin(draft, change, known);
  if (sending.parts.includes(part)) return;
  const all = { ...sending, parts: [...sending.parts, part].sort((a, b) => a - b) };
  draft.putNamed(parts === 1 ? 0 : sending.number, change.tables);
  const others = pendingOf(draft.meta).filter((one) => one.number !== sending.number);
  const answersEpochZero = draft.meta.answersEpochZero || change.answersEpochZero;
  const trigger = sending.trigger ?? change.trigger;
  const now = { ...all, ...(trigger !== undefined && { trigger }) };
  if (now.parts.length < parts) {
    const openings = [...others, now].sort((a, b) => a.number - b.number);
    draft.setMeta({ answersEpochZero, openings, parts: [], partsExpected: 0 });
    return;
  }
  for (const { number } of others) draft.dropNamed(number);
  const { openings: _, ...meta } = draft.meta;
  draft.replaceMeta({
    ...meta,
    parts: now.parts,
    partsExpected: parts,
    openedBy: sender.node,
    openedByStart: sender.start,
    answersEpochZero,
    ...(change.at !== undefined && { openedAt: change.at }),
    ...(parts > 1 && sending.number > 0 && { opening: sending.number }),
    ...(trigger !== undefined && { trigger }),
  });
  draft.placeInSchemas(draft.tables());
}

/** A sending of a node of which no part came before. One of an earlier start of the node is over. */
function begin(
  draft: RosterDraft,
  { sender, parts }: Opening,
  replaced: PendingOpening | undefined,
): PendingOpening {
  const pending = pendingOf(draft.meta);
  const over = replaced ?? (pending.length >= MOST ? pending[0] : undefined);
  const left = pending.filter((one) => one.number !== over?.number);
  if (over) {
    draft.dropNamed(over.number);
    draft.setMeta({ openings: left, parts: [], partsExpected: 0 });
  }
  const number = 1 + Math.max(0, ...pending.map((one) => one.number));
  return { number, node: sender.node, start: sender.start, parts: [], expected: parts };
}

/** The changefeed is open: only its opener, started again, may say who the table trigger is now. */
function renameTrigger(draft: RosterDraft, { sender, trigger }: Opening, outcome: Outcome): void {
  const { meta } = draft;
  if (sender.node === meta.openedBy) {
    if (sender.start < meta.openedByStart) {
      outcome.stale++;
      outcome.knownStart = meta.openedByStart;
    } else if (sender.start > meta.openedByStart)
      draft.setMeta({ openedByStart: sender.start, ...(trigger !== undefined && { trigger }) });
  } else if (trigger !== undefined && meta.trigger !== undefined && trigger !== meta.trigger)
    outcome.reason = `node "${meta.openedBy}" has opened the changefeed with another table trigger: use that one, or a higher maintainer_epoch`;
}

/** Openings of which some parts have come. What a version began that knew of one only has number 0. */
function pendingOf(meta: RosterMeta): readonly PendingOpening[] {
  if (meta.openings !== undefined) return meta.openings;
  if (meta.partsExpected === 0) return [];
  const { openedBy: node, openedByStart: start, parts, partsExpected: expected, trigger } = meta;
  return [{ number: 0, node, start, parts, expected, ...(trigger !== undefined && { trigger }) }];
}
