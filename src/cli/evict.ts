import type { Command } from "commander";
import { printable } from "../error/printable.ts";
import { type Evicted, evict } from "../maintainer/operator/evict.ts";
import { type ChangeOptions, changeOne } from "./changefeed.ts";
import { Problem } from "./problem.ts";
import { say } from "./say.ts";

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
    .option("--changefeed <name>", "any part of its name that no other has (default: the only one)")
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
  const { lives } = await changeOne(
    options,
    schedulerQueue ? { schedulerQueue } : {},
    (space, invocation) => evict(space, who, invocation),
    ({ lives, otherNodes }, space) => {
      if (otherNodes) throw new Problem(unknown(who, space.text, otherNodes));
      return { what: "evict", dispatchers: lives.map((life) => life.id).join(" ") };
    },
  );
  for (const life of lives) say(`evicted ${life.id} of table ${life.tableId} on ${printable(life.node)}`);
  if (lives.length === 0) say("it had no dispatchers: nothing is asked of it any more");
}

function unknown(who: Evicted, changefeed: string, nodes: readonly string[]): string {
  const names = nodes.slice(0, 20).map((name) => JSON.stringify(name));
  const more = nodes.length > names.length ? ` and ${nodes.length - names.length} more` : "";
  const there = nodes.length === 0 ? "it has none" : `it has ${names.join(", ")}${more}`;
  return "node" in who
    ? `${changefeed} has no node ${JSON.stringify(who.node)}, and nothing was changed: ${there}`
    : `${changefeed} has no dispatcher ${who.dispatcher}, and nothing was changed: weir barriers --json shows who is missing`;
}

function whoOf({ node, dispatcher }: EvictOptions): Evicted {
  if ((node === undefined) === (dispatcher === undefined))
    throw new Problem("say who is to go: --node ID or --dispatcher ID, one of them");
  if (node !== undefined) return { node };
  if (!/^[0-9a-f]{32}$/.test(dispatcher!))
    throw new Problem(`--dispatcher is "${dispatcher}": use its 32 hex digits`);
  return { dispatcher: dispatcher! };
}
