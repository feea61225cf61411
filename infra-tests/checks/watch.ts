import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { METRICS } from "../../src/maintainer/base/metrics.ts";
import { type Check, namesOf, resource } from "../template.ts";

interface Expected {
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions: readonly { readonly Name: string; readonly Value: string }[];
  readonly Statistic: "Maximum" | "Sum";
  readonly ComparisonOperator: string;
  readonly Threshold: number;
  readonly DatapointsToAlarm: number;
  readonly EvaluationPeriods: number;
  readonly TreatMissingData: string;
}

const own = { Namespace: "Weir", Dimensions: [{ Name: "service", Value: "test" }] };
const queue = (name: string) => ({
  Namespace: "AWS/SQS",
  Dimensions: [{ Name: "QueueName", Value: `<${name}.QueueName>` }],
});
const lambda = (name: string) => ({
  Namespace: "AWS/Lambda",
  Dimensions: [{ Name: "FunctionName", Value: `<${name}>` }],
});
const reaches = (Threshold: number, DatapointsToAlarm: number, EvaluationPeriods: number) => ({
  ComparisonOperator: "GreaterThanOrEqualToThreshold",
  Threshold,
  DatapointsToAlarm,
  EvaluationPeriods,
  // Nothing to report is not a reason to wake anybody.
  TreatMissingData: "notBreaching",
});

/** What each alarm looks at. */
export const ALARMS: Readonly<Record<string, Expected>> = {
  OldestBarrier: { ...own, MetricName: "IdleBarrierAge", Statistic: "Maximum", ...reaches(300_000, 3, 3) },
  LongWrite: {
    Namespace: "Weir",
    Dimensions: [
      { Name: "phase", Value: "writing" },
      { Name: "service", Value: "test" },
    ],
    MetricName: "BarrierAge",
    Statistic: "Maximum",
    ...reaches(3_600_000, 3, 3),
  },
  DeadLetters: {
    ...queue("DeadLetterQueue"),
    MetricName: "ApproximateNumberOfMessagesVisible",
    Statistic: "Maximum",
    ...reaches(1, 1, 1),
  },
  RejectedMessages: { ...own, MetricName: "RejectedMessages", Statistic: "Sum", ...reaches(1, 1, 1) },
  StatusQueueAge: {
    ...queue("StatusQueue"),
    MetricName: "ApproximateAgeOfOldestMessage",
    Statistic: "Maximum",
    ...reaches(300, 3, 3),
  },
  MaintainerErrors: { ...lambda("Maintainer"), MetricName: "Errors", Statistic: "Sum", ...reaches(1, 3, 5) },
  SweeperErrors: { ...lambda("Sweeper"), MetricName: "Errors", Statistic: "Sum", ...reaches(1, 3, 5) },
  ChangefeedsNotSwept: {
    ...own,
    MetricName: "ChangefeedsNotSwept",
    Statistic: "Maximum",
    ...reaches(1, 3, 5),
  },
  MaintainerThrottles: {
    ...lambda("Maintainer"),
    MetricName: "Throttles",
    Statistic: "Sum",
    ...reaches(1, 3, 5),
  },
  SweeperThrottles: { ...lambda("Sweeper"), MetricName: "Throttles", Statistic: "Sum", ...reaches(1, 3, 5) },
  SweeperNotRunning: {
    ...lambda("Sweeper"),
    MetricName: "Invocations",
    Statistic: "Sum",
    ComparisonOperator: "LessThanThreshold",
    Threshold: 1,
    DatapointsToAlarm: 5,
    EvaluationPeriods: 5,
    // A sweeper that does not run publishes nothing: here missing data is the fault itself.
    TreatMissingData: "breaching",
  },
};

const OPERATIONS = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");

/** The dashboard's widgets: a body with references, as text. */
export function widgetsOf(body: string): { type: string; properties: Record<string, unknown> }[] {
  return JSON.parse(body).widgets;
}

export const watchChecks: Check[] = [
  ...Object.entries(ALARMS).map(([name, expected]) => ({
    what: `alarm ${name} looks at what it should, and missing data means what it should`,
    check: (all: Parameters<Check["check"]>[0]) => {
      const { AlarmDescription, ...properties } = resource(all, `${name}Alarm`).Properties;
      expect(properties).toEqual({ Period: 60, ...expected });
      expect(AlarmDescription).toContain(`What to do: docs/operations.md, ${name}.`);
    },
  })),
  {
    what: "there is no other alarm, and each has its paragraph in docs/operations.md",
    check: (all) => {
      expect(namesOf(all, "AWS::CloudWatch::Alarm")).toEqual(
        Object.keys(ALARMS)
          .map((name) => `${name}Alarm`)
          .sort(),
      );
      for (const name of Object.keys(ALARMS)) expect(OPERATIONS).toContain(`### ${name}\n`);
    },
  },
  {
    what: "the dashboard shows all alarms, all metrics, and who is missing",
    check: (all) => {
      const body = String(resource(all, "Dashboard").Properties["DashboardBody"]);
      const widgets = widgetsOf(body);
      const alarms = widgets.filter((one) => one.type === "alarm");
      expect(alarms.flatMap((one) => one.properties["alarms"])).toEqual(
        Object.keys(ALARMS).map((name) => `<${name}Alarm.Arn>`),
      );
      for (const name of Object.keys(METRICS)) expect(body).toContain(`"Weir","${name}"`);
      for (const phase of ["waiting", "writing", "written", "passing"])
        expect(body).toContain(`"BarrierAge","phase","${phase}"`);
      const queries = widgets
        .filter((one) => one.type === "log")
        .map((one) => String(one.properties["query"]));
      expect(queries[0]).toMatch(
        /^SOURCE '<SweeperLogs>' \| fields .*changefeed, barrier, phase.*node, detail/,
      );
      expect(queries[0]).toContain('filter message = "barrier-open"');
    },
  },
];
