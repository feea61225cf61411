import Table from "cli-table3";
import type { Command } from "commander";
import { printable } from "../error/printable.ts";
import { ask, type Program, run } from "../maintainer/base/program.ts";
import type { Space } from "../maintainer/base/space.ts";
import {
  type BarrierView,
  describeClosed,
  describeOpen,
  holdUp,
  seconds,
  short,
} from "../maintainer/count/describe.ts";
import { readStored } from "../maintainer/operator/stored.ts";
import { createPort } from "../messaging/aws-port.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { wholeNumber } from "./problem.ts";
import { say, sayJson } from "./say.ts";

interface BarriersOptions extends DeploymentOptions {
  readonly json?: boolean;
  readonly limit?: number;
}

/** A changefeed as `weir barriers` lists it. */
export interface ListedChangefeed {
  readonly changefeed: string;
  readonly epoch: string;
  readonly opened: boolean;
  readonly dispatchers: number;
  readonly barriers: readonly BarrierView[];
}

/** Closed barriers that are read of each changefeed, unless `--limit` says otherwise. */
const CLOSED = 10;

/** `weir barriers`: what is open, since when, and who holds it up. */
export function registerBarriers(program: Command): void {
  program
    .command("barriers")
    .description("list open and recent barriers, and who is missing")
    .option("--json", "as JSON")
    .option("--endpoint <url>", "DynamoDB endpoint (default: a running weir local, else AWS)")
    .option("--table <name>", "the deployment's table (its output TableName)")
    .option("--region <region>", "AWS region")
    .option(
      "--limit <n>",
      `show a table of so many closed barriers of each changefeed (default: one line; with --json ${CLOSED})`,
      wholeNumber("--limit", 0, 1000),
    )
    .action(listBarriers);
}

async function listBarriers(options: BarriersOptions): Promise<void> {
  const { dynamodb, sqs, table } = connectDeployment(options);
  const port = createPort({ dynamodb, sqs }, { table, actionQueuePrefix: "", deadLetterQueueUrl: "" });
  try {
    const now = Date.now();
    const listed: ListedChangefeed[] = [];
    for (const space of await port.listSpaces()) {
      const one = await run(listChangefeed(space, options.limit ?? CLOSED, now), port);
      if (one) listed.push(one);
    }
    if (options.json) sayJson(listed.sort(sickFirst));
    else for (const line of barrierLines(listed, options.limit)) say(line);
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}

/** @param limit closed barriers @param now milliseconds since 1970 */
export function* listChangefeed(
  space: Space,
  limit: number,
  now: number,
): Program<ListedChangefeed | undefined> {
  const stored = yield* readStored(space);
  if (stored === undefined) return undefined;
  const { root, roster, pending } = stored;
  const open = stored.barriers.map((one) => describeOpen(one, roster, pending, now));
  const recent = yield* ask("readHistory", space, root.epoch, limit + open.length);
  const closed = recent
    .filter(({ key, item }) => item.tombstone && !root.steps.has(key))
    .map(({ key, item }) => describeClosed(key, item));
  return {
    changefeed: space.text,
    epoch: root.epoch.toString(),
    opened: roster.opened,
    dispatchers: roster.dispatchers.reduce((sum, chunk) => sum + chunk.lives.length, 0),
    barriers: [...open, ...closed.slice(0, limit)],
  };
}

const openOf = ({ barriers }: ListedChangefeed) => barriers.filter((barrier) => barrier.phase !== "closed");
/** How long the barrier that stands for longest has stood, in ms; -1: none is open. */
const worst = (one: ListedChangefeed) => Math.max(-1, ...openOf(one).map((barrier) => barrier.phaseMs));

function sickFirst(a: ListedChangefeed, b: ListedChangefeed): number {
  return worst(b) - worst(a) || Number(a.opened) - Number(b.opened);
}

/** @param limit closed barriers to show in a table; undefined: one line is said of them */
export function barrierLines(changefeeds: readonly ListedChangefeed[], limit: number | undefined): string[] {
  if (changefeeds.length === 0) return ["No changefeed has registered yet."];
  return [...changefeeds].sort(sickFirst).flatMap((one) => {
    const { changefeed, epoch, opened, dispatchers, barriers } = one;
    const open = openOf(one);
    const closed = barriers.filter((barrier) => barrier.phase === "closed");
    const title = `${printable(changefeed)}  epoch ${epoch}, ${dispatchers} dispatchers${opened ? "" : ", not opened yet"}`;
    const last = closed[0];
    const before = last === undefined ? "" : `; the last one closed was ${titleOf(last)}`;
    return [
      title,
      ...open.map((barrier) => `  ${holdUp(barrier)}`),
      ...(open.length === 0 ? [`  no barrier is open${before}`] : []),
      ...(limit !== undefined && closed.length > 0 ? [tableOf(closed)] : []),
    ];
  });
}

const titleOf = ({ commitTs, isSyncPoint, ageMs }: BarrierView) =>
  `${isSyncPoint ? "syncpoint" : "DDL"} ${commitTs}, after ${seconds(ageMs)}`;

function tableOf(closed: readonly BarrierView[]): string {
  const table = new Table({
    head: ["commitTs", "influence", "writer", "dispatchers", "open for"],
    style: { head: [], border: [] },
  });
  for (const barrier of closed)
    table.push([
      barrier.commitTs + (barrier.isSyncPoint ? " syncpoint" : ""),
      barrier.influence,
      short(barrier.writer),
      barrier.expected,
      seconds(barrier.ageMs),
    ]);
  return table.toString();
}
