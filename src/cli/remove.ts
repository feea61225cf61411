import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { createPort } from "../messaging/aws-port.ts";
import { removeSpace } from "../storage/dynamodb/remove.ts";
import { callerOf } from "./caller.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { Problem } from "./problem.ts";
import { say } from "./say.ts";

interface RemoveOptions extends DeploymentOptions {
  readonly reason: string;
  readonly yes?: true;
}

/** `weir remove`: takes a changefeed out that is gone for good (protocol.md R14). */
export function registerRemove(program: Command): void {
  program
    .command("remove")
    .description("remove a changefeed that is gone for good, with all that is stored of it")
    .argument("<changefeed>", "as weir barriers shows it")
    .requiredOption("--reason <text>", "why: it is kept, with your name and what was there")
    .option("--yes", "do not ask")
    .option("--endpoint <url>", "AWS endpoint (default: a running weir local, else AWS)")
    .option("--table <name>", "the deployment's table (its output TableName)")
    .option("--region <region>", "AWS region")
    .action(runRemove);
}

async function runRemove(changefeed: string, options: RemoveOptions): Promise<void> {
  const deployment = connectDeployment(options, "change");
  const { dynamodb, sqs, table, actionQueuePrefix = "weir-action-" } = deployment;
  const { store } = createPort({ dynamodb, sqs }, { table, actionQueuePrefix, deadLetterQueueUrl: "" });
  try {
    const spaces = await store.listSpaces();
    const chosen = spaces.filter(
      (space) => space.text === changefeed || space.changefeed.name === changefeed,
    );
    const [space] = chosen;
    if (space === undefined || chosen.length > 1) {
      const names = (chosen.length > 1 ? chosen : spaces).map((one) => `\n  ${one.text}`).join("");
      throw new Problem(
        `${chosen.length === 0 ? "no" : "more than one"} changefeed is called ${JSON.stringify(changefeed)}: name one of${names || " none, there is none"}`,
      );
    }
    const open = (await store.readRoot(space))?.steps.size ?? 0;
    if (!options.yes) await confirm(space.text, open);
    const deleted = await removeSpace(store, space, {
      who: { ...(await callerOf(deployment)) },
      reason: options.reason,
      now: Date.now(),
    });
    say(`removed ${space.text}: ${deleted} items, ${open} open barriers`);
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}

async function confirm(name: string, open: number): Promise<void> {
  if (!process.stdin.isTTY) throw new Problem("nobody is here to ask: say --yes if it is to be removed");
  const ask = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await ask.question(
    `Remove ${name} with ${open} open barriers? Its dispatchers will not be coordinated any more. [y/N] `,
  );
  ask.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new Problem("nothing was removed");
}
