import type { Command } from "commander";
import { type Evicted, evict } from "../maintainer/operator/evict.ts";
import { type ChangeOptions, changeOne } from "./changefeed.ts";
import { Problem } from "./problem.ts";

interface EvictOptions extends ChangeOptions {
  readonly node?: string;
  readonly dispatcher?: string;
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
  const { schedulerQueue } = options;
  const ended = await changeOne(
    options,
    schedulerQueue ? { schedulerQueue } : {},
    (space, invocation) => evict(space, who, invocation),
    (lives, space) => {
      if (lives.length === 0)
        throw new Problem(`${space.text} has no such dispatcher: weir barriers shows who is missing`);
      return { what: "evict", dispatchers: lives.map((life) => life.id).join(" ") };
    },
  );
  for (const life of ended) console.log(`evicted ${life.id} of table ${life.tableId} on ${life.node}`);
}

function whoOf({ node, dispatcher }: EvictOptions): Evicted {
  if ((node === undefined) === (dispatcher === undefined))
    throw new Problem("say who is to go: --node ID or --dispatcher ID, one of them");
  if (node !== undefined) return { node };
  if (!/^[0-9a-f]{32}$/.test(dispatcher!))
    throw new Problem(`--dispatcher is "${dispatcher}": use its 32 hex digits`);
  return { dispatcher: dispatcher! };
}
