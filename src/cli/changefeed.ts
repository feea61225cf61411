/** What commands that change a changefeed have in common: which one, and who did it. */
import { randomUUID } from "node:crypto";
import { type Program, run } from "../maintainer/base/program.ts";
import type { Space } from "../maintainer/base/space.ts";
import { type Invocation, newMemory } from "../maintainer/batch.ts";
import { DEFAULT_SETTINGS, type Settings } from "../maintainer/session/session.ts";
import { createPort } from "../messaging/aws-port.ts";
import type { Table } from "../storage/dynamodb/table.ts";
import { S } from "../storage/dynamodb/values.ts";
import { callerOf } from "./caller.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { theOnly } from "./diagnosed.ts";

export interface ChangeOptions extends DeploymentOptions {
  readonly changefeed?: string;
  readonly prefix: string;
}

/**
 * Changes the one changefeed that the options name, and notes who did what.
 * @param settings what differs from a deployment's defaults
 * @param entry what is noted of the result; it throws a Problem if nothing was changed
 */
export async function changeOne<T>(
  options: ChangeOptions,
  settings: Pick<Settings, "schedulerQueue">,
  change: (space: Space, invocation: Invocation) => Program<T>,
  entry: (result: T, space: Space) => Readonly<Record<string, string>>,
): Promise<T> {
  const deployment = connectDeployment(options, "change");
  const { dynamodb, sqs, table, actionQueuePrefix = `${options.prefix}-action-` } = deployment;
  const port = createPort({ dynamodb, sqs }, { table, actionQueuePrefix, deadLetterQueueUrl: "" });
  try {
    const space = theOnly(await port.listSpaces(), options.changefeed);
    const now = Date.now();
    const caller = await callerOf(deployment);
    const all = { ...DEFAULT_SETTINGS, ...settings, actionQueuePrefix };
    const invocation = { now, nonce: randomUUID(), settings: all, memory: newMemory() };
    const result = await run(change(space, invocation), port);
    await audit(port.store.table, space, now, { ...caller, ...entry(result, space) });
    return result;
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}

/** Who did what to a changefeed, and when, stays with it. */
async function audit(
  table: Pick<Table, "put">,
  space: Space,
  now: number,
  what: Readonly<Record<string, string>>,
): Promise<void> {
  const values = Object.entries(what).map(([name, value]) => [name, S(value)]);
  await table.put(
    { pk: `${space.text}#AUDIT`, sk: `${new Date(now).toISOString()} ${randomUUID()}` },
    Object.fromEntries(values),
  );
}
