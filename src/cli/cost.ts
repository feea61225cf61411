import CliTable from "cli-table3";
import { type Command, Option } from "commander";
import { costOfDeployment, type DeploymentCost } from "../cost/deployment.ts";
import { costOf, sum } from "../cost/model.ts";
import { Problem, wholeNumber } from "./problem.ts";
import { say, sayJson } from "./say.ts";

interface CostOptions {
  readonly dispatchers: number;
  readonly nodes: number;
  readonly barriersPerHour: number;
  readonly queues: "node" | "dispatcher";
  readonly json?: boolean;
}

/** `weir cost`: what a deployment will cost a month, at list prices, with what it costs when nothing happens apart. */
export function registerCost(program: Command): void {
  program
    .command("cost")
    .description("what a changefeed of some size costs a month, at the list prices of us-east-1")
    .requiredOption("--dispatchers <n>", "dispatchers", wholeNumber("--dispatchers", 1, 200_000))
    .requiredOption("--nodes <m>", "capture nodes that they are on", wholeNumber("--nodes", 1, 10_000))
    .requiredOption(
      "--barriers-per-hour <b>",
      "DDLs and syncpoints in an hour",
      wholeNumber("--barriers-per-hour", 0, 100_000),
    )
    .addOption(
      new Option("--queues <of>", "whose the action queues are")
        .choices(["node", "dispatcher"])
        .default("node"),
    )
    .option("--json", "as JSON")
    .action(async (options: CostOptions) => {
      if (options.nodes > options.dispatchers)
        throw new Problem(
          `--nodes is ${options.nodes} and --dispatchers ${options.dispatchers}: a node has one dispatcher at least`,
        );
      const cost = await costOfDeployment(options);
      if (options.json) sayJson(cost);
      else show(cost);
    });
}

const dollars = (value: number) => value.toFixed(value < 0.995 ? 4 : 2);

function show({ dispatchers, nodes, barriersPerHour, queues, barrier, idle, month }: DeploymentCost): void {
  const requests = Object.values(barrier.requests).reduce((all, one) => all + one, 0);
  say(
    `${dispatchers.toLocaleString("en-US")} dispatchers on ${nodes} nodes, queues of ${queues}s, ${barriersPerHour} barriers an hour\n` +
      `One barrier: ${requests} DynamoDB requests, ${barrier.writeUnits} write and ${barrier.readUnits} read units, ` +
      `${barrier.sqsBilled} SQS requests as billed, ${barrier.invocations} invocations, ${sum(costOf(barrier)).toFixed(6)} USD`,
  );
  const table = new CliTable({
    head: ["a month of 730 hours", "USD"],
    colAligns: ["left", "right"],
    style: { head: [], border: [] },
  });
  const section = (title: string, rows: readonly (readonly [string, number])[]) => {
    table.push([title, dollars(rows.reduce((all, [, value]) => all + value, 0))]);
    for (const [name, value] of rows) table.push([`  ${name}`, dollars(value)]);
  };
  section("idle: when no barrier comes", [
    [`sweeper, once a minute (${idle.sweep.readUnits} read units each)`, month.idle.sweeper],
    ["status queue, polled by Lambda", month.idle.statusQueue],
    [`action queues that are polled all the time: ${idle.polledQueues}`, month.idle.actionQueues],
    [`table, ${(idle.storedBytes / 1024 / 1024).toFixed(1)} MB with recovery`, month.idle.storage],
  ]);
  section("barriers", [
    ["DynamoDB", month.barriers.dynamodb],
    ["SQS", month.barriers.sqs],
    ["Lambda", month.barriers.lambda],
    ["logs and traces", month.barriers.observing],
    ["custom metrics, while something is sent", month.metrics],
  ]);
  table.push(["all", dollars(month.total)]);
  say(table.toString());
  say("Without free tiers, alarms and the dashboard, and what capture nodes run on.");
}
