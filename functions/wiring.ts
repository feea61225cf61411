import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import type { Observation, Observer } from "../src/maintainer/observe.ts";
import { DEFAULT_SETTINGS, type Settings } from "../src/maintainer/session.ts";
import { createClients, createPort } from "../src/messaging/port.ts";

export const logger = new Logger({ serviceName: "weir" });
export const metrics = new Metrics({ namespace: "Weir", serviceName: "weir" });

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`environment variable ${name} is not set: the stack sets it, deploy it again`);
  return value;
}

const actionQueuePrefix = required("WEIR_ACTION_QUEUE_PREFIX");
export const settings: Settings = { ...DEFAULT_SETTINGS, actionQueuePrefix };
export const port = createPort(createClients(), {
  table: required("WEIR_TABLE"),
  deadLetterQueueUrl: required("WEIR_DEAD_LETTER_QUEUE_URL"),
  actionQueuePrefix,
  onFailure: (queue, error) => logger.warn("action was not sent", { queue, error: error as Error }),
});

const METRICS: Partial<Record<Observation["what"], string>> = {
  "barrier-opened": "BarriersOpened",
  "barrier-closed": "BarriersClosed",
  "action-repeated": "ActionsRepeated",
  "report-stale": "StaleReports",
  "report-conflicts": "ConflictingReports",
  "message-rejected": "RejectedMessages",
  "queue-missing": "MissingQueues",
};
const TIMES: Partial<Record<Observation["what"], string>> = {
  "write-granted": "TimeToSelect",
  "barrier-written": "WriteDuration",
  "barrier-open": "BarrierAge",
};

/** Turns what happened into log lines and metrics. */
export function report(observer: Observer): void {
  for (const { what, ...fields } of observer.seen) {
    logger.info(what, fields);
    const metric = METRICS[what];
    if (metric) metrics.addMetric(metric, MetricUnit.Count, fields.count ?? 1);
    const time = TIMES[what];
    if (time) metrics.addMetric(time, MetricUnit.Milliseconds, fields.ms ?? 0);
  }
}
