import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics } from "@aws-lambda-powertools/metrics";
import { WeirError } from "../src/error/weir-error.ts";
import { logFields } from "../src/maintainer/base/log-fields.ts";
import { METRICS, type Measurement } from "../src/maintainer/base/metrics.ts";
import type { Observer } from "../src/maintainer/base/observe.ts";
import { DEFAULT_SETTINGS, type Settings } from "../src/maintainer/session/session.ts";
import { createClients, createPort } from "../src/messaging/aws-port.ts";

// Namespace, service and level come from the environment: the stack sets them.
export const logger = new Logger();
export const metrics = new Metrics();

function required(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new WeirError(
      "not-configured",
      `environment variable ${name} is not set: the stack sets it, deploy it again`,
    );
  return value;
}

const actionQueuePrefix = required("WEIR_ACTION_QUEUE_PREFIX");
const retireAfterDays = process.env["WEIR_RETIRE_AFTER_DAYS"];
const schedulerQueue = process.env["WEIR_SCHEDULER_QUEUE"];
export const settings: Settings = {
  ...DEFAULT_SETTINGS,
  actionQueuePrefix,
  ...(schedulerQueue && { schedulerQueue }),
  ...(retireAfterDays && { retireAfter: Number(retireAfterDays) * 24 * 3600 * 1000 }),
  redrivers: (process.env["WEIR_REDRIVERS"] ?? "").split(",").filter((one) => one !== ""),
};
export const port = createPort(createClients(), {
  table: required("WEIR_TABLE"),
  statusQueueUrl: required("WEIR_STATUS_QUEUE_URL"),
  deadLetterQueueUrl: required("WEIR_DEAD_LETTER_QUEUE_URL"),
  actionQueuePrefix,
  onFailure: (queue, error) => logger.warn("action was not sent", { queue, error: error as Error }),
});

/** Writes a log line for everything that happened. */
export function log(observer: Observer): void {
  for (const observation of observer.seen) logger.info(observation.what, logFields(observation));
}

/** Publishes with the invocation's metrics; what has a phase goes out by itself, since dimensions are of a whole line. */
export function publish(measurements: readonly Measurement[]): void {
  for (const { name, value, phase } of measurements)
    if (phase === undefined) metrics.addMetric(name, METRICS[name], value);
    else metrics.singleMetric().addDimension("phase", phase).addMetric(name, METRICS[name], value);
}
