/** What is used, in USD. Pure arithmetic over `PRICES`; what is counted and what is assumed stands at each term. */
import { GB, HOURS_PER_MONTH, PRICES } from "./prices.ts";

/** What one barrier used, or any other piece of work. */
export interface Used {
  readonly writeUnits: number;
  readonly readUnits: number;
  /** SQS requests as billed: one for each 64 KB. */
  readonly sqsBilled: number;
  readonly invocations: number;
  readonly invocationMs: number;
  /** Lines that functions logged beside those of the platform. */
  readonly logLines: number;
}

export interface Parts {
  readonly dynamodb: number;
  readonly sqs: number;
  readonly lambda: number;
  /** Logs and traces. */
  readonly observing: number;
}

/** Memory of a function, in GB: what the stack sets by default. */
const FUNCTION_GB = 0.5;
/** Bytes of one structured log line, and of the three lines that the platform writes for each invocation. */
const LINE_BYTES = 450;
const PLATFORM_BYTES = 500;
/** X-Ray's default rule traces the first request of a second and five of a hundred others. */
const TRACED = 0.05;

/** What some work costs. */
export function costOf(used: Used): Parts {
  const { dynamodb, sqs, lambda, cloudwatch, xray } = PRICES;
  const gbSeconds = (used.invocationMs / 1000) * FUNCTION_GB;
  const logged = used.invocations * PLATFORM_BYTES + used.logLines * LINE_BYTES;
  const traces = used.invocations === 0 ? 0 : 1 + (used.invocations - 1) * TRACED;
  return {
    dynamodb: used.writeUnits * dynamodb.writeUnit + used.readUnits * dynamodb.readUnit,
    sqs: used.sqsBilled * sqs.request,
    lambda: used.invocations * lambda.request + gbSeconds * lambda.gbSecond,
    observing: (logged / GB) * cloudwatch.ingestedGb + traces * xray.trace,
  };
}

export function sum(parts: Parts): number {
  return parts.dynamodb + parts.sqs + parts.lambda + parts.observing;
}

/** What there is when no barrier comes. */
export interface Idle {
  /** One sweep, once a minute. */
  readonly sweep: Used;
  /** Bytes that the table holds. */
  readonly storedBytes: number;
  /** Action queues that are polled all the time: those of nodes. A dispatcher polls its own only while it waits. */
  readonly polledQueues: number;
}

export interface Monthly {
  readonly idle: {
    readonly sweeper: number;
    readonly statusQueue: number;
    readonly actionQueues: number;
    readonly storage: number;
  };
  readonly barriers: Parts;
  /** Custom metrics, as long as something is sent. */
  readonly metrics: number;
  readonly total: number;
}

/** A long poll lasts 20 s; Lambda's event source keeps five of them on a queue that is idle. */
const POLLS_PER_HOUR = 3600 / 20;
const EVENT_SOURCE_POLLERS = 5;
/** Metrics that the functions send. */
const METRICS = 10;

/** What a deployment with one changefeed costs in a month of 730 hours. */
export function monthly(idle: Idle, barrier: Used, barriersPerHour: number): Monthly {
  const sweeps = HOURS_PER_MONTH * 60;
  const polls = HOURS_PER_MONTH * POLLS_PER_HOUR * PRICES.sqs.request;
  const storedGb = idle.storedBytes / GB;
  const barriers = barriersPerHour * HOURS_PER_MONTH;
  const one = costOf(barrier);
  const parts = {
    dynamodb: one.dynamodb * barriers,
    sqs: one.sqs * barriers,
    lambda: one.lambda * barriers,
    observing: one.observing * barriers,
  };
  const fixed = {
    sweeper: sum(costOf(idle.sweep)) * sweeps,
    statusQueue: polls * EVENT_SOURCE_POLLERS,
    actionQueues: polls * idle.polledQueues,
    storage: storedGb * (PRICES.dynamodb.storedGbMonth + PRICES.dynamodb.recoveryGbMonth),
  };
  const metrics = barriersPerHour > 0 ? METRICS * PRICES.cloudwatch.metricMonth : 0;
  const total = Object.values(fixed).reduce((all, one) => all + one, 0) + sum(parts) + metrics;
  return { idle: fixed, barriers: parts, metrics, total };
}
