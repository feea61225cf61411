/** From what is stored to verdicts. Pure: no requests, no clock, and nothing but the coordinator's own functions judges. */
import type { Life, Roster } from "../barrier/roster.ts";
import {
  type Standing,
  type StoredBarrier,
  type StoredChangefeed,
  standingOf,
} from "../maintainer/count/standing.ts";
import { unhosted } from "../maintainer/steps/schedule.ts";
import {
  type AskedFor,
  type BarrierDiagnosis,
  type ChangefeedDiagnosis,
  type Hole,
  type KeptOf,
  type MissingOnNode,
  SHOWN,
  type Verdict,
} from "./verdict.ts";

/** What is the matter with a changefeed. */
export function diagnose(stored: StoredChangefeed): ChangefeedDiagnosis {
  const { space, root, roster } = stored;
  const barriers = stored.barriers.map((one) => diagnoseBarrier(one, stored)).sort(worseFirst);
  const findings = findingsOf(stored);
  const [worst] = barriers;
  return {
    changefeed: space.text,
    epoch: root.epoch.toString(),
    dispatchers: roster.dispatchers.reduce((sum, chunk) => sum + chunk.lives.length, 0),
    nodes: [...roster.nodes.keys()].sort(),
    retired: root.retired,
    verdict: worst?.verdict ?? findings[0] ?? { kind: "nothing-open" },
    ...(worst && { worst }),
    barriers,
    findings,
  };
}

/** What others only wait for, or what goes on by itself, comes behind what holds them up. */
const RANK: Partial<Record<Verdict["kind"], number>> = { "waits-for-earlier": 1, "about-to-go-on": 2 };
const rankOf = ({ verdict }: BarrierDiagnosis) => RANK[verdict.kind] ?? 0;

function worseFirst(a: BarrierDiagnosis, b: BarrierDiagnosis): number {
  return rankOf(a) - rankOf(b) || a.since - b.since || (a.key < b.key ? -1 : 1);
}

/** Worst changefeeds first: a barrier that stands, for longest; then what is wrong without one. */
export function worstFirst(a: ChangefeedDiagnosis, b: ChangefeedDiagnosis): number {
  const rank = (one: ChangefeedDiagnosis) =>
    one.worst ? rankOf(one.worst) : one.findings.length > 0 ? 3 : 4;
  return (
    rank(a) - rank(b) ||
    (a.worst?.since ?? 0) - (b.worst?.since ?? 0) ||
    (a.changefeed < b.changefeed ? -1 : 1)
  );
}

function diagnoseBarrier(stored: StoredBarrier, { roster, pending }: StoredChangefeed): BarrierDiagnosis {
  const { key, step, item } = stored;
  const standing = standingOf(stored, roster, pending);
  const [verdict = { kind: "unclear" }, ...also] = causes(stored, standing, roster);
  const { event, grant, writer } = standing;
  const former = step.phase === "writing" && writer === undefined ? grant : undefined;
  return {
    key,
    commitTs: event.key.commitTs.toString(),
    isSyncPoint: event.key.isSyncPoint,
    phase: step.phase,
    since: step.phaseAt,
    openedAt: item.openedAt,
    reported: standing.expected - standing.missing.length,
    expected: standing.expected,
    ...(former && { formerWriter: { dispatcher: former.id, node: former.node } }),
    verdict,
    also,
  };
}

/** All that holds a barrier up, the cause to look at first in front. */
function causes({ step, item }: StoredBarrier, standing: Standing, roster: Roster): Verdict[] {
  if (standing.goesOn) return [{ kind: "about-to-go-on" }];
  const { waitsFor, conflict, writer, missing, expected, coverage } = standing;
  const found: Verdict[] = [];
  if (!roster.opened) found.push(notOpened(roster));
  if (waitsFor !== undefined) found.push({ kind: "waits-for-earlier", earlier: waitsFor });
  else if (conflict !== undefined) found.push({ kind: "route-conflict", reason: conflict });
  if (step.phase === "writing" && writer) {
    found.push(writing(writer, step.phaseAt, item.unreachable, roster));
    return found;
  }
  if (coverage?.verdict === "missing") {
    if (coverage.triggerGone && roster.opened) found.push(triggerGone(roster));
    if (coverage.tables.length > 0) found.push(holes(coverage.tables, roster));
  }
  if (missing.length > 0 && step.phase !== "written")
    found.push({
      kind: "missing-dispatchers",
      nodes: byNode(missing, item.unreachable, roster),
      count: missing.length,
      expected,
    });
  return found;
}

