/** The command as a person or a script meets it: what it prints, and how it exits. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { outputOf } from "./testing/output.ts";

const WEIR = fileURLToPath(new URL("../../bin/weir.mjs", import.meta.url));
const EXAMPLE = fileURLToPath(new URL("../../examples/shop.ndjson", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "weir-cli-"));

function weir(...args: string[]) {
  // A temporary folder of its own: deployments that run on this machine are found there.
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, [WEIR, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  return { child, ...outputOf(child) };
}

/** The first line that a command prints. @throws what it said instead, if it ends without one */
async function firstLine({ out, ended }: ReturnType<typeof weir>): Promise<string> {
  let failed: unknown;
  ended.then((result) => {
    failed = result;
  });
  while (!out().includes("\n")) {
    if (failed !== undefined) throw new Error(`it ended: ${JSON.stringify(failed)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return out().split("\n")[0]!;
}

it("runs a local deployment that others find, until it is asked to stop", async () => {
  const local = weir("local", "--json");
  const ready = JSON.parse(await firstLine(local));
  expect(Object.keys(ready)).toEqual([
    "ready",
    "endpoint",
    "region",
    "credentials",
    "table",
    "statusQueueUrl",
    "deadLetterQueueUrl",
    "actionQueuePrefix",
    "coordinators",
  ]);
  expect(ready).toMatchObject({ ready: true, region: "us-east-1", actionQueuePrefix: "weir-action-" });
  expect(Object.keys(ready.credentials)).toEqual(["accessKeyId", "secretAccessKey"]);
  const barriers = await weir("barriers").ended;
  expect(barriers).toMatchObject({
    code: 0,
    out: expect.stringContaining("No changefeed has registered yet."),
  });
  local.child.kill("SIGTERM");
  expect((await local.ended).code).toBe(0);
}, 240_000);

it("refuses bad input with exit code 2 and says what to do", async () => {
  const log = join(folder, "bad.ndjson");
  const lines = readFileSync(EXAMPLE, "utf8").split("\n").slice(0, 20);
  writeFileSync(log, [...lines, "{nonsense"].join("\n"));
  const [bad, missing, option, filled, command] = await Promise.all([
    weir("replay", log).ended,
    weir("replay", join(folder, "nowhere.ndjson")).ended,
    weir("replay", EXAMPLE, "--nodes", "many").ended,
    weir("replay", EXAMPLE, "--out", folder).ended,
    weir("frobnicate").ended,
  ]);
  expect(bad).toMatchObject({ code: 2, err: expect.stringContaining("bad.ndjson:21: no JSON") });
  expect(bad.err).toContain("nothing was replayed");
  expect(missing).toMatchObject({ code: 2, err: expect.stringContaining("there is no such file") });
  expect(option).toMatchObject({
    code: 2,
    err: expect.stringContaining('--nodes is "many": use a whole number from 1 to 50'),
  });
  expect(filled).toMatchObject({ code: 2, err: expect.stringContaining("is not empty") });
  expect(command.code).toBe(2);
}, 240_000);

it("shows help, and refuses a directory, a folder that cannot be made, and a port in use, without a stack", async () => {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const [help, directory, out, source, used] = await Promise.all([
    weir("replay", "--help").ended,
    weir("replay", folder).ended,
    weir("replay", EXAMPLE, "--out", `${EXAMPLE}/x`).ended,
    weir("replay", EXAMPLE, "--commit-ts-from", "nowhere").ended,
    weir("local", "--sqs-port", `${port}`).ended,
  ]);
  server.close();
  expect(help).toMatchObject({ code: 0, out: expect.stringContaining("two seconds") });
  expect(directory).toMatchObject({ code: 2, err: expect.stringContaining("this is a directory") });
  expect(out).toMatchObject({ code: 2, err: expect.stringContaining("cannot be made") });
  expect(source).toMatchObject({ code: 2, err: expect.stringContaining("tidb, es") });
  expect(used).toMatchObject({
    code: 2,
    err: expect.stringContaining(`--sqs-port ${port} is used by somebody else`),
  });
  for (const one of [help, directory, out, source, used]) expect(one.err).not.toMatch(/^\s+at /m);
}, 240_000);

it("replays the example with killed functions and messages that come twice, and the consumer finds nothing", async () => {
  const options = [
    "--queues",
    "dispatcher",
    "--nodes",
    "2",
    "--spans",
    "3",
    "--chaos-kill",
    "0.1",
    "--chaos-duplicate",
    "0.1",
  ];
  const replay = await weir("replay", EXAMPLE, "--out", join(folder, "chaos"), "--json", ...options).ended;
  expect(replay.err + replay.out.slice(0, 500), "the replay's output").toContain('"file"');
  const result = JSON.parse(replay.out);
  expect(result.verdict).toMatchObject({ ok: true, differences: [], rows: result.rows });
  expect(result.barriers.length).toBeGreaterThan(20);
  expect(result.counts.kills).toBeGreaterThan(0);
  expect(result.counts.duplicates).toBeGreaterThan(0);
  expect(replay.code).toBe(0);
}, 240_000);
