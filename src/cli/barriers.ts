import Table from "cli-table3";
import type { Command } from "commander";
import { Roster } from "../barrier/roster.ts";
import {
  type BarrierView,
  describeClosed,
  describeOpen,
  holdUp,
  seconds,
  short,
} from "../maintainer/count/describe.ts";
import { pendingChanges } from "../maintainer/session/session.ts";
import { DynamoStore } from "../storage/dynamodb/store.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { Problem, wholeNumber } from "./problem.ts";

interface BarriersOptions extends DeploymentOptions {
  readonly json?: boolean;
  readonly limit: number;
}

interface ListedChangefeed {
  readonly changefeed: string;
  readonly epoch: string;
  readonly opened: boolean;
  readonly dispatchers: number;
  readonly barriers: BarrierView[];
}

/** `weir barriers`: what is open, since when, and who holds it up. */
export function registerBarriers(program: Command): void {
  program
    .command("barriers")
    .description("list open and recent barriers, and who is missing")
    .option("--json", "as JSON")
    .option("--endpoint <url>", "DynamoDB endpoint (default: a running weir local, else AWS)")
    .option("--table <name>", "the deployment's table (its output TableName)")
    .option("--region <region>", "AWS region")
    .option("--limit <n>", "closed barriers shown of each changefeed", wholeNumber("--limit", 0, 1000), 10)
    .action(listBarriers);
}

async function listBarriers(options: BarriersOptions): Promise<void> {
  const { dynamodb, sqs, table } = connectDeployment(options);
  const store = new DynamoStore(dynamodb, { table });
  try {
    const changefeeds = await read(store, options.limit);
    if (options.json) console.log(JSON.stringify(changefeeds, undefined, 2));
    else show(changefeeds);
  } catch (error) {
    if (error instanceof Error && error.name === "ResourceNotFoundException")
      throw new Problem(`there is no table "${table}": name the stack's output TableName with --table`);
    throw error;
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}

async function read(store: DynamoStore, limit: number): Promise<ListedChangefeed[]> {
  const now = Date.now();
  const listed: ListedChangefeed[] = [];
  for (const space of await store.listSpaces()) {
    const root = await store.readRoot(space);
    if (root === undefined) continue;
    const chunks = (await store.readChunks(space, root.pointers)).filter((chunk) => chunk !== undefined);
    const roster = new Roster(root.rosterVersion, root.meta, chunks);
    const barriers: BarrierView[] = [];
    for (const [key, step] of [...root.steps].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const name = { space, epoch: root.epoch, key };
      const item = await store.readBarrier(name);
      if (item === undefined) continue;
      const tallies = await store.readTallies(name, step.phase === "passing" ? "passed" : "waiting");
      barriers.push(describeOpen(key, step, item, tallies, roster, pendingChanges(root), now));
    }
    const recent = await store.readHistory(space, root.epoch, limit + barriers.length);
    for (const { key, item } of recent)
      if (item.tombstone && !root.steps.has(key)) barriers.push(describeClosed(key, item));
    listed.push({
      changefeed: space.text,
      epoch: root.epoch.toString(),
      opened: roster.opened,
      dispatchers: roster.dispatchers.reduce((sum, chunk) => sum + chunk.lives.length, 0),
      barriers: barriers.slice(0, root.steps.size + limit),
    });
  }
  return listed;
}

function show(changefeeds: readonly ListedChangefeed[]): void {
  if (changefeeds.length === 0) console.log("No changefeed has registered yet.");
  for (const { changefeed, epoch, opened, dispatchers, barriers } of changefeeds) {
    console.log(
      `${changefeed}  epoch ${epoch}, ${dispatchers} dispatchers${opened ? "" : ", not opened yet"}`,
    );
    const open = barriers.filter((barrier) => barrier.phase !== "closed");
    for (const barrier of open) console.log(`  ${holdUp(barrier)}`);
    if (open.length === 0) console.log("  no barrier is open");
    if (barriers.length === 0) continue;
    const table = new Table({
      head: ["commitTs", "phase", "influence", "writer", "reported", "age"],
      style: { head: [], border: [] },
    });
    for (const barrier of barriers)
      table.push([
        barrier.commitTs + (barrier.isSyncPoint ? " syncpoint" : ""),
        barrier.phase,
        barrier.influence,
        short(barrier.writer),
        `${barrier.reported}/${barrier.expected}`,
        seconds(barrier.ageMs),
      ]);
    console.log(table.toString());
  }
}