function notOpened({ meta: { parts, partsExpected, openings = [] } }: Roster): Verdict {
  // The one of which most has come.
  const [under] = [...openings].sort((a, b) => b.parts.length - a.parts.length);
  return {
    kind: "not-opened",
    parts: under?.parts.length ?? parts.length,
    expected: under?.expected ?? partsExpected,
  };
}

function triggerGone({ meta }: Roster): Verdict {
  return { kind: "trigger-gone", dispatcher: meta.trigger ?? "", openedBy: meta.openedBy };
}

function writing(writer: Life, since: number, gone: ReadonlySet<string>, roster: Roster): Verdict {
  const { id, node, tableId, queue } = writer;
  const who = { dispatcher: id, node, tableId: tableId.toString(), since, queueGone: gone.has(queue) };
  const { failure, failureAt = 0 } = roster.nodes.get(node) ?? {};
  if (failure === undefined) return { kind: "writer-silent", ...who };
  return { kind: "writer-error", error: failure, errorAt: failureAt, ...who };
}

function byNode(missing: readonly Life[], gone: ReadonlySet<string>, roster: Roster): MissingOnNode[] {
  return [...Map.groupBy(missing, (life) => life.node)]
    .map(([node, lives]): MissingOnNode => {
      const error = roster.nodes.get(node)?.failure;
      return {
        node,
        count: lives.length,
        dispatchers: lives
          .slice(0, SHOWN)
          .map(({ id, tableId }) => ({ dispatcher: id, tableId: tableId.toString() })),
        queueGone: lives.some((life) => gone.has(life.queue)),
        ...(error !== undefined && { error }),
      };
    })
    .sort((a, b) => b.count - a.count || (a.node < b.node ? -1 : 1));
}

function holes(tables: readonly bigint[], roster: Roster): Verdict {
  const asked = Map.groupBy(askedFor(roster), (one) => one.tableId);
  const all = tables.map(
    (tableId): Hole => ({
      tableId: tableId.toString(),
      dispatchers: roster.ofTable(tableId).length,
      asked: asked.get(tableId.toString()) ?? [],
    }),
  );
  return { kind: "hole", tables: all.slice(0, SHOWN), count: all.length };
}

/** Dispatchers that are to be created: those of added tables, and those that were lost and that nobody has taken over. */
function askedFor(roster: Roster): AskedFor[] {
  const untiled = roster.untiled();
  const added = unhosted(roster).map(
    ({ tableId, scheduled }): AskedFor => ({
      tableId: tableId.toString(),
      ...(scheduled && { node: scheduled.node, since: scheduled.at }),
    }),
  );
  const lost = [...roster.lost()]
    .filter(({ lost: { was } }) => untiled.has(was.tableId))
    .map(
      ({ ended, lost: { was, given } }): AskedFor => ({
        tableId: was.tableId.toString(),
        dispatcher: ended.id,
        ...(given ? { node: given.node, since: given.at } : { since: ended.endedAt }),
      }),
    );
  return [...added, ...lost];
}

/** What is wrong with a changefeed whatever is open, the worst first. */
function findingsOf({ roster, kept, root }: StoredChangefeed): Verdict[] {
  const found: Verdict[] = [];
  if (root.meta.removed) return found;
  if (!roster.opened) found.push(notOpened(roster));
  else if (roster.trigger() === undefined) found.push(triggerGone(roster));
  const asked = askedFor(roster);
  const untiled = [...roster.untiled()].filter(
    (tableId) => !asked.some((one) => one.tableId === `${tableId}`),
  );
  if (roster.opened && untiled.length > 0) found.push(holes(untiled, roster));
  if (asked.length > 0)
    found.push({ kind: "not-created", asked: asked.slice(0, SHOWN), count: asked.length });
  if (kept.length > 0)
    found.push({
      kind: "kept-reports",
      nodes: [...Map.groupBy(kept, (one) => one.node)].map(
        ([node, of]): KeptOf => ({
          node,
          reports: of.length,
          oldest: Math.min(...of.map((one) => one.sentAt)),
          registered: roster.nodes.get(node)?.unseenSince === undefined && roster.nodes.has(node),
        }),
      ),
    });
  return found;
}
