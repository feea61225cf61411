import { ComponentState } from "../protocol/messages.ts";
import { compareBytes } from "../protocol/span.ts";
import { MAX_NODES } from "./chunk-room.ts";
import type { DispatcherKey } from "./dispatcher-id.ts";
import type { RosterDraft } from "./draft.ts";
import { mayBeForgotten, NOTHING_FORGOTTEN } from "./forgotten.ts";
import { applyOpening } from "./opening.ts";
import { commitTsFault, highestPlausible } from "./plausible.ts";
import type { EndedLife, Life, NodeEntry, OfTable } from "./roster.ts";

/** Who sent a message, as its attributes and the queue say. */
export interface Sender {
  readonly node: string;
  /** 0 for an old node, which sends none (protocol.md 1.5). */
  readonly start: bigint;
  /** Empty where the queue names no sender. */
  readonly principal: string;
  /** Milliseconds since 1970, from the queue (or the attribute `sentAt` of a replayed message). */
  readonly sentAt: number;
}

/** One part of an opening (protocol.md R1). */
export interface Opening {
  readonly kind: "opening";
  readonly sender: Sender;
  readonly part: number;
  readonly parts: number;
  readonly trigger: DispatcherKey | undefined;
  readonly tables: readonly { readonly tableId: bigint; readonly schemaId: bigint }[];
  /** The tables are as they are behind all events up to this commitTs; absent: it does not say. */
  readonly at?: bigint;
  readonly answersEpochZero: boolean;
}

/** One dispatcher in a registration (protocol.md R2). `life` is 0 if it names none. */
export interface RegisteredSpan {
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly state: ComponentState;
  readonly checkpointTs: bigint;
}

export interface Registration {
  readonly kind: "registration";
  readonly sender: Sender;
  readonly replyQueue: string;
  readonly nodeQueue: string;
  readonly encoding: NodeEntry["encoding"];
  readonly spans: readonly RegisteredSpan[];
  /** The keyspace of its spans; 0 or absent: none. */
  readonly keyspace?: number;
  /** What went wrong at the node; absent: nothing. */
  readonly failure?: string;
  /** Whose it is is not known: it binds the node to no principal (decisions/0046). */
  readonly unbound?: true;
  /** Dispatchers that the message names and that cannot be registered, with what is wrong. */
  readonly unfit?: readonly { readonly id: DispatcherKey; readonly life: bigint; readonly reason: string }[];
}

/** Component states of dispatchers, from a `HeartBeatRequest` (protocol.md R2, R5). */
export interface StatusChange {
  readonly kind: "status";
  readonly sender: Sender;
  readonly statuses: readonly {
    readonly id: DispatcherKey;
    readonly life: bigint;
    readonly state: ComponentState;
    /** 0 if it says nothing. */
    readonly checkpointTs: bigint;
  }[];
  /** What is wrong at the node; empty: nothing. Absent: it does not say. */
  readonly failure?: string;
}

/** Dispatchers that an operator takes out because they are lost for good (protocol.md R9b). */
export interface Eviction {
  readonly kind: "eviction";
  readonly sender: Sender;
  readonly ids: readonly DispatcherKey[];
  /** The whole node is lost: nothing is given to it any more before it registers again. */
  readonly wholeNode: boolean;
}

/** A node says that it goes for good, and its queues with it (protocol.md R12). */
export interface Leaving {
  readonly kind: "leaving";
  readonly sender: Sender;
}

export type MembershipChange = Opening | Registration | StatusChange | Eviction | Leaving;

/** A life that does not stand, and why: its dispatcher is to be registered with one above `knownLife` (protocol.md R4). */
export interface Refused {
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly knownLife: bigint;
  readonly reason: string;
  /** Its table was dropped: what was registered. */
  readonly dropped?: RegisteredSpan;
}

/** A dispatcher that goes on although its table was dropped, and the queue of its actions. */
export type LeftOver = OfTable & Pick<Life, "id" | "queue">;

/** What became of a change, one outcome for its message. */
export interface Outcome {
  readonly accepted: { readonly id: DispatcherKey; readonly life: bigint }[];
  readonly refused: Refused[];
  /** Statuses of lives that are not known yet: kept until their registration comes (protocol.md R6). */
  readonly early: StatusChange["statuses"][number][];
  /** Dispatchers that go on although their table was dropped: they are to be removed (protocol.md R18). */
  readonly leftOver: LeftOver[];
  /** Parts that came too late to mean anything. */
  stale: number;
  /** The whole message is refused: what is wrong and what to do. Nothing of it was applied. */
  rejected: string | undefined;
  /** The sender is not who it says: it is told nothing, for the queue that it names may be another's (protocol.md R7). */
  mismatched: boolean;
  /** The whole message is of an earlier start of its node than this one, which is the known one. */
  knownStart: bigint | undefined;
  /** Why a message that is good changes nothing, if its sender must know. */
  reason: string | undefined;
  /** What is wrong at the node, if that is to be noted. */
  failure: string | undefined;
}

