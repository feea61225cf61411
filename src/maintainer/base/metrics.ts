import type { Observation } from "./observe.ts";

/** Namespace of the metrics; their dimension `service` is the deployment's prefix. */
export const NAMESPACE = "Weir";

/**
 * Every metric, with its unit. Those above the line are published by the sweeper, once a minute and also when they are 0; the
 * others when there is something to say.
 */
export const METRICS = {
  OpenBarriers: "Count",
  /** Dispatchers that have not reported in their barrier's phase, over all open barriers. */
  MissingDispatchers: "Count",
  /** Since it was opened: the oldest of all, and with the dimension `phase` the oldest in that phase. */
  BarrierAge: "Milliseconds",
  /** The oldest whose event nobody is writing: a write may take hours without anything being wrong. */
  IdleBarrierAge: "Milliseconds",
  ChangefeedsNotSwept: "Count",
  /** Those that a sweep had no time for: the next one begins with them. */
  ChangefeedsNotReached: "Count",
  // ----
  /** Messages of the status queue that an invocation was given. */
  Messages: "Count",
  BarriersOpened: "Count",
  BarriersClosed: "Count",
  ActionsRepeated: "Count",
  /** Lives that reported what this environment remembers of them. */
  DuplicateReports: "Count",
  StaleReports: "Count",
  ConflictingReports: "Count",
  RejectedMessages: "Count",
  /** Of those, the ones whose sender may not speak as the node that it names (protocol.md R7). */
  SenderMismatches: "Count",
  MissingQueues: "Count",
  /** Actions that a queue refused; what is owed is told again (decisions/0032). */
  UnsentActions: "Count",
  /** Reports of lives that are not known, for which there is no room. */
  UnkeptReports: "Count",
  /** Events that stand still because their routes conflict with those of others. */
  RouteConflicts: "Count",
  /** Dispatchers that were lost and are created again. */
  RecreatedDispatchers: "Count",
  /** Changefeeds that are not swept any more: nobody spoke for them. */
  ChangefeedsRetired: "Count",
  /** From the first WAITING to Write. */
  TimeToSelect: "Milliseconds",
  /** From Write to its DONE. */
  WriteDuration: "Milliseconds",
  /** From the DONE of Write to the last DONE of Pass. */
  PassDuration: "Milliseconds",
  /** From the first WAITING to the closing: how long replication stood still. */
  BarrierDuration: "Milliseconds",
} as const;

export type MetricName = keyof typeof METRICS;

export interface Measurement {
  readonly name: MetricName;
  readonly value: number;
  /** A barrier's phase, as a dimension. */
  readonly phase?: string;
}

const COUNTS: Partial<Record<Observation["what"], MetricName>> = {
  "barrier-opened": "BarriersOpened",
  "barrier-closed": "BarriersClosed",
  "action-repeated": "ActionsRepeated",
  "report-duplicate": "DuplicateReports",
  "report-stale": "StaleReports",
  "report-conflicts": "ConflictingReports",
  "message-rejected": "RejectedMessages",
  "sender-mismatch": "SenderMismatches",
  "queue-missing": "MissingQueues",
  "action-unsent": "UnsentActions",
  "report-not-kept": "UnkeptReports",
  "route-conflict": "RouteConflicts",
  "dispatchers-recreated": "RecreatedDispatchers",
  "changefeed-retired": "ChangefeedsRetired",
};
const TIMES: Partial<Record<Observation["what"], MetricName>> = {
  "write-granted": "TimeToSelect",
  "barrier-written": "WriteDuration",
  "barrier-closed": "BarrierDuration",
};

/** What an invocation of either function has to say: counts summed up, every time by itself. */
export function measure(seen: readonly Observation[]): Measurement[] {
  const counts = new Map<MetricName, number>();
  const times: Measurement[] = [];
  for (const { what, count = 1, ms, passMs } of seen) {
    const counted = COUNTS[what];
    if (counted !== undefined) counts.set(counted, (counts.get(counted) ?? 0) + count);
    const timed = TIMES[what];
    if (timed !== undefined && ms !== undefined) times.push({ name: timed, value: ms });
    if (passMs !== undefined) times.push({ name: "PassDuration", value: passMs });
  }
  return [...[...counts].map(([name, value]) => ({ name, value })), ...times];
}

/**
 * What a sweep says beyond that. Without open barriers it says 0, so that an alarm ends as soon as its cause does.
 * @param failed changefeeds that could not be swept: what is open there is not in these numbers
 * @param left those that there was no time for: the same
 */
export function measureSweep(seen: readonly Observation[], failed: number, left: number): Measurement[] {
  const open = seen.filter((one) => one.what === "barrier-open");
  const oldest = new Map<string, number>();
  for (const { phase = "", ms = 0 } of open) oldest.set(phase, Math.max(oldest.get(phase) ?? 0, ms));
  const idle = [...oldest].filter(([phase]) => phase !== "writing").map(([, age]) => age);
  return [
    { name: "OpenBarriers", value: open.length },
    { name: "MissingDispatchers", value: open.reduce((sum, { count = 0 }) => sum + count, 0) },
    { name: "BarrierAge", value: Math.max(0, ...oldest.values()) },
    { name: "IdleBarrierAge", value: Math.max(0, ...idle) },
    { name: "ChangefeedsNotSwept", value: failed },
    { name: "ChangefeedsNotReached", value: left },
    ...[...oldest].map(([phase, value]) => ({ name: "BarrierAge" as const, value, phase })),
  ];
}
