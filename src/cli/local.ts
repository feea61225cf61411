import type { Command } from "commander";
import type { Endpoints } from "../local/deployment.ts";
import { announce } from "../local/discovery.ts";
import { LOCAL_PACKAGES, needing } from "./needing.ts";
import { Problem, wholeNumber } from "./problem.ts";
import { say } from "./say.ts";

interface LocalCommandOptions {
  readonly json?: boolean;
  readonly sqsPort?: number;
  readonly dynamodbPort?: number;
  readonly prefix: string;
  readonly logFile?: string;
}

/** `weir local`: the deployment on this machine, until SIGINT or SIGTERM. */
export function registerLocal(program: Command): void {
  const port = (option: string) => wholeNumber(option, 1, 65535);
  program
    .command("local")
    .description("run the coordinator here, for capture nodes in any language, until SIGINT or SIGTERM")
    .option("--json", "first line of standard output: where everything is, as one JSON object")
    .option("--sqs-port <port>", "port of SQS's interface (default: a free one)", port("--sqs-port"))
    .option(
      "--dynamodb-port <port>",
      "port of DynamoDB's interface (default: a free one)",
      port("--dynamodb-port"),
    )
    .option("--prefix <prefix>", "action queues are named <prefix>-action-*", "weir")
    .option("--log-file <file>", "append the functions' logs to it")
    .action(runLocal);
}

async function runLocal(options: LocalCommandOptions): Promise<void> {
  const { sqsPort, dynamodbPort, prefix, logFile } = options;
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.resolve());
  const { startLocal } = await needing("weir local", LOCAL_PACKAGES, () => import("../local/deployment.ts"));
  const local = await startLocal({
    prefix,
    ...(sqsPort !== undefined && { sqsPort }),
    ...(dynamodbPort !== undefined && { dynamodbPort }),
    ...(logFile !== undefined && { logFile }),
  }).catch((error: NodeJS.ErrnoException & { port?: number }) => {
    if (error.code !== "EADDRINUSE" && error.code !== "EACCES") throw error;
    const option = error.port === dynamodbPort ? "--dynamodb-port" : "--sqs-port";
    const why = error.code === "EADDRINUSE" ? "is used by somebody else" : "may not be used by you";
    throw new Problem(`${option} ${error.port} ${why}: name another port, or none for a free one`);
  });
  const { endpoint, region, credentials, table, statusQueueUrl, deadLetterQueueUrl } = local;
  const endpoints: Endpoints = {
    endpoint,
    region,
    credentials,
    table,
    statusQueueUrl,
    deadLetterQueueUrl,
    actionQueuePrefix: local.actionQueuePrefix,
    coordinators: local.coordinators,
  };
  const withdraw = announce(endpoints);
  try {
    if (options.json) say(JSON.stringify({ ready: true, ...endpoints }));
    else say(greeting(endpoints));
    await stopped.promise;
  } finally {
    withdraw();
    await local.stop();
  }
}

function greeting(at: Endpoints): string {
  return [
    "Weir runs here. A capture node needs:",
    "",
    `  SQS endpoint         ${at.endpoint.sqs}`,
    `  DynamoDB endpoint    ${at.endpoint.dynamodb}`,
    `  region               ${at.region}, credentials ${at.credentials.accessKeyId} / ${at.credentials.secretAccessKey}`,
    `  status queue         ${at.statusQueueUrl}`,
    `  dead-letter queue    ${at.deadLetterQueueUrl}`,
    `  action queues        ${at.actionQueuePrefix}*, which capture nodes create themselves`,
    `  table                ${at.table}`,
    "",
    "docs/capture-nodes.md says what to send. In another terminal: npx weir barriers",
    "Stop with Ctrl-C.",
  ].join("\n");
}
