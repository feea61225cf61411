import { carriedOver } from "../../barrier/carried.ts";
import { RosterDraft } from "../../barrier/draft.ts";
import { applyMembership, newOutcome, type Outcome } from "../../barrier/membership.ts";
import { isOpened, type Roster } from "../../barrier/roster.ts";
import { ComponentState } from "../../protocol/messages.ts";
import type { Root } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { isKept, keepEarlyStatuses } from "../intake/early-reports.ts";
import type { SpaceInput } from "../intake/input.ts";
import { rejudgeAll } from "../session/agenda.ts";
import { contend, LOST } from "../session/contention.ts";
import { highestMet, type Session } from "../session/session.ts";
import { putDraft } from "../steps/apply.ts";
import { AskedOf, tellRemove } from "../steps/schedule.ts";
import { settle } from "../steps/settle.ts";
import { formerEpochs, nextAfter } from "./former-epochs.ts";

interface Answered {
  readonly input: SpaceInput;
  readonly outcome: Outcome;
}

/** What handling membership came to. */
export interface MembershipTurn {
  /** Whether the roster may know lives now that it did not know before. */
  readonly changed: boolean;
  /** The dispatchers of each registration that were accepted: only their block states count (protocol.md M14). */
  readonly accepted: ReadonlyMap<SpaceInput, ReadonlySet<string>>;
}

/**
 * Applies openings, registrations and status changes of a batch to one space, in one change of the roster (protocol.md
 * R1 to R7). A root of a higher epoch starts empty, a message of a lower one changes nothing, and is told so.
 * @param rejected gets the reason of what is refused as a whole
 */
export function* handleMembership(
  session: Session,
  inputs: readonly SpaceInput[],
  rejected: (input: SpaceInput, reason: string) => void,
): Program<MembershipTurn> {
  const accepted = new Map<SpaceInput, ReadonlySet<string>>();
  if (inputs.length === 0) return { changed: false, accepted };
  const onlyStatuses = inputs.every((input) => input.membership?.kind === "status");
  const redelivered = inputs.some((input) => input.message.receiveCount > 1);
  // A heartbeat that changes nothing is the common case: it is judged on the root of a moment ago.
  if (onlyStatuses && !redelivered) yield* session.recentRoot();
  else yield* session.refresh();

  return yield* contend(session.where(), function* (attempt) {
    // The root that came back with a lost race is as old as the pause was long: on it the next would be lost as well.
    if (attempt > 1) yield* session.refresh();
    const wasOpened = session.root !== undefined && isOpened(session.root.meta);
    let turn = yield* attemptChange(session, inputs);
    // Judged on a root from memory: that is read now, so once is enough.
    if (turn === "again") turn = yield* attemptChange(session, inputs);
    if (turn === "again" || turn === "lost") return LOST;
    const { answered, changed, touched } = turn;
    if (session.root !== undefined) yield* session.roster();
    for (const { input, outcome } of answered) {
      accepted.set(input, new Set(outcome.accepted.map((one) => one.id)));
      if (outcome.rejected !== undefined) rejected(input, outcome.rejected);
      if (outcome.mismatched) noteMismatch(session, input, outcome.rejected ?? "");
      else yield* answer(session, input, outcome);
    }
    const behind = yield* registeredMeanwhile(session, answered);
    if (session.root === undefined) return { changed: false, accepted };
    if (changed || redelivered) rejudgeAll(session, touched);
    yield* settle(session);
    // Nothing that was reported before the opening was complete proved anything (protocol.md R1).
    if (!wasOpened && isOpened(session.root.meta))
      session.agenda.add({ what: "all-past-by-later", read: true });
    yield* settle(session);
    return { changed: changed || redelivered || behind, accepted };
  });
}

/**
 * Whether the roster has changed since component states were kept, so that what is kept is to be looked at: a registration
 * that was committed before this read saw nothing kept, a later one reads it.
 */
function* registeredMeanwhile(session: Session, answered: readonly Answered[]): Program<boolean> {
  // What was kept before was there for every registration to see.
  const kept = answered.some(({ input, outcome }) => outcome.early.length > 0 && !isKept(input.message));
  if (!kept) return false;
  const before = session.root?.rosterVersion;
  yield* session.refresh();
  if (session.root?.rosterVersion === before) return false;
  session.keptNow.clear();
  return true;
}

