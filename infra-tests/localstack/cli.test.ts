/** The commands against a deployment: they find it by its outputs, and say what is there. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ReplayResult } from "../../src/cli/replay-run.ts";
import { readFolder } from "../../src/consumer/folder.ts";
import type { BarrierView } from "../../src/maintainer/count/describe.ts";
import { keyText } from "../../src/protocol/event-key.ts";
import { Account } from "./account.ts";
import { Deployed } from "./deployed.ts";
import { progress } from "./progress.ts";
import { clientConfig, ENVIRONMENT, output, readTarget } from "./target.ts";
import { until } from "./until.ts";
import { event, World } from "./world.ts";

const WEIR = fileURLToPath(new URL("../../bin/weir.mjs", import.meta.url));
const EXAMPLE = fileURLToPath(new URL("../../examples/shop.ndjson", import.meta.url));
const REPLAY_MS = 300_000;

const target = readTarget();
const deployed = new Deployed(target);
const folder = mkdtempSync(join(tmpdir(), "weir-localstack-"));
const bucket = `${target.prefix}-replay`;
beforeAll(async () => {
  const client = new S3Client({ ...clientConfig(target.endpoint), forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
});
afterAll(async () => {
  deployed.close();
  rmSync(folder, { recursive: true });
  const account = new Account(target.endpoint);
  await account.deleteBuckets(bucket);
  account.close();
});

/** Runs a command as a person does who has credentials in the environment, and only them. */
async function weir(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const env = { ...process.env, ...ENVIRONMENT };
  const child = spawn(process.execPath, [WEIR, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data;
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, out, err };
}

const at = ["--endpoint", target.endpoint, "--table", deployed.table];
interface Listed {
  readonly changefeed: string;
  readonly dispatchers: number;
  readonly barriers: readonly BarrierView[];
}

it("weir barriers says who holds a barrier up, and weir evict takes a lost node out", async () => {
  progress("weir barriers and weir evict on a barrier that one node holds up");
  const name = "cli";
  const tables = [{ tableId: 240n, name: "t240" }];
  await using world = await World.start(target, {
    name,
    nodes: 2,
    schemas: [{ schemaId: 1n, name: "s", tables }],
  });
  const [there, lost] = await world.table(240n, 1n, 2);
  const syncpoint = event(700n, "all", { isSyncPoint: true });
  const met = Promise.all([world.trigger, there!].map((one) => one.handle(syncpoint)));
  const barrier = async (): Promise<BarrierView> => {
    const { code, out, err } = await weir("barriers", ...at, "--json");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const listed = (JSON.parse(out) as Listed[]).find((one) => one.changefeed.includes(`/${name}/`))!;
    return listed.barriers.find((one) => one.key === keyText(syncpoint.key))!;
  };
  const seen = await until("weir barriers to show two reports", async () => {
    if ((await deployed.phaseOf(world, syncpoint)) === undefined) return undefined;
    const view = await barrier();
    return view.reported === 2 ? view : undefined;
  });
  const lostNode = world.nodes.find((node) => node.dispatcher(lost!.config.id))!.id;
  expect(seen).toMatchObject({
    phase: "waiting",
    influence: "All",
    expected: 3,
    missing: [{ dispatcher: lost!.config.id, node: lostNode, tableId: "240", unreachable: false }],
  });
  const text = await weir("barriers", ...at);
  expect(text.out).toContain(`held up by …${lost!.config.id.slice(-8)} on ${lostNode} (table 240)`);

  const changefeed = `default/${name}/${"7".padStart(16, "0")}${"9".padStart(16, "0")}/0`;
  const evict = ["evict", ...at, "--prefix", target.prefix, "--changefeed", changefeed];
  const evicted = await weir(...evict, "--dispatcher", lost!.config.id);
  expect(evicted).toEqual({
    code: 0,
    out: `evicted ${lost!.config.id} of table 240 on ${lostNode}\n`,
    err: "",
  });
  // Its span is nobody's now. A new dispatcher takes it.
  const { start, end } = lost!.config;
  const heir = await world.create(world.nodes[0]!, 240n, 1n, { start: start!, end: end! });
  await Promise.all([met, world.meet(syncpoint, [heir])]);
  await deployed.closed(world, syncpoint);
  expect(await barrier()).toMatchObject({ phase: "closed", reported: 3 });
});

it.each([
  ["node", "a folder", join(folder, "node")],
  ["dispatcher", "S3", `s3://${bucket}/runs/1`],
])(
  "weir replay finds every table as the log has it, with %s queues, in %s",
  async (layout, _, out) => {
    progress(`weir replay of the example with ${layout} queues`);
    const {
      code,
      out: json,
      err,
    } = await weir(
      ...["replay", EXAMPLE, "--endpoint", target.endpoint, "--prefix", target.prefix],
      ...["--nodes", "2", "--spans", "2", "--queues", layout, "--out", out, "--json"],
      ...(out.startsWith("s3:") ? ["--s3-endpoint", target.endpoint] : []),
    );
    expect(code, err).toBe(0);
    const { rows, barriers, verdict } = JSON.parse(json) as ReplayResult;
    expect(verdict).toMatchObject({ ok: true, differences: [], rows });
    progress(`  ${rows} rows and ${barriers.length} barriers: ${verdict.tables} tables as the log has them`);
    expect(barriers.length).toBeGreaterThan(20);
    expect((await readFolder(out, clientConfig(target.endpoint))).rows).toHaveLength(rows);
    // The nodes of a replay do not come back: their queues are gone.
    const account = new Account(target.endpoint);
    const left = await account.find(`${output(target, "ActionQueuePrefix")}replay-`);
    account.close();
    expect(left).toEqual([]);
  },
  REPLAY_MS,
);