export function newOutcome(): Outcome {
  return {
    accepted: [],
    refused: [],
    early: [],
    leftOver: [],
    stale: 0,
    rejected: undefined,
    mismatched: false,
    knownStart: undefined,
    reason: undefined,
    failure: undefined,
  };
}

/** The dispatcher of this id that a node was asked to create, as it is then; undefined: it was not. */
export type AskedFor = (node: string, id: DispatcherKey) => RegisteredSpan | undefined;

/**
 * Applies one change to a draft. A change that was applied before changes nothing (protocol.md R4, R5).
 * @param highest the highest commitTs of any key that the changefeed has met; 0: none
 * @param askedFor what an old node was asked to create: it registers nothing, its first status does (protocol.md R16)
 */
export function applyMembership(
  draft: RosterDraft,
  change: MembershipChange,
  highest = 0n,
  askedFor: AskedFor = () => undefined,
): Outcome {
  const outcome = newOutcome();
  const { sender } = change;
  const node = draft.node(sender.node);
  const wrong = senderMismatch(node, sender);
  if (wrong !== undefined) {
    outcome.rejected = wrong;
    outcome.mismatched = true;
  } else if (node && sender.start < node.start) {
    outcome.stale++;
    outcome.knownStart = node.start;
  } else if (isForgotten(draft, node, change)) {
    outcome.stale++;
    outcome.knownStart = draft.meta.forgotten?.starts;
  } else if (change.kind === "leaving") applyLeaving(draft, change, node);
  else if (change.kind === "opening") {
    const fault =
      change.at === undefined
        ? undefined
        : commitTsFault(change.at, "openedAt", highestPlausible(highest, draft.now));
    if (fault === undefined) applyOpening(draft, change, outcome);
    else outcome.rejected = fault;
  } else if (change.kind === "registration") applyRegistration(draft, change, node, highest, outcome);
  else if (change.kind === "status") applyStatus(draft, change, node, { highest, askedFor, outcome });
  else applyEviction(draft, change);
  return outcome;
}

/**
 * Whether a node that is not known may be one that was forgotten: what it sent before comes late, and nobody is there that it is
 * of. A node that is there starts under a higher number (protocol.md R12).
 */
function isForgotten(
  draft: RosterDraft,
  node: NodeEntry | undefined,
  { kind, sender }: MembershipChange,
): boolean {
  if (node !== undefined || sender.start === 0n || (kind !== "registration" && kind !== "opening"))
    return false;
  return sender.start <= (draft.meta.forgotten?.starts ?? 0n);
}

/** A node goes for good, with its queue: its dispatchers are lost, and nothing of this start of it counts any more. */
function applyLeaving(draft: RosterDraft, { sender }: Leaving, node: NodeEntry | undefined): void {
  if (sender.start === 0n) return;
  for (const life of [...draft.lives()].filter((one) => one.node === sender.node))
    draft.endLife(life.id, life.life, "lost");
  if (!mayBeForgotten(sender.start, draft.now)) {
    if (node) draft.putNode({ ...node, start: sender.start, nodeQueue: "" });
  } else if (node) draft.forgetNode({ ...node, start: sender.start });
  else draft.forget({ start: sender.start });
}

function applyEviction(draft: RosterDraft, { ids, sender, wholeNode }: Eviction): void {
  for (const id of ids) {
    const life = draft.find(id)?.life;
    if (life?.node === sender.node) draft.endLife(id, lastOf(life, sender), "lost");
  }
  const node = draft.node(sender.node);
  if (wholeNode && node && node.nodeQueue !== "") draft.putNode({ ...node, nodeQueue: "" });
}

/**
 * The number under which a life is over. An old node's is the time of its first registration, and each later one says the same once
 * more: a copy of any of them must not bring back who was taken out (decisions/0047).
 */
function lastOf({ life, stateAt }: Life, { start }: Sender): bigint {
  return start === 0n && BigInt(stateAt) > life ? BigInt(stateAt) : life;
}