function* attemptChange(
  session: Session,
  inputs: readonly SpaceInput[],
): Program<"again" | "lost" | { answered: Answered[]; changed: boolean; touched: number[] }> {
  const root = session.root;
  const present = root?.epoch ?? 0n;
  const highest = inputs.reduce(
    (epoch, input) => ((input.epoch ?? 0n) > epoch ? input.epoch! : epoch),
    present,
  );
  const starts = highest > present;
  if (highest === 0n) return { answered: withoutRoot(inputs), changed: false, touched: [] };

  const base = starts ? yield* beginning(session, root) : yield* session.roster();
  // The roster before is gone: another epoch has begun.
  if (base === undefined) {
    yield* session.refresh();
    return "again";
  }
  const draft = new RosterDraft(base, session.now, session.settings.rememberFor);
  const answered: Answered[] = [];
  const asked = new AskedOf(session, base);
  for (const input of inputs) {
    if (input.epoch !== undefined && input.epoch < highest) {
      session.observer.note({
        what: "report-stale",
        space: session.space.text,
        node: input.message.attributes["from"] ?? "",
        detail: "epoch",
      });
      const reason = `maintainer_epoch ${input.epoch} is over: the changefeed is in epoch ${highest}`;
      answered.push({ input, outcome: { ...newOutcome(), reason } });
      continue;
    }
    if (!starts && root?.meta.removed) {
      const reason = `the changefeed was removed: open it with a maintainer_epoch above ${present}`;
      answered.push({ input, outcome: { ...newOutcome(), reason, early: endsIn(input) } });
      continue;
    }
    const outcome = applyMembership(draft, input.membership!, highestMet(root), (node, id) =>
      starts ? undefined : asked.find(node, id),
    );
    answered.push({ input, outcome });
  }
  // What an old node was asked to create a moment ago a root from memory does not know.
  const early = answered.some(
    ({ input, outcome }) => outcome.early.length > 0 && input.membership?.sender.start === 0n,
  );
  if (early && !session.fresh) {
    yield* session.refresh();
    return "again";
  }
  // What was judged on a root from memory is judged again on the root as it is before anything is written, or refused or kept
  // because the roster does not know it, or knows it otherwise.
  if (!session.fresh && (draft.changed || answered.some(isDoubtful))) {
    yield* session.refresh();
    return "again";
  }
  const touched = new Set(inputs.flatMap((input) => chunksOf(draft, input)));
  if (!draft.changed) return { answered, changed: false, touched: [...touched] };
  if (starts) draft.takeOver();
  // Before it is committed, for a crash; and after it, for whoever removes the changefeed meanwhile (protocol.md R14).
  if (root === undefined || root.meta.removed) yield* ask("registerSpace", session.space, session.token());
  return yield* commitDraft(session, draft, answered, touched, starts ? highest : undefined, root);
}

/** The roster that the next epoch begins with: whose nodes are is known from the one before (protocol.md R7). */
function* beginning(session: Session, root: Root | undefined): Program<Roster | undefined> {
  const { chunks } = session.memory;
  const pointers = (root?.pointers ?? []).filter(({ kind }) => kind === "nodes");
  const missing = pointers.filter(({ name }) => !chunks.has(name));
  const read = missing.length > 0 ? yield* ask("readChunks", session.space, missing) : [];
  const former = [...pointers.flatMap(({ name }) => chunks.get(name) ?? []), ...read];
  if (former.includes(undefined)) return undefined;
  const nodes = former.flatMap((chunk) => (chunk?.kind === "nodes" ? chunk.nodes : []));
  return carriedOver(nodes, session.now, session.settings.rememberFor);
}

function isDoubtful({ outcome }: Answered): boolean {
  const { early, refused, leftOver, stale, rejected, reason } = outcome;
  return (
    early.length + refused.length + leftOver.length + stale > 0 ||
    rejected !== undefined ||
    reason !== undefined
  );
}

