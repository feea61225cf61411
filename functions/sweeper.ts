import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import type { Context } from "aws-lambda";
import { newMemory } from "../src/maintainer/batch.ts";
import { run } from "../src/maintainer/program.ts";
import { sweep } from "../src/maintainer/sweep.ts";
import { logger, metrics, port, report, settings } from "./wiring.ts";

/** Looks at every open barrier from scratch, once a minute. */
export const handler = middy<unknown, void>()
  .use(injectLambdaContext(logger))
  .use(logMetrics(metrics))
  .handler(async (_event, context: Context) => {
    const invocation = { now: Date.now(), nonce: context.awsRequestId, settings, memory: newMemory() };
    const { observer, failed } = await run(sweep(invocation), port);
    report(observer);
    for (const { space, reason } of failed) logger.error("changefeed was not swept", { space, reason });
  });