/** Why a sender may not speak as this node; undefined: it may (protocol.md R7). */
export function senderMismatch(node: NodeEntry | undefined, sender: Sender): string | undefined {
  if (!node?.principal || !sender.principal || node.principal === sender.principal) return undefined;
  return (
    `sender ${sender.principal} may not speak as node "${sender.node}", which ${node.principal} registered: ` +
    "use another node id, or the credentials of the registration"
  );
}

function applyRegistration(
  draft: RosterDraft,
  change: Registration,
  node: NodeEntry | undefined,
  highest: bigint,
  outcome: Outcome,
): void {
  const { sender } = change;
  // In this epoch it is new.
  const isNew = node === undefined || node.unseenSince !== undefined;
  const restarted = !isNew && sender.start > node.start;
  if (restarted)
    for (const life of [...draft.lives()].filter((one) => one.node === sender.node))
      draft.endLife(life.id, life.life, "lost");
  if (node === undefined && !draft.makeRoomForNode()) {
    outcome.rejected = `${MAX_NODES} nodes are registered, each with dispatchers: evict those that are gone`;
    return;
  }
  const { keyspace = 0, failure = "" } = change;
  if (failure !== "") outcome.failure = failure;
  const failed = failure !== "" && { failure, failureAt: toldAt(draft, sender) };
  const principal = node?.principal || (change.unbound ? "" : sender.principal);
  const nodeQueue =
    change.nodeQueue || (change.spans.length === 1 && sender.start > 0n ? "" : change.replyQueue);
  if (isNew || restarted)
    draft.putNode({
      id: sender.node,
      start: sender.start,
      nodeQueue,
      encoding: change.encoding,
      principal,
      ...(keyspace > 0 && { keyspace }),
      ...failed,
    });

  for (const { id, life, reason } of change.unfit ?? [])
    outcome.refused.push({ id, life, knownLife: knownLifeOf(draft, id), reason });
  const most = highestPlausible(highest, draft.now);
  for (const span of change.spans) register(draft, span, { sender, queue: change.replyQueue, most, outcome });

  if (node !== undefined && !isNew && !restarted) {
    const { keyspace: _, failure: __, ...others } = node;
    // Evicted it has no queue, unbound no principal: its next registration says both. That of an old node may be a copy from before:
    // it must bring back a dispatcher, or a node that is gone would be asked for others (decisions/0047).
    const isBack = sender.start > 0n || outcome.accepted.length > 0;
    const next: NodeEntry = {
      ...others,
      principal,
      nodeQueue: node.nodeQueue || (isBack ? nodeQueue : ""),
      ...((keyspace || node.keyspace) && { keyspace: keyspace || node.keyspace! }),
      ...failed,
    };
    const same = (["principal", "nodeQueue", "keyspace", "failure"] as const).every(
      (one) => next[one] === node[one],
    );
    if (!same) draft.putNode(next);
  }
}

/** Puts a registered dispatcher into the roster, or says why not. */
function register(
  draft: RosterDraft,
  span: RegisteredSpan,
  {
    sender,
    queue,
    most,
    outcome,
  }: { readonly sender: Sender; readonly queue: string; readonly most: bigint; readonly outcome: Outcome },
): void {
  const known = draft.find(span.id)?.life;
  if (known && goesOn(known, span, sender, queue)) {
    outcome.accepted.push({ id: span.id, life: known.life });
    if (sender.sentAt > known.stateAt) draft.setState(span.id, span.state, sender.sentAt);
    return;
  }
  const life = sender.start > 0n ? span.life : BigInt(sender.sentAt);
  const refusal = refuse(draft, span, life, sender, most);
  if (refusal) {
    outcome.refused.push({ id: span.id, life, ...refusal });
    if (refusal.dropped && sender.start === 0n)
      rememberDropped(draft, span, { life, node: sender.node, queue });
    return;
  }
  outcome.accepted.push({ id: span.id, life });
  if (known?.life === life) return;
  const table = draft.table(span.tableId);
  draft.addLife({
    id: span.id,
    life,
    node: sender.node,
    queue,
    tableId: span.tableId,
    schemaId: table?.schemaId ?? span.schemaId,
    start: span.start,
    end: span.end,
    state: span.state,
    stateAt: sender.sentAt,
    since: table && table.since > span.checkpointTs ? table.since : span.checkpointTs,
    schemaSince: table?.schemaSince ?? 0n,
  });
}

/**
 * Whether an old node says once more what is known: it registers all that it has whenever it is asked. What has ended in between
 * has said so; a process that starts again has another id (protocol.md R16).
 */