function* commitDraft(
  session: Session,
  draft: RosterDraft,
  answered: Answered[],
  touched: Set<number>,
  startEpoch: bigint | undefined,
  root: Root | undefined,
): Program<"lost" | { answered: Answered[]; changed: boolean; touched: number[] }> {
  const former = startEpoch === undefined ? [] : formerEpochs(session, root);
  const { changes, replaced, touched: written } = yield* putDraft(session, draft, startEpoch);
  const result = yield* ask(
    "commitRoot",
    session.space,
    startEpoch !== undefined
      ? nextAfter(root, startEpoch)
      : { sameEpoch: root!.epoch, sameRoster: draft.base.version },
    { roster: changes, ...(startEpoch !== undefined && { startEpoch, former, heard: session.now }) },
  );
  const unused = changes.pointers.filter((pointer) => written.has(pointer.id));
  const leftOver = result.committed ? (startEpoch !== undefined ? (root?.pointers ?? []) : replaced) : unused;
  if (leftOver.length > 0) yield* ask("expireChunks", session.space, leftOver);
  // Only a change of epoch by somebody else is a reason to start over; one's own is not.
  if (startEpoch !== undefined) session.forgetRoot();
  session.adopt(result.root);
  if (!result.committed) return "lost";
  if (startEpoch !== undefined && root !== undefined)
    yield* ask("registerSpace", session.space, session.token());
  session.observer.note({ what: "roster-changed", space: session.space.text, count: written.size });
  for (const id of written) touched.add(id);
  return { answered, changed: true, touched: [...touched] };
}

/** What a message ends. It may be of a registration that is on its way, and that begins the next epoch (protocol.md R6, R14). */
function endsIn({ membership }: SpaceInput): Outcome["early"] {
  if (membership?.kind !== "status" || membership.sender.start === 0n) return [];
  const { Stopped, Removed } = ComponentState;
  return membership.statuses.filter(({ state }) => state === Stopped || state === Removed);
}

/** Counts what was rejected for its sender (protocol.md R7). */
function noteMismatch(session: Session, input: SpaceInput, detail: string): void {
  const { node } = input.membership!.sender;
  session.observer.note({ what: "sender-mismatch", space: session.space.text, node, detail });
}

/** Statuses of a changefeed that nobody has registered with: those that may matter later are kept (protocol.md R6). */
function withoutRoot(inputs: readonly SpaceInput[]): Answered[] {
  return inputs.flatMap((input) =>
    input.membership?.kind === "status"
      ? [{ input, outcome: { ...newOutcome(), early: [...input.membership.statuses] } }]
      : [],
  );
}

/** The chunks that hold the dispatchers which a message names: looked at again if it is delivered again. */
function chunksOf(draft: RosterDraft, { membership }: SpaceInput): number[] {
  const ids =
    membership?.kind === "registration"
      ? membership.spans.map((span) => span.id)
      : membership?.kind === "status"
        ? membership.statuses.map((status) => status.id)
        : membership?.kind === "eviction"
          ? membership.ids
          : [];
  return ids.flatMap((id) => draft.find(id)?.chunk ?? []);
}

/** Tells new nodes what became of their message (protocol.md R9a), after it is committed. */
function* answer(session: Session, input: SpaceInput, outcome: Outcome): Program<void> {
  const { membership } = input;
  if (membership === undefined) return;
  const { sender } = membership;
  if (outcome.failure !== undefined)
    session.observer.note({
      what: "node-failed",
      space: session.space.text,
      node: sender.node,
      detail: outcome.failure,
    });
  if (outcome.stale > 0)
    session.observer.note({
      what: "report-stale",
      space: session.space.text,
      node: sender.node,
      count: outcome.stale,
    });
  if (outcome.early.length > 0)
    yield* keepEarlyStatuses(session, sender, outcome.early, isKept(input.message));
  // An old node understands no refusal. Of a table that was dropped it would ask for ever what to do with its event.
  if (sender.start === 0n && membership.kind === "registration" && input.replyQueue !== "")
    for (const { dropped } of outcome.refused)
      if (dropped) session.outbox.removeDispatcher(input.replyQueue, membership.encoding, dropped);
  if (outcome.leftOver.length > 0) yield* tellRemove(session, sender.node, outcome.leftOver);
  if (sender.start === 0n || membership.kind === "eviction" || membership.kind === "leaving") return;
  const queue = input.replyQueue || (session.memory.roster?.nodes.get(sender.node)?.nodeQueue ?? "");
  if (queue === "") return;
  const { refused, knownStart, rejected, reason = rejected } = outcome;
  // A status is answered only if somebody must do something.
  if (membership.kind === "status" && refused.length === 0 && knownStart === undefined) return;
  session.outbox.registrationResult(queue, outcome, { start: sender.start, knownStart, reason });
}
