import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { newMemory } from "../maintainer/batch.ts";
import { type Evicted, evict } from "../maintainer/evict.ts";
import { run } from "../maintainer/program.ts";
import { DEFAULT_SETTINGS } from "../maintainer/session.ts";
import { createPort } from "../messaging/port.ts";
import { audit, chosenSpace } from "./changefeed.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { Problem } from "./problem.ts";

interface EvictOptions extends DeploymentOptions {
  readonly changefeed?: string;
  readonly node?: string;
  readonly dispatcher?: string;
  readonly prefix: string;
  readonly schedulerQueue?: string;
}

/** `weir evict`: takes a node or a dispatcher out that is lost for good (protocol.md R9b). */
export function registerEvict(program: Command): void {
  program
    .command("evict")
    .description("take out a node or a dispatcher that is lost for good; what waited for it goes on")
    .option("--node <id>", "all dispatchers of this node")
    .option("--dispatcher <id>", "one dispatcher, by its 32 hex digits as weir barriers --json shows them")
    .option("--changefeed <name>", "as weir barriers shows it (default: the only one)")
    .option("--endpoint <url>", "AWS endpoint (default: a running weir local, else AWS)")
    .option("--table <name>", "the deployment's table (its output TableName)")
    .option("--prefix <prefix>", "the deployment's prefix", "weir")
    .option("--scheduler-queue <name>", "the deployment's scheduler queue, if it has one")
    .option("--region <region>", "AWS region")
    .action(runEvict);
}

async function runEvict(options: EvictOptions): Promise<void> {
  const who = whoOf(options);
  const {
    dynamodb,
    sqs,
    table,
    actionQueuePrefix = `${options.prefix}-action-`,
  } = connectDeployment(options);
  const port = createPort({ dynamodb, sqs }, { table, actionQueuePrefix, deadLetterQueueUrl: "" });
  try {
    const spaces = await port.listSpaces();
    const space = chosenSpace(spaces, options.changefeed);
    const now = Date.now();
    const { schedulerQueue } = options;
    const settings = { ...DEFAULT_SETTINGS, actionQueuePrefix, ...(schedulerQueue && { schedulerQueue }) };
    const ended = await run(
      evict(space, who, { now, nonce: randomUUID(), settings, memory: newMemory() }),
      port,
    );
    if (ended.length === 0)
      throw new Problem(`${space.text} has no such dispatcher: weir barriers shows who is missing`);
    const dispatchers = ended.map((life) => life.id).join(" ");
    await audit(port.store.table, space, now, { what: "evict", dispatchers });
    for (const life of ended) console.log(`evicted ${life.id} of table ${life.tableId} on ${life.node}`);
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}

function whoOf({ node, dispatcher }: EvictOptions): Evicted {
  if ((node === undefined) === (dispatcher === undefined))
    throw new Problem("say who is to go: --node ID or --dispatcher ID, one of them");
  if (node !== undefined) return { node };
  if (!/^[0-9a-f]{32}$/.test(dispatcher!))
    throw new Problem(`--dispatcher is "${dispatcher}": use its 32 hex digits`);
  return { dispatcher: dispatcher! };
}