function goesOn(known: Life, span: RegisteredSpan, sender: Sender, queue: string): boolean {
  return (
    sender.start === 0n &&
    known.node === sender.node &&
    BigInt(sender.sentAt) >= known.life &&
    known.queue === queue &&
    known.tableId === span.tableId &&
    compareBytes(known.start, span.start) === 0 &&
    compareBytes(known.end, span.end) === 0
  );
}

/** A range that holds nothing; an empty key is an outer end. */
function isReversed({ start, end }: RegisteredSpan): boolean {
  return start.length > 0 && end.length > 0 && compareBytes(start, end) >= 0;
}

function knownLifeOf(draft: RosterDraft, id: DispatcherKey): bigint {
  return draft.find(id)?.life.life ?? draft.ended(id)?.life ?? 0n;
}

function refuse(
  draft: RosterDraft,
  span: RegisteredSpan,
  life: bigint,
  sender: Sender,
  most: bigint,
): Omit<Refused, "id" | "life"> | undefined {
  const known = draft.find(span.id)?.life;
  const ended = draft.ended(span.id);
  const knownLife = knownLifeOf(draft, span.id);
  // An old node that says 0 knows no checkpoint: it takes part from its table's key on, and has nothing behind it.
  const unknown = span.checkpointTs === 0n && sender.start === 0n;
  const fault = unknown ? undefined : commitTsFault(span.checkpointTs, "checkpoint_ts", most);
  if (fault !== undefined) return { knownLife, reason: fault };
  if (isReversed(span))
    return {
      knownLife,
      reason: "the span's EndKey is not behind its StartKey: give the range that it carries",
    };
  if (life === 0n)
    return { knownLife, reason: "life is absent: give each life of a dispatcher a higher number" };
  if (known && life < known.life) return { knownLife, reason: "a higher life is registered" };
  if (known && life === known.life && known.node !== sender.node)
    return { knownLife, reason: `this life is registered on node "${known.node}"` };
  if (ended && life <= ended.life) return { knownLife, reason: "this life is over" };
  const { lives, sentAt } = draft.meta.forgotten ?? NOTHING_FORGOTTEN;
  const forgotten = sender.start > 0n ? lives : BigInt(sentAt);
  if (!known && !ended && life <= forgotten)
    return { knownLife: forgotten, reason: "a life as low as this may be over for long: use a higher one" };
  if (!draft.table(span.tableId) && draft.base.dropped.has(span.tableId))
    return { knownLife, reason: `table ${span.tableId} was dropped`, dropped: span };
  return undefined;
}

/**
 * A status names no epoch, and numbers of lives need not grow from one epoch to the next: what is said of a process or a life
 * that has not registered in this one may be of the one before. So it is kept until that process, that life, has (R5, R6).
 */
function applyStatus(
  draft: RosterDraft,
  change: StatusChange,
  node: NodeEntry | undefined,
  {
    highest,
    askedFor,
    outcome,
  }: { readonly highest: bigint; readonly askedFor: AskedFor; readonly outcome: Outcome },
): void {
  const { sender } = change;
  // What a node said before it left is over with it.
  if (node === undefined && sender.start > 0n && sender.start <= (draft.meta.forgotten?.starts ?? 0n)) {
    outcome.stale += change.statuses.length;
    return;
  }
  const unregistered = sender.start > 0n && (node === undefined || sender.start > node.start);
  if (node && node.unseenSince === undefined && !unregistered) noteFailure(draft, node, change, outcome);
  for (const status of change.statuses) {
    const life = sender.start > 0n ? status.life : BigInt(sender.sentAt);
    const ends = status.state === ComponentState.Stopped || status.state === ComponentState.Removed;
    const known = draft.find(status.id)?.life;
    const ended = draft.ended(status.id);
    if (unregistered) outcome.early.push({ ...status, life });
    else if (known && known.node !== sender.node && sender.start === 0n) {
      // Its registration may be under way still, and must not bring it back; or it is what a former host says late.
      if (ends && life > known.life) outcome.early.push({ ...status, life });
      else outcome.stale++;
    } else if (known && known.node !== sender.node && life <= known.life) outcome.stale++;
    else if (known && known.node !== sender.node) outcome.early.push({ ...status, life });
    else if (known && life < known.life) outcome.stale++;
    else if (known && isOf(known, life, sender)) {
      if (ends && sender.start === 0n && sender.sentAt < known.stateAt) replacedSince(draft, known);
      else if (ends) draft.endLife(status.id, life);
      else if (known.state !== status.state && sender.sentAt >= known.stateAt)
        draft.setState(status.id, status.state, sender.sentAt);
    } else if (ends) {
      if (known) draft.endLife(status.id, life);
      else if (life > (ended?.life ?? 0n))
        draft.rememberEnded({ id: status.id, life, node: sender.node, queue: "" });
    } else if (ended && isLeftOver(draft, ended, sender, life)) {
      if (sender.sentAt - ended.endedAt < REMOVED_WITHIN) outcome.stale++;
      else outcome.leftOver.push({ id: status.id, queue: ended.queue, ...ended.dropped });
    } else if (ended && life <= ended.life) {
      outcome.stale++;
      const refused = overFor(ended, sender, life);
      if (refused) outcome.refused.push({ id: status.id, life, ...refused });
    } else {
      const asked =
        sender.start === 0n && node && status.state === ComponentState.Working && known === undefined
          ? askedFor(sender.node, status.id)
          : undefined;
      const most = highestPlausible(highest, draft.now);
      if (asked) register(draft, asked, { sender, queue: node!.nodeQueue, most, outcome });
      else outcome.early.push({ ...status, life });
    }
  }
}

