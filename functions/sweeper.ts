import "./node-version.ts";
import "./stack-traces.ts";

import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import type { Context } from "aws-lambda";
import { measure, measureSweep } from "../src/maintainer/base/metrics.ts";
import { run } from "../src/maintainer/base/program.ts";
import { forgetBarriers, newMemory } from "../src/maintainer/batch.ts";
import { sweep } from "../src/maintainer/sweep.ts";
import { log, logger, metrics, port, publish, settings } from "./wiring.ts";

/** Rosters, which change seldom: a large one costs thousands of read units. */
const memory = newMemory();

/** ms that are left to a sweep to come to its end. */
const TO_END = 8_000;

/** Looks at every open barrier from scratch, once a minute. */
export const handler = middy<unknown, void>()
  .use(injectLambdaContext(logger))
  .use(logMetrics(metrics))
  .handler(async (_event, context: Context) => {
    forgetBarriers(memory);
    const time = Math.max(0, context.getRemainingTimeInMillis() - TO_END);
    const stop = AbortSignal.timeout(time);
    const invocation = { now: Date.now(), nonce: context.awsRequestId, settings, memory, stop };
    const { observer, failed, left } = await run(sweep(invocation), port);
    log(observer);
    publish([...measure(observer.seen), ...measureSweep(observer.seen, failed.length, left)]);
    for (const { space, ...failure } of failed)
      logger.error("changefeed was not swept", { changefeed: space, ...failure });
  });
