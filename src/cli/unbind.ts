import type { Command } from "commander";
import { unbind } from "../maintainer/operator/unbind.ts";
import { type ChangeOptions, changeOne } from "./changefeed.ts";
import { Problem } from "./problem.ts";
import { say } from "./say.ts";

interface UnbindOptions extends ChangeOptions {
  readonly node: string;
  readonly to?: string;
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
    .option("--changefeed <name>", "any part of its name that no other has (default: the only one)")
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
  const former = await changeOne(
    options,
    {},
    (space, invocation) => unbind(space, node, to, invocation),
    (from, space) => {
      if (from === undefined)
        throw new Problem(`${space.text} has no such node: weir barriers --json shows them`);
      return { what: "unbind", node, from, to };
    },
  );
  say(
    `node ${JSON.stringify(node)} was bound to ${former || "nobody"}; now ${to === "" ? "its next registration binds it" : `to ${to}`}`,
  );
}
