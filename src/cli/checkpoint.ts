import type { Command } from "commander";
import { run } from "../maintainer/base/program.ts";
import { readCheckpointLimit } from "../maintainer/operator/checkpoint.ts";
import { createPort } from "../messaging/aws-port.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { matching } from "./diagnosed.ts";
import { say, sayJson } from "./say.ts";

interface CheckpointOptions extends DeploymentOptions {
  readonly json?: boolean;
  readonly changefeed?: string;
}

/** `weir checkpoint`: how far the checkpoint of a changefeed may go (protocol.md M13, D10). */
export function registerCheckpoint(program: Command): void {
  program
    .command("checkpoint")
    .description("how far the checkpoint of each changefeed may go, and what holds it there")
    .option("--json", "as JSON")
    .option("--changefeed <name>", "those with this in their name (default: all)")
    .option("--endpoint <url>", "DynamoDB endpoint (default: a running weir local, else AWS)")
    .option("--table <name>", "the deployment's table (its output TableName)")
    .option("--region <region>", "AWS region")
    .action(showCheckpoints);
}

async function showCheckpoints(options: CheckpointOptions): Promise<void> {
  const { dynamodb, sqs, table } = connectDeployment(options);
  const port = createPort({ dynamodb, sqs }, { table, actionQueuePrefix: "", deadLetterQueueUrl: "" });
  try {
    const spaces = matching(await port.listSpaces(), options.changefeed);
    const limits: { changefeed: string; atMost: string | null; because: string }[] = [];
    for (const space of spaces) {
      const limit = await run(readCheckpointLimit(space), port);
      if (limit !== undefined)
        limits.push({
          changefeed: space.text,
          atMost: limit.atMost?.toString() ?? null,
          because: limit.because,
        });
    }
    if (options.json) sayJson(limits);
    else if (limits.length === 0) say("No changefeed has registered yet.");
    else
      for (const { changefeed, atMost, because } of limits)
        say(`${changefeed}  ${atMost === null ? "free" : `at most ${atMost}`}: ${because}`);
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}
