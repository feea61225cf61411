import "./node-version.ts";
import "./stack-traces.ts";

import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import type { Context, SQSBatchResponse, SQSEvent } from "aws-lambda";
import { measure } from "../src/maintainer/base/metrics.ts";
import { newMemory } from "../src/maintainer/batch.ts";
import { maintain } from "../src/maintainer/lambda.ts";
import { log, logger, metrics, port, publish, settings } from "./wiring.ts";

const memory = newMemory();

/** Folds a batch of the status queue into the state and sends what follows from it. */
export const handler = middy<SQSEvent, SQSBatchResponse>()
  .use(injectLambdaContext(logger))
  .use(logMetrics(metrics))
  .handler(async (event, context: Context) => {
    const invocation = { now: Date.now(), nonce: context.awsRequestId, settings, memory };
    const { response, observer, failed } = await maintain(event.Records, port, invocation);
    log(observer);
    publish([{ name: "Messages", value: event.Records.length }, ...measure(observer.seen)]);
    for (const failure of failed) logger.warn("message goes back to the queue", { ...failure });
    return response;
  });
