import { isPast } from "../../barrier/event.ts";
import { overFor, type Refused, senderMismatch } from "../../barrier/membership.ts";
import { commitTsFault } from "../../barrier/plausible.ts";
import { isReplicating, type NodeEntry, type Place, type Roster } from "../../barrier/roster.ts";
import { type Grant, grantIndex, saysWritten } from "../../barrier/step.ts";
import { parseKeyText } from "../../protocol/event-key.ts";
import type { Program } from "../base/program.ts";
import { keepEarly } from "../intake/early-reports.ts";
import type { Report } from "../intake/input.ts";
import type { Orphan, Placed } from "../intake/located.ts";
import type { Target } from "../session/outbox.ts";
import type { Session } from "../session/session.ts";
import { doneReports } from "./done.ts";
import { registeredReports } from "./registered.ts";
import { readRootBeside } from "./speculate.ts";
import { noneReports, waitingReports } from "./waiting.ts";

interface Sorted {
  readonly placed: Placed[];
  readonly notReplicating: Placed[];
  /** DONE of a life that was granted Write and may have ended since (protocol.md M8). */
  readonly granted: Report[];
  readonly orphans: Orphan[];
  /** What lives wrote by themselves and have said to be behind them since, as they registered with this epoch. */
  readonly behind: Placed[];
  readonly early: Report[];
  /** Reports by who does not host the dispatcher (protocol.md R7). */
  readonly mismatched: { readonly report: Report; readonly reason: string }[];
  readonly stale: { readonly report: Report; readonly count: number }[];
  /** Who goes on in a life that is over, with nobody in its place, and the queue where that is told. */
  readonly superseded: { readonly queue: string; readonly refused: Refused }[];
  /** Processes that another start of their node has replaced, with that node. */
  readonly replaced: Map<string, { readonly start: bigint; readonly node: NodeEntry }>;
  /** Reports of keys that nobody can mean. */
  readonly implausible: { readonly report: Report; readonly reason: string }[];
}

/**
 * Applies the reports of a batch to one space, key by key in the order of events.
 * @param rejected gets the reason of what is refused, by message
 */
export function* handleReports(
  session: Session,
  reports: readonly Report[],
  rejected: (report: Report, reason: string) => void,
): Program<void> {
  if (reports.length === 0) return;
  yield* findRoot(session, reports);
  let sorted = yield* sort(session, reports);
  // A root from memory may be behind: what it does not know, or knows otherwise, is looked up before it is judged.
  const { early, notReplicating, mismatched, implausible } = sorted;
  const doubtful = early.length + notReplicating.length + mismatched.length + implausible.length;
  if (!session.fresh && doubtful > 0) {
    yield* session.refresh();
    sorted = yield* sort(session, reports);
  }
  if (session.root?.meta.removed) return;
  if (sorted.early.length > 0) {
    const known = yield* keepEarly(session, sorted.early);
    sorted = yield* sort(session, reports);
    if (!known) sorted.early.length = 0;
  }
  if (session.root === undefined) return;
  for (const { report, reason } of sorted.mismatched) {
    session.observer.note({
      what: "sender-mismatch",
      space: session.space.text,
      key: report.key,
      node: report.sender.node,
      detail: reason,
    });
    rejected(report, reason);
  }
  for (const { report, reason } of sorted.implausible) rejected(report, reason);
  for (const { report, count } of sorted.stale)
    session.observer.note({
      what: "report-stale",
      space: session.space.text,
      key: report.key,
      node: report.sender.node,
      count,
    });

  // The tables that it adds are those of the opening (protocol.md R1); who waits for the ACK stands still until it comes.
  for (const { report, places } of sorted.behind)
    session.outbox.ackNow(
      report.key,
      places.map((place) => place.life),
    );

  const superseded = Map.groupBy(sorted.superseded, ({ queue }) => queue);
  for (const [queue, of] of superseded)
    session.outbox.registrationResult(queue, { accepted: [], refused: of.map((one) => one.refused) });
  for (const { start, node } of sorted.replaced.values())
    session.outbox.registrationResult(
      node.nodeQueue,
      { accepted: [], refused: [] },
      { start, knownStart: node.start },
    );

  const keys = new Set([
    ...sorted.placed.map((one) => one.report.key),
    ...sorted.notReplicating.map((one) => one.report.key),
    ...sorted.granted.map((report) => report.key),
    ...sorted.orphans.map((one) => one.report.key),
  ]);
  for (const key of [...keys].sort()) {
    const of = (stage: Report["stage"]) =>
      sorted.placed.filter((one) => one.report.key === key && one.report.stage === stage);
    for (const { places } of sorted.notReplicating.filter((one) => one.report.key === key))
      session.outbox.ignored(
        key,
        places.map((place) => place.life),
      );
    yield* noneReports(session, key, of("none"));
    yield* registeredReports(session, key, of("writing"), of("written"), rejected);
    yield* waitingReports(
      session,
      key,
      of("waiting"),
      sorted.orphans.filter((one) => one.report.key === key),
      rejected,
    );
    yield* doneReports(
      session,
      key,
      of("done"),
      sorted.granted.filter((report) => report.key === key),
    );
  }
}

