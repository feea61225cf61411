import { Duration } from "aws-cdk-lib";
import { Metric, Stats } from "aws-cdk-lib/aws-cloudwatch";
import { type MetricName, NAMESPACE } from "../src/maintainer/base/metrics.ts";
import type { CheckedProps } from "./props.ts";

export const MINUTE = Duration.minutes(1);

/** A metric that the functions publish (src/maintainer/base/metrics.ts), by the minute. */
export function ownMetric(
  props: CheckedProps,
  metricName: MetricName,
  statistic: string = Stats.SUM,
  phase?: string,
): Metric {
  return new Metric({
    namespace: NAMESPACE,
    metricName,
    dimensionsMap: { service: props.prefix, ...(phase !== undefined && { phase }) },
    statistic,
    period: MINUTE,
  });
}
