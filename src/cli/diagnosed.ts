/** What `weir status` and `weir explain` have in common: the diagnosis of a deployment. */
import type { Command } from "commander";
import { diagnose, worstFirst } from "../diagnosis/diagnose.ts";
import type { ChangefeedDiagnosis } from "../diagnosis/verdict.ts";
import { printable } from "../error/printable.ts";
import type { Port } from "../maintainer/base/port.ts";
import { run } from "../maintainer/base/program.ts";
import type { Space } from "../maintainer/base/space.ts";
import { readStored } from "../maintainer/operator/stored.ts";
import { createPort } from "../messaging/aws-port.ts";
import { connectDeployment, type DeploymentOptions } from "./deployment.ts";
import { Problem } from "./problem.ts";

export interface DiagnosisOptions extends DeploymentOptions {
  readonly json?: boolean;
  readonly changefeed?: string;
  /** Milliseconds. */
  readonly failAfter?: number;
}

/** Exit code of a command that found a barrier that has stood for longer than `--fail-after`. */
export const STUCK = 3;

/** The options of commands that only look. */
export function withDiagnosisOptions(command: Command): Command {
  return command
    .option("--json", "as JSON")
    .option(
      "--fail-after <time>",
      `exit with ${STUCK} if a barrier stands in its phase for longer, as 5m`,
      duration,
    )
    .option("--endpoint <url>", "DynamoDB endpoint (default: a running weir local, else AWS)")
    .option("--table <name>", "the deployment's table (its output TableName)")
    .option("--region <region>", "AWS region");
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time like 90s, 5m, 2h or 1d, in milliseconds. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (number === undefined || unit === undefined)
    throw new Problem(`--fail-after is "${text}": use a time like 90s, 5m, 2h or 1d`);
  return Number(number) * UNITS[unit]!;
}

/**
 * The changefeeds that a part of a name stands for: the one of exactly that text or name, or all in whose text it is.
 * @throws Problem if there is none
 */
export function matching(spaces: readonly Space[], part: string | undefined): readonly Space[] {
  if (part === undefined) return spaces;
  for (const is of [
    (space: Space) => space.text === part,
    (space: Space) => space.changefeed.name === part,
    (space: Space) => space.text.includes(part) || space.changefeed.name.includes(part),
  ]) {
    const chosen = spaces.filter(is);
    if (chosen.length > 0) return chosen;
  }
  const names = spaces.map((space) => `\n  ${space.text}`).join("");
  throw new Problem(`no changefeed has ${JSON.stringify(part)} in its name; there are:${names || " none"}`);
}

/** @throws Problem if a part of a name stands for several */
export function theOnly(spaces: readonly Space[], part: string | undefined): Space {
  const chosen = matching(spaces, part);
  if (chosen.length === 1) return chosen[0]!;
  const names = chosen.map((space) => `\n  ${space.text}`).join("");
  throw new Problem(
    part === undefined
      ? `name one changefeed; there ${chosen.length === 0 ? "is none" : "are:"}${names}`
      : `${JSON.stringify(part)} is a part of several changefeeds, name one:${names}`,
  );
}

/** What is the matter with changefeeds, the worst first. */
export async function diagnoseAll(
  port: Port,
  part: string | undefined,
): Promise<readonly ChangefeedDiagnosis[]> {
  const found: ChangefeedDiagnosis[] = [];
  for (const space of matching(await port.listSpaces(), part)) {
    const stored = await run(readStored(space), port);
    if (stored) found.push(diagnose(stored));
  }
  return found.sort(worstFirst);
}

/** Connects, does something with the port, and lets go. */
export async function withPort<T>(
  options: DeploymentOptions,
  work: (port: Port, where: string) => Promise<T>,
): Promise<T> {
  const { dynamodb, sqs, table, isLocal } = connectDeployment(options);
  const port = createPort({ dynamodb, sqs }, { table, actionQueuePrefix: "", deadLetterQueueUrl: "" });
  try {
    const region = await dynamodb.config.region();
    return await work(port, `${printable(table)} in ${isLocal ? "weir local" : region}`);
  } finally {
    dynamodb.destroy();
    sqs.destroy();
  }
}

/** Whether a barrier stands for longer than is wanted. @param now milliseconds since 1970 */
export function isStuck(
  found: readonly ChangefeedDiagnosis[],
  failAfter: number | undefined,
  now: number,
): boolean {
  if (failAfter === undefined) return false;
  return found.some(({ barriers }) => barriers.some(({ since }) => now - since >= failAfter));
}
