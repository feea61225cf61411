import { Duration } from "aws-cdk-lib";
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  LogQueryVisualizationType,
  LogQueryWidget,
  PeriodOverride,
  SingleValueWidget,
  Stats,
} from "aws-cdk-lib/aws-cloudwatch";
import type { Construct } from "constructs";
import type { MetricName } from "../src/maintainer/base/metrics.ts";
import type { Functions, State } from "./functions.ts";
import { MINUTE, ownMetric } from "./metrics.ts";
import type { CheckedProps } from "./props.ts";

const PHASES = ["waiting", "writing", "written", "passing"];

/** Log lines of the last sweeps, one for each barrier: the newest that was said of it. */
const WHO = [
  "fields @timestamp, changefeed, barrier, phase, ms / 1000 as seconds, `count` as missing, node, detail",
  'filter message = "barrier-open"',
  "sort @timestamp desc",
  "dedup changefeed, barrier",
  "limit 50",
];
const REJECTED = [
  "fields @timestamp, message, changefeed, barrier, node, detail",
  'filter message in ["message-rejected", "sender-mismatch", "queue-missing", "report-conflicts", "route-conflict"]',
  "sort @timestamp desc",
  "limit 50",
];
const FAILURES = [
  "fields @timestamp, level, message, changefeed, messageId, reason, error.message, queue",
  'filter level in ["WARN", "ERROR", "CRITICAL"] or @message like /Task timed out|Runtime exited/',
  "sort @timestamp desc",
  "limit 50",
];

/** Answers from the top down: is anything stuck, since when, whose fault; then how fast it is, and how the parts are. */
export function createDashboard(
  scope: Construct,
  props: CheckedProps,
  { table, statusQueue, deadLetterQueue, maintainer, sweeper }: State & Functions,
  alarms: Readonly<Record<string, Alarm>>,
): Dashboard {
  const own = (name: MetricName, statistic?: string) => ownMetric(props, name, statistic);
  const graph = (title: string, left: IMetric[], width = 8): IWidget =>
    new GraphWidget({ title, left, width, height: 6, leftYAxis: { min: 0 } });
  const logs = (title: string, queryLines: string[], logGroupNames: string[]): IWidget =>
    new LogQueryWidget({
      title,
      queryLines,
      logGroupNames,
      view: LogQueryVisualizationType.TABLE,
      width: 24,
      height: 7,
    });
  const times = (name: "TimeToSelect" | "WriteDuration" | "PassDuration" | "BarrierDuration") =>
    graph(
      name,
      ["p50", "p99", Stats.MAXIMUM].map((statistic) => own(name, statistic).with({ label: statistic })),
      6,
    );
  const count = { period: MINUTE, statistic: Stats.SUM };
  const both = (
    metric: (one: Functions["maintainer"]) => IMetric & { with(props: { label: string }): IMetric },
  ) => [metric(maintainer).with({ label: "maintainer" }), metric(sweeper).with({ label: "sweeper" })];
  const maintainerLog = maintainer.logGroup.logGroupName;
  const sweeperLog = sweeper.logGroup.logGroupName;

  return new Dashboard(scope, "Dashboard", {
    defaultInterval: Duration.hours(3),
    periodOverride: PeriodOverride.INHERIT,
    widgets: [
      [
        new AlarmStatusWidget({
          title: "Is anything wrong?",
          alarms: Object.values(alarms),
          width: 24,
          height: 4,
        }),
      ],
      [
        new SingleValueWidget({
          title: "Is anything stuck, since when (ms)?",
          metrics: [
            own("OpenBarriers", Stats.MAXIMUM),
            own("BarrierAge", Stats.MAXIMUM),
            own("MissingDispatchers", Stats.MAXIMUM),
          ],
          width: 8,
          height: 6,
        }),
        graph("Oldest barrier by phase (ms)", [
          ...PHASES.map((phase) =>
            ownMetric(props, "BarrierAge", Stats.MAXIMUM, phase).with({ label: phase }),
          ),
          own("IdleBarrierAge", Stats.MAXIMUM).with({ label: "nobody writes" }),
        ]),
        graph("Open barriers, and dispatchers that are missing", [
          own("OpenBarriers", Stats.MAXIMUM),
          own("MissingDispatchers", Stats.MAXIMUM),
        ]),
      ],
      [logs("Whose fault: what the last sweeps said of each barrier", WHO, [sweeperLog])],
      [times("TimeToSelect"), times("WriteDuration"), times("PassDuration"), times("BarrierDuration")],
      [
        graph("Barriers", [own("BarriersOpened"), own("BarriersClosed"), own("ActionsRepeated")]),
        graph("Reports that changed nothing", [own("DuplicateReports"), own("StaleReports")]),
        graph("Messages that need somebody", [
          own("RejectedMessages"),
          own("SenderMismatches"),
          own("ConflictingReports"),
          own("MissingQueues"),
          own("UnsentActions"),
          own("UnkeptReports"),
          own("RouteConflicts"),
          own("RecreatedDispatchers"),
          own("ChangefeedsRetired"),
          deadLetterQueue.metricApproximateNumberOfMessagesVisible({
            statistic: Stats.MAXIMUM,
            period: MINUTE,
          }),
        ]),
      ],
      [logs("What was refused, and why", REJECTED, [maintainerLog, sweeperLog])],
      [
        graph("Status queue", [
          statusQueue.metricApproximateAgeOfOldestMessage({ statistic: Stats.MAXIMUM, period: MINUTE }),
          statusQueue.metricApproximateNumberOfMessagesVisible({ statistic: Stats.MAXIMUM, period: MINUTE }),
          own("Messages"),
        ]),
        graph("Errors and throttles", [
          ...both((one) => one.metricErrors(count)),
          maintainer.metricThrottles({ ...count, label: "maintainer throttled" }),
          sweeper.metricThrottles({ ...count, label: "sweeper throttled" }),
          own("ChangefeedsNotSwept", Stats.MAXIMUM),
          own("ChangefeedsNotReached", Stats.MAXIMUM),
        ]),
        graph(
          "Duration (ms, p99)",
          both((one) => one.metricDuration({ statistic: "p99", period: MINUTE })),
        ),
      ],
      [
        graph("Maintainers at a time", [
          maintainer.metric("ConcurrentExecutions", { statistic: Stats.MAXIMUM, period: MINUTE }),
        ]),
        graph("Table: units consumed", [
          table.metricConsumedReadCapacityUnits(count),
          table.metricConsumedWriteCapacityUnits(count),
        ]),
        graph("Table: requests throttled", [
          table.metric("ReadThrottleEvents", count),
          table.metric("WriteThrottleEvents", count),
        ]),
      ],
      [logs("What failed", FAILURES, [maintainerLog, sweeperLog])],
    ],
  });
}
