import { Duration } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, type IMetric, Stats, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type { Construct } from "constructs";
import type { Functions } from "./functions.ts";
import { MINUTE, ownMetric } from "./metrics.ts";
import type { CheckedProps } from "./props.ts";
import type { Queues } from "./storage.ts";

interface Watched {
  /** What its message says: what is wrong, and where to read on. */
  readonly says: string;
  readonly metric: IMetric;
  /** At this value or above. */
  readonly at: number;
  /** So many of the last so many minutes. */
  readonly minutes: readonly [number, number];
}

/**
 * The alarms, each with a paragraph in docs/operations.md under its name. Missing data is no cause to wake anybody, but for
 * the sweeper: it runs once a minute, whatever else happens.
 */
export function createAlarms(
  scope: Construct,
  props: CheckedProps,
  { statusQueue, deadLetterQueue, maintainer, sweeper }: Queues & Functions,
): Record<string, Alarm> {
  const period = { period: MINUTE };
  const count = { period: MINUTE, statistic: Stats.SUM };
  const waiting = props.oldestBarrierAlarm ?? Duration.minutes(5);
  const writing = props.longWriteAlarm ?? Duration.hours(1);

  const watched: Record<string, Watched> = {
    OldestBarrier: {
      says: `a barrier is open for more than ${waiting.toHumanString()}, and nobody is writing its event`,
      metric: ownMetric(props, "IdleBarrierAge", Stats.MAXIMUM),
      at: waiting.toMilliseconds(),
      // A barrier that was written for hours passes within seconds: it must not be taken for one that is stuck.
      minutes: [3, 3],
    },
    LongWrite: {
      says: `a writer is at work on a barrier for more than ${writing.toHumanString()}`,
      metric: ownMetric(props, "BarrierAge", Stats.MAXIMUM, "writing"),
      at: writing.toMilliseconds(),
      minutes: [3, 3],
    },
    DeadLetters: {
      says: "messages that were not understood wait in the dead-letter queue",
      metric: deadLetterQueue.metricApproximateNumberOfMessagesVisible({
        ...period,
        statistic: Stats.MAXIMUM,
      }),
      at: 1,
      minutes: [1, 1],
    },
    RejectedMessages: {
      says: "messages were rejected just now: somebody sends what is not understood, or for a node that is not its own",
      metric: ownMetric(props, "RejectedMessages"),
      at: 1,
      minutes: [1, 1],
    },
    StatusQueueAge: {
      says: "reports wait for more than five minutes: the maintainer does not keep up, or fails on them",
      metric: statusQueue.metricApproximateAgeOfOldestMessage({ ...period, statistic: Stats.MAXIMUM }),
      at: 300,
      minutes: [3, 3],
    },
    MaintainerErrors: {
      says: "the maintainer fails again and again",
      metric: maintainer.metricErrors(count),
      at: 1,
      minutes: [3, 5],
    },
    SweeperErrors: {
      says: "the sweeper fails again and again",
      metric: sweeper.metricErrors(count),
      at: 1,
      minutes: [3, 5],
    },
    ChangefeedsNotSwept: {
      says: "a changefeed cannot be swept: what is open there is not in BarrierAge",
      metric: ownMetric(props, "ChangefeedsNotSwept", Stats.MAXIMUM),
      at: 1,
      minutes: [3, 5],
    },
    MaintainerThrottles: {
      says: "the maintainer is throttled: the account has no concurrency left",
      metric: maintainer.metricThrottles(count),
      at: 1,
      minutes: [3, 5],
    },
    SweeperThrottles: {
      says: "the sweeper is throttled: the account has no concurrency left",
      metric: sweeper.metricThrottles(count),
      at: 1,
      minutes: [3, 5],
    },
  };
  const alarms = Object.fromEntries(
    Object.entries(watched).map(
      ([
        name,
        {
          says,
          metric,
          at,
          minutes: [some, of],
        },
      ]) => [
        name,
        new Alarm(scope, `${name}Alarm`, {
          alarmDescription: describe(props, name, says),
          metric,
          threshold: at,
          comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
          datapointsToAlarm: some,
          evaluationPeriods: of,
          treatMissingData: TreatMissingData.NOT_BREACHING,
        }),
      ],
    ),
  );
  alarms["SweeperNotRunning"] = new Alarm(scope, "SweeperNotRunningAlarm", {
    alarmDescription: describe(
      props,
      "SweeperNotRunning",
      "no sweep for five minutes: nobody watches the barriers",
    ),
    metric: sweeper.metricInvocations(count),
    threshold: 1,
    comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
    datapointsToAlarm: 5,
    evaluationPeriods: 5,
    treatMissingData: TreatMissingData.BREACHING,
  });
  if (props.alarmTopic) {
    const action = new SnsAction(props.alarmTopic);
    for (const alarm of Object.values(alarms)) {
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
  }
  return alarms;
}

const describe = (props: CheckedProps, name: string, says: string) =>
  `Weir "${props.prefix}": ${says}. What to do: docs/operations.md, ${name}.`;
