import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { newMemory } from "../maintainer/batch.ts";
import { run } from "../maintainer/program.ts";
import { DEFAULT_SETTINGS } from "../maintainer/session.ts";
import { unbind } from "../maintainer/unbind.ts";
import { createPort } from "../messaging/port.ts";
import { audit, chosenSpace } from "./changefeed.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { Problem } from "./problem.ts";

interface UnbindOptions extends DeploymentOptions {
  readonly changefeed?: string;
  readonly node: string;
  readonly to?: string;
  readonly prefix: string;
}

/** `weir unbind`: frees a node's id from the principal that it is bound to (protocol.md R7). */
export function registerUnbind(program: Command): void {
  program
    .command("unbind")
    .description("free a node's id from the principal that registered it first")
    .requiredOption("--node <id>", "the node")
    .option(
      "--to <principal>",
      "bind it to this unique id (AROA..., AIDA...), not to whoever registers it next",
    )
    .option("--changefeed <name>", "as weir barriers shows it (default: the only one)")
    .option("--endpoint <url>", "AWS endpoint (default: a running weir local, else AWS)")
    .option("--table <name>", "the deployment's table (its output TableName)")
    .option("--prefix <prefix>", "the deployment's prefix", "weir")
    .option("--region <region>", "AWS region")
    .action(runUnbind);
}

async function runUnbind(options: UnbindOptions): Promise<void> {
  const { node, to = "" } = options;
  if (to !== "" && !/^A[A-Z0-9]{15,127}$/.test(to))
    throw new Problem(`--to is "${to}": use the unique id of a role or user, as AROAEXAMPLEID2345678`);
  const {
    dynamodb,
    sqs,
    table,
    actionQueuePrefix = `${options.prefix}-action-`,
  } = connectDeployment(options);
  const port = createPort({ dynamodb, sqs }, { table, actionQueuePrefix, deadLetterQueueUrl: "" });
  try {
    const space = chosenSpace(await port.listSpaces(), options.changefeed);
    const now = Date.now();
    const settings = { ...DEFAULT_SETTINGS, actionQueuePrefix };
    const former = await run(
      unbind(space, node, to, { now, nonce: randomUUID(), settings, memory: newMemory() }),
      port,
    );
    if (former === undefined)
      throw new Problem(`${space.text} has no such node: weir barriers --json shows them`);
    await audit(port.store.table, space, now, { what: "unbind", node, from: former, to });
    console.log(
      `node ${JSON.stringify(node)} was bound to ${former || "nobody"}; now ${to === "" ? "its next registration binds it" : `to ${to}`}`,
    );
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}
