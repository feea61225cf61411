import { mkdirSync, readdirSync } from "node:fs";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { BadChangeLog } from "../changelog/problem.ts";
import { readChangeLog } from "../changelog/read.ts";
import type { Change } from "../changelog/types.ts";
import type { Verdict } from "../consumer/verdict.ts";
import { verify } from "../consumer/verify.ts";
import { SqsQueues } from "../dispatcher/sqsqueues.ts";
import type { LocalCounts, LocalDeployment } from "../local/deployment.ts";
import { planReplay } from "../replay/plan.ts";
import { Replay } from "../replay/run.ts";
import { Timings } from "../replay/timings.ts";
import { clientConfig } from "./deployment.ts";
import { LOCAL_PACKAGES, needing } from "./needing.ts";
import { Problem } from "./problem.ts";
import type { ReplayCommandOptions } from "./replay.ts";
import { LiveView, showResult } from "./replayview.ts";

/** Everything that a replay found out. */
export interface ReplayResult {
  readonly file: string;
  readonly out: string;
  readonly rows: number;
  readonly seconds: number;
  readonly barriers: ReturnType<Timings["barriers"]>;
  /** Absent with --endpoint: an endpoint elsewhere does not count for us. */
  readonly counts: LocalCounts | undefined;
  readonly verdict: Verdict;
}

/** Replays a log and says what came of it; exit code 1 if the consumer found a difference. */
export async function runReplay(file: string, options: ReplayCommandOptions): Promise<void> {
  const changes = await readLog(file);
  const out = prepareOut(options.out);
  const plan = planReplay(changes, options.syncpointEvery);
  const timings = new Timings(plan, () => performance.now());
  const local = options.endpoint === undefined ? await startDeployment(options) : undefined;
  const config = local
    ? { endpoint: local.endpoint.sqs, region: local.region, credentials: local.credentials }
    : clientConfig(options);
  const client = new SQSClient(config);
  const queues = new SqsQueues(config);
  try {
    const started = performance.now();
    const replay = new Replay(plan, timings, {
      nodes: options.nodes,
      spans: options.spans,
      layout: options.queues,
      out,
      name: `replay-${Date.now().toString(36)}`,
      statusQueueUrl: local?.statusQueueUrl ?? (await findStatusQueue(client, options)),
      actionQueuePrefix: local?.actionQueuePrefix ?? `${options.prefix}-action-`,
      queues,
      onError: (error) => view.note(error),
    });
    const view = new LiveView(timings, plan, replay);
    view.start();
    try {
      await replay.run();
    } finally {
      view.stop();
    }
    const seconds = (performance.now() - started) / 1000;
    const verdict = await verify(file, out);
    const result: ReplayResult = {
      file,
      out,
      rows: plan.rows,
      seconds,
      barriers: timings.barriers(),
      counts: local?.counts(),
      verdict,
    };
    if (options.json) console.log(JSON.stringify(result, undefined, 2));
    else showResult(result);
    if (!verdict.ok) process.exitCode = 1;
  } finally {
    client.destroy();
    queues.destroy();
    await local?.stop();
  }
}

async function readLog(file: string): Promise<Change[]> {
  try {
    return await readChangeLog(file);
  } catch (error) {
    if (error instanceof BadChangeLog) throw new Problem(`${error.message}\nweir: nothing was replayed.`);
    throw error;
  }
}

/** A folder that holds nothing yet: files of another run would be taken for this one's. */
function prepareOut(chosen: string | undefined): string {
  const out = chosen ?? `out/${new Date().toISOString().replaceAll(/[:.]/g, "-")}`;
  mkdirSync(out, { recursive: true });
  if (readdirSync(out).length > 0)
    throw new Problem(`--out ${out} is not empty: name a new folder, or empty it`);
  return out;
}

async function startDeployment(options: ReplayCommandOptions): Promise<LocalDeployment> {
  const { startLocal } = await needing(
    "weir replay without --endpoint",
    LOCAL_PACKAGES,
    () => import("../local/deployment.ts"),
  );
  const { chaosKill, chaosDuplicate, seed, prefix, logFile } = options;
  const disturbed = chaosKill > 0 || chaosDuplicate > 0;
  return startLocal({
    prefix,
    ...(logFile !== undefined && { logFile }),
    ...(disturbed && {
      chaos: { seed, killProbability: chaosKill, duplicateProbability: chaosDuplicate },
      // What a killed process held comes back after this; the deployed value would make the run last hours.
      visibilityTimeoutSeconds: 3,
      sweepIntervalMs: 5_000,
    }),
  });
}

/** What the name of a deployment's status queue starts with (cdk/storage.ts). */
export const statusQueuePrefix = (prefix: string) => `${prefix.slice(0, 24)}-status-`;

async function findStatusQueue(client: SQSClient, options: ReplayCommandOptions): Promise<string> {
  if (options.statusQueueUrl !== undefined) return options.statusQueueUrl;
  const QueueNamePrefix = statusQueuePrefix(options.prefix);
  const { QueueUrls = [] } = await client.send(new ListQueuesCommand({ QueueNamePrefix, MaxResults: 1000 }));
  const [found, ...others] = QueueUrls;
  if (found === undefined)
    throw new Problem(
      `no queue at ${options.endpoint} is named ${QueueNamePrefix}*: name the deployment's --prefix, or its output StatusQueueUrl with --status-queue-url`,
    );
  if (others.length > 0)
    throw new Problem(
      `${QueueUrls.length} queues at ${options.endpoint} could be the status queue: name one with --status-queue-url`,
    );
  return found;
}
