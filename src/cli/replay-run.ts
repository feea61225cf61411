import { mkdirSync, readdirSync } from "node:fs";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { BadChangeLog } from "../changelog/problem.ts";
import { readChangeLog } from "../changelog/read.ts";
import type { Reference, ReferenceVerdict } from "../consumer/reference.ts";
import type { Verdict } from "../consumer/verdict.ts";
import { verify } from "../consumer/verify.ts";
import { SqsQueues } from "../dispatcher/sqs-queues.ts";
import { isS3, openStorage } from "../dispatcher/storage/open.ts";
import type { S3Options } from "../dispatcher/storage/s3-files.ts";
import type { LocalCounts, LocalDeployment } from "../local/deployment.ts";
import { planReplay } from "../replay/plan.ts";
import { Replay } from "../replay/run.ts";
import { Timings } from "../replay/timings.ts";
import { clientConfig, connections } from "./deployment.ts";
import { LOCAL_PACKAGES, needing } from "./needing.ts";
import { Problem } from "./problem.ts";
import type { ReplayCommandOptions } from "./replay.ts";
import { LiveView, showResult } from "./replay-view.ts";
import { sayJson, warn } from "./say.ts";

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
  /** With --reference: what the server holds against what the folder says. */
  readonly reference?: ReferenceVerdict;
}

/** So many warnings are shown: a log may have the same thing in every line. */
const MAX_WARNINGS = 20;

/** Replays a log and says what came of it; exit code 1 if the consumer found a difference. */
export async function runReplay(file: string, options: ReplayCommandOptions): Promise<void> {
  const startLocal = options.endpoint === undefined ? await localDeployments() : undefined;
  const { plan, warnings } = await planLog(file, options);
  const reference = options.reference === undefined ? undefined : await openReference(options.reference);
  const s3 = s3Options(options);
  const out = await prepareOut(options.out, s3);
  for (const one of warnings.slice(0, MAX_WARNINGS)) warn(`weir: ${one}`);
  if (warnings.length > MAX_WARNINGS) warn(`weir: and ${warnings.length - MAX_WARNINGS} more like these`);
  const timings = new Timings(plan, () => performance.now());
  const local = startLocal && (await startDeployment(startLocal, options));
  const config = local
    ? { endpoint: local.endpoint.sqs, region: local.region, credentials: local.credentials }
    : clientConfig(options);
  const client = new SQSClient({ ...config, requestHandler: connections() });
  const queues = new SqsQueues(config);
  try {
    const started = performance.now();
    const replay = new Replay(plan, timings, {
      nodes: options.nodes,
      spans: options.spans,
      layout: options.queues,
      out,
      storage: {
        s3,
        dateSeparator: options.dateSeparator,
        fileIndexWidth: options.fileIndexWidth,
      },
      name: `replay-${Date.now().toString(36)}`,
      statusQueueUrl: local?.statusQueueUrl ?? (await findStatusQueue(client, options)),
      actionQueuePrefix: local?.actionQueuePrefix ?? `${options.prefix}-action-`,
      queues,
      ...(local && { coordinators: local.coordinators }),
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
    const verdict = await verify(file, out, { commitTsFrom: options.commitTsFrom, s3 });
    const compared = await reference?.compare(file, out, { commitTsFrom: options.commitTsFrom, s3 });
    const result: ReplayResult = {
      file,
      out,
      rows: plan.rows,
      seconds,
      barriers: timings.barriers(),
      counts: local?.counts(),
      verdict,
      ...(compared && { reference: compared }),
    };
    if (options.json) sayJson(result);
    else showResult(result);
    if (!verdict.ok || compared?.ok === false) process.exitCode = 1;
  } finally {
    client.destroy();
    queues.destroy();
    await local?.stop();
  }
}

async function planLog(file: string, { commitTsFrom, syncpointEvery }: ReplayCommandOptions) {
  try {
    const changes = await readChangeLog(file, { commitTsFrom });
    const warnings = changes.flatMap((one) =>
      one.kind === "ddl" ? one.warnings.map((what) => `${one.at.file}:${one.at.line}: ${what}`) : [],
    );
    return { plan: planReplay(changes, syncpointEvery), warnings };
  } catch (error) {
    if (error instanceof BadChangeLog) throw new Problem(`${error.message}\nweir: nothing was replayed.`);
    throw error;
  }
}

async function openReference(url: string): Promise<Reference> {
  const { Reference } = await needing(
    "weir replay --reference",
    ["mysql2"],
    () => import("../consumer/reference.ts"),
  );
  try {
    return await Reference.open(url);
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    throw new Problem(
      `--reference: ${message || code}: name a server that answers, as mysql://user:password@host:3306`,
    );
  }
}

/** A folder that holds nothing yet: files of another run would be taken for this one's. */
async function prepareOut(chosen: string | undefined, s3: S3Options): Promise<string> {
  if (chosen !== undefined && isS3(chosen)) return prepareS3(chosen, s3);
  const out =
    (chosen !== undefined && openFolder(chosen)) ||
    `out/${new Date().toISOString().replaceAll(/[:.]/g, "-")}`;
  try {
    mkdirSync(out, { recursive: true });
  } catch (error) {
    throw new Problem(
      `--out ${out} cannot be made: ${(error as Error).message}: name a folder that can be written`,
    );
  }
  if (readdirSync(out).length > 0)
    throw new Problem(`--out ${out} is not empty: name a new folder, or empty it`);
  return out;
}

function openFolder(chosen: string): string {
  try {
    return openStorage(chosen).root;
  } catch (error) {
    throw new Problem(`--out ${(error as Error).message}`);
  }
}

function s3Options({ s3Endpoint, s3PathStyle, region }: ReplayCommandOptions): S3Options {
  if (s3Endpoint !== undefined && !URL.canParse(s3Endpoint))
    throw new Problem(`--s3-endpoint is "${s3Endpoint}": use a URL like http://127.0.0.1:9000`);
  return {
    ...clientConfig({
      ...(s3Endpoint !== undefined && { endpoint: s3Endpoint }),
      ...(region !== undefined && { region }),
    }),
    ...(s3PathStyle && { forcePathStyle: true }),
  };
}

async function prepareS3(out: string, s3: S3Options): Promise<string> {
  await needing("weir replay --out s3://", ["@aws-sdk/client-s3"], () => import("@aws-sdk/client-s3"));
  let there: string[];
  try {
    const { files, root } = openStorage(out, s3);
    there = await files.list(root);
  } catch (error) {
    throw new Problem(
      `--out ${out}: ${(error as Error).message}: name a bucket that is there and may be written, and --s3-endpoint if it is not AWS's`,
    );
  }
  if (there.length > 0) throw new Problem(`--out ${out} is not empty: name a new prefix, or empty it`);
  return out;
}

type StartLocal = typeof import("../local/deployment.ts").startLocal;

/** What starts a deployment here. Whether it is installed is known before anything is read. */
async function localDeployments(): Promise<StartLocal> {
  const { startLocal } = await needing(
    "weir replay without --endpoint",
    LOCAL_PACKAGES,
    () => import("../local/deployment.ts"),
  );
  return startLocal;
}

async function startDeployment(
  startLocal: StartLocal,
  options: ReplayCommandOptions,
): Promise<LocalDeployment> {
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