/** ms that a dispatcher has to be gone after its table was dropped, before it is told once more (protocol.md R18). */
export const REMOVED_WITHIN = 10_000;

/**
 * Whether a dispatcher goes on that ended with its table: whoever applied the event may have died before it told it, and what
 * waits at the event has its ACK (protocol.md R18). A table that has come back under its id has other lives.
 */
function isLeftOver(
  draft: RosterDraft,
  ended: EndedLife,
  sender: Sender,
  life: bigint,
): ended is EndedLife & { readonly dropped: OfTable } {
  const { dropped, node } = ended;
  if (dropped === undefined || node !== sender.node || draft.table(dropped.tableId)) return false;
  return sender.start > 0n ? life === ended.life : life >= ended.life;
}

/** An old node's dispatcher that was registered when its table was gone: the answer may be lost, and is not asked for again. */
function rememberDropped(
  draft: RosterDraft,
  { id, tableId, schemaId }: RegisteredSpan,
  of: Pick<Life, "life" | "node" | "queue">,
): void {
  if (draft.find(id) || draft.ended(id)?.dropped || draft.ended(id)?.lost) return;
  draft.rememberEnded({ id, ...of, dropped: { tableId, schemaId } });
}

/** What is wrong at a node is noted at most so often, in ms: a change of the roster each time (decisions/0046). */
export const FAILURE_EVERY = 60_000;

/** Notes what a heartbeat says is wrong at its node, or that nothing is, by the time at which it was sent. */
function noteFailure(
  draft: RosterDraft,
  node: NodeEntry,
  { failure, sender }: StatusChange,
  outcome: Outcome,
): void {
  if (failure === undefined || failure === (node.failure ?? "")) return;
  const at = toldAt(draft, sender);
  // Of a heartbeat that comes late the time is too low as well.
  if (node.failureAt !== undefined && at - node.failureAt < FAILURE_EVERY) return;
  const { failure: _, ...others } = node;
  draft.putNode({ ...others, failureAt: at, ...(failure !== "" && { failure }) });
  if (failure !== "") outcome.failure = failure;
}

const toldAt = ({ now }: RosterDraft, { sentAt }: Sender) => Math.min(sentAt, now);

/** An old node's dispatcher ended, and another of its id and span has been registered since: that one is a new life. */
function replacedSince(draft: RosterDraft, { slot: _, addedAt: __, schemaAt: ___, ...known }: Life): void {
  draft.addLife({ ...known, life: BigInt(known.stateAt) });
}

/**
 * Whether somebody who goes on in a life that is over must be told, so that its dispatcher is registered again as if its
 * registration were refused (protocol.md R4). Lives of several nodes are as true as their clocks: a registration that came late can
 * be of a dispatcher that was closed before this one was created (decisions/0019). One that ended as this very life knows, unless
 * it was lost. The caller has seen that nobody is in its place.
 */
export function overFor(
  ended: EndedLife,
  sender: Sender,
  life: bigint,
): { knownLife: bigint; reason: string } | undefined {
  if (sender.start === 0n || life === 0n) return undefined;
  if (ended.life > life) return { knownLife: ended.life, reason: "a higher life of this dispatcher is over" };
  if (ended.life === life && ended.lost && ended.node === sender.node)
    return { knownLife: ended.life, reason: "this life was ended: register again if it goes on" };
  return undefined;
}

/** Whether a status is of this life: it names it, or comes from an old node at or after it (protocol.md R6). */
function isOf(known: Life, life: bigint, sender: Sender): boolean {
  return sender.start > 0n ? life === known.life : life >= known.life;
}