/**
 * Sees to it that the session has a root: one from a moment ago where it knows all barriers that are reported, otherwise as
 * it is. Then barriers are told of the reports at the same time.
 */
function* findRoot(session: Session, reports: readonly Report[]): Program<void> {
  if (session.fresh) return;
  const waiting = reports.filter((one) => one.stage === "waiting" && one.event!.blocking);
  const root = session.rememberedRoot();
  if (root !== undefined && waiting.every(({ key }) => root.steps.has(key))) return;
  if (waiting.length === 0 || !session.recall()) yield* session.refresh();
  else yield* readRootBeside(session, (yield* sort(session, waiting)).placed);
}

/** Sorts lives by what the roster knows of them (protocol.md R6, R7, M1). */
function* sort(session: Session, reports: readonly Report[]): Program<Sorted> {
  const sorted: Sorted = {
    placed: [],
    notReplicating: [],
    granted: [],
    orphans: [],
    behind: [],
    early: [],
    mismatched: [],
    stale: [],
    superseded: [],
    replaced: new Map(),
    implausible: [],
  };
  const most = session.highestPlausible;
  const roster = session.root === undefined ? undefined : yield* session.roster();
  for (const report of reports) {
    const places: Place[] = [];
    const notReplicating: Place[] = [];
    const behind: Place[] = [];
    const early: Report["lives"][number][] = [];
    let stale = 0;
    const key = parseKeyText(report.key);
    const node = roster?.nodes.get(report.sender.node);
    const { start } = report.sender;
    if (
      start > 0n &&
      node &&
      start < node.start &&
      node.nodeQueue !== "" &&
      !senderMismatch(node, report.sender)
    )
      sorted.replaced.set(`${node.id} ${start}`, { start, node });
    const fault = commitTsFault(key.commitTs, "BlockTs", most);
    if (fault !== undefined) {
      sorted.implausible.push({ report, reason: fault });
      continue;
    }
    for (const one of report.lives) {
      const known = roster === undefined ? undefined : classify(roster, node, report, one);
      if (known === undefined || known === "early") {
        // The roster has moved on since the registration was accepted: its next life speaks for itself.
        if (report.registered) stale++;
        else early.push(one);
      } else if (known === "stale") {
        const grant = report.stage === "done" ? grantOf(session, report, one) : undefined;
        if (grant === undefined) {
          stale++;
          const told = supersededBy(roster!, node, report, one);
          if (told) sorted.superseded.push(told);
        } else if (grant.node === report.sender.node) sorted.granted.push({ ...report, lives: [one] });
        else sorted.mismatched.push({ report, reason: mismatch(roster!, report, one.id) });
      } else if (known === "mismatch")
        sorted.mismatched.push({ report, reason: mismatch(roster!, report, one.id) });
      else if ("orphan" in known) {
        sorted.orphans.push({ report, target: known.orphan });
        // An old node names no life: it may be of one that is registered later.
        if (report.sender.start === 0n) early.push(one);
        const told = supersededBy(roster!, node, report, one);
        if (told) sorted.superseded.push(told);
      } else if (report.stage === "waiting" && !isReplicating(known.life)) notReplicating.push(known);
      else if (report.stage === "none" && isPast(known.life.since, key)) behind.push(known);
      else if (report.stage === "waiting" && !report.registered && isPast(known.life.since, key))
        sorted.orphans.push({ report, target: known.life });
      else if (report.stage !== "done" && isPast(known.life.since, key)) stale++;
      else places.push(known);
    }
    if (places.length > 0) sorted.placed.push({ report, places });
    if (notReplicating.length > 0) sorted.notReplicating.push({ report, places: notReplicating });
    if (behind.length > 0) sorted.behind.push({ report, places: behind });
    if (early.length > 0) sorted.early.push({ ...report, lives: early });
    if (stale > 0) sorted.stale.push({ report, count: stale });
  }
  return sorted;
}

