import { type Command, Option } from "commander";
import type { CommitTsFrom } from "../changelog/message.ts";
import { DATE_SEPARATORS, type DateSeparator, INDEX_WIDTHS } from "../dispatcher/storage/layout.ts";
import { Problem, wholeNumber } from "./problem.ts";

export interface ReplayCommandOptions {
  readonly nodes: number;
  readonly spans: number;
  readonly syncpointEvery: bigint;
  readonly out?: string;
  readonly queues: "node" | "dispatcher";
  readonly json?: boolean;
  readonly endpoint?: string;
  readonly statusQueueUrl?: string;
  readonly prefix: string;
  readonly region?: string;
  readonly chaosKill: number;
  readonly chaosDuplicate: number;
  readonly seed: number;
  readonly logFile?: string;
  readonly commitTsFrom: CommitTsFrom;
  readonly reference?: string;
  readonly dateSeparator: DateSeparator;
  readonly fileIndexWidth: number;
  readonly s3Endpoint?: string;
  readonly s3PathStyle?: boolean;
}

/** The default distance of syncpoints: two seconds of commitTs, of which the first 46 bits are milliseconds. */
const TWO_SECONDS = 2_000n << 18n;

export function registerReplay(program: Command): void {
  program
    .command("replay")
    .description(
      "replay a change log through capture nodes, the coordinator and files, and verify the result",
    )
    .argument("<file>", "newline-delimited Canal-JSON, docs/change-logs.md")
    .option("--nodes <n>", "capture nodes", wholeNumber("--nodes", 1, 50), 3)
    .option("--spans <k>", "spans that each table is split into", wholeNumber("--spans", 1, 64), 4)
    // Help writes defaults as JSON, which has no numbers of that size: this one is given in words.
    .addOption(
      new Option("--syncpoint-every <d>", "commitTs distance between syncpoints, 0: none")
        .argParser(distance)
        .default(TWO_SECONDS, `${TWO_SECONDS}, two seconds`),
    )
    .addOption(
      new Option("--commit-ts-from <source>", "commitTs from TiDB's extension, or for a log of Canal from es")
        .choices(["tidb", "es"])
        .default("tidb"),
    )
    .option(
      "--reference <url>",
      "mysql://user:password@host:port of an empty server: the log runs there too, and must come to the same",
    )
    .option(
      "--out <place>",
      "a folder, or s3://bucket/prefix, where the files go (default: a new folder under out/)",
    )
    .addOption(
      new Option("--date-separator <unit>", "rows are in folders of their commit's")
        .choices(DATE_SEPARATORS)
        .default("day"),
    )
    .option(
      "--file-index-width <n>",
      "digits in the names of data files",
      wholeNumber("--file-index-width", INDEX_WIDTHS.min, INDEX_WIDTHS.max),
      INDEX_WIDTHS.max,
    )
    .option("--s3-endpoint <url>", "with --out s3://: a store other than AWS's")
    .option("--s3-path-style", "with --out s3://: the bucket in the path (default: with --s3-endpoint)")
    .option("--queues <layout>", "one queue for each node, or one for each dispatcher", layout, "node")
    .option("--json", "the result as one JSON document on standard output")
    .option("--endpoint <url>", "an AWS endpoint in place of the embedded one")
    .option("--status-queue-url <url>", "with --endpoint: the stack's output (default: looked for)")
    .option("--prefix <prefix>", "the deployment's prefix", "weir")
    .option("--region <region>", "AWS region, with --endpoint")
    .option(
      "--chaos-kill <p>",
      "share of invocations during which the function's process is killed",
      share,
      0,
    )
    .option("--chaos-duplicate <p>", "share of messages that come twice and out of order", share, 0)
    .option("--seed <n>", "seed of the chaos", wholeNumber("--seed", 0, 2 ** 31), 1)
    .option("--log-file <file>", "append the functions' logs to it")
    .action(async (file: string, options: ReplayCommandOptions) => {
      const { runReplay } = await import("./replay-run.ts");
      await runReplay(file, options);
    });
}

function distance(text: string): bigint {
  if (!/^\d+$/.test(text))
    throw new Problem(`--syncpoint-every is "${text}": use a commitTs distance, or 0 for none`);
  return BigInt(text);
}

function layout(text: string): string {
  if (text !== "node" && text !== "dispatcher")
    throw new Problem(`--queues is "${text}": use node or dispatcher`);
  return text;
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value < 1))
    throw new Problem(`"${text}" is no share: use a number from 0 to 0.99`);
  return value;
}