/**
 * A dispatcher that goes on in a life which is over, and nobody has taken its place: whatever it reports, it is told so
 * (decisions/0025). While another life has the place nothing is said: two nodes that both believe in one dispatcher would take it
 * from each other for ever.
 */
function supersededBy(
  roster: Roster,
  node: NodeEntry | undefined,
  report: Report,
  { id, life }: Report["lives"][number],
): Sorted["superseded"][number] | undefined {
  if (report.registered || node === undefined || report.sender.start !== node.start) return undefined;
  const ended = roster.find(id) === undefined ? roster.ended(id) : undefined;
  const refused = ended && overFor(ended, report.sender, life);
  if (!refused) return undefined;
  // A node that was evicted has no queue any more, but its dispatchers had.
  const queue = node.nodeQueue || (ended.node === node.id ? ended.queue : "");
  return queue === "" ? undefined : { queue, refused: { id, life, ...refused } };
}

/** What a life that is over was granted, if its DONE says that it wrote that (protocol.md M8). */
function grantOf(session: Session, report: Report, one: Report["lives"][number]): Grant | undefined {
  const step = session.step(report.key);
  if (step === undefined || one.life === 0n) return undefined;
  const grant = grantIndex(step, one.id, one.life);
  return grant >= 0 && saysWritten(step, grant, report.done) ? step.grants[grant] : undefined;
}

/** Why a report does not count for who sent it (protocol.md R7). */
function mismatch(roster: Roster, { sender }: Report, id: string): string {
  return (
    senderMismatch(roster.nodes.get(sender.node), sender) ??
    `dispatcher ${id} is hosted by another node than "${sender.node}"`
  );
}

function classify(
  roster: Roster,
  node: NodeEntry | undefined,
  report: Report,
  { id, life }: Report["lives"][number],
): Place | { orphan: Target } | "early" | "stale" | "mismatch" {
  const { sender } = report;
  const isNew = sender.start > 0n;
  if (senderMismatch(node, sender) !== undefined) return "mismatch";
  if (node && sender.start < node.start) return "stale";
  // Of a process that has not registered in this epoch: a life of its number may be another's (decisions/0025).
  if (isNew && node && sender.start > node.start) return "early";
  const named = isNew ? life : BigInt(sender.sentAt);
  const place = roster.find(id);
  if (place) {
    if (named < place.life.life) return "stale";
    if (isNew && named > place.life.life) return "early";
    // An old node names no life: what comes from a former host is late, not false (protocol.md R7).
    if (place.life.node !== sender.node) return isNew ? "mismatch" : "stale";
    return place;
  }
  const ended = roster.ended(id);
  // It may be the life that is over, of which the node has not heard yet.
  if (ended && !isNew && report.stage === "waiting" && !report.registered && ended.node === sender.node)
    return { orphan: ended };
  if (ended === undefined || named > ended.life) return "early";
  if (report.stage === "waiting" && isNew && named === ended.life && ended.node === sender.node)
    return { orphan: ended };
  return "stale";
}
