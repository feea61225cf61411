/** `weir remove` as an operator meets it: what it prints, what it does, and how it exits. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { EMPTY_META } from "../barrier/roster.ts";
import { type LocalDeployment, startLocal } from "../local/deployment.ts";
import { spaceOf } from "../maintainer/base/space.ts";
import { auditPartition } from "../storage/dynamodb/remove.ts";
import { DynamoStore } from "../storage/dynamodb/store.ts";
import { outputOf } from "./testing/output.ts";

// Each starts processes, one of which synthesizes a template: on a busy machine that takes minutes.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const WEIR = fileURLToPath(new URL("../../bin/weir.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "weir-remove-"));
const [orders, redo, users] = [
  { name: "orders", mode: 0n },
  { name: "orders", mode: 1n },
  { name: "users", mode: 0n },
].map(({ name, mode }) => spaceOf({ high: 0n, low: 1n, name, keyspace: "default" }, mode));
let local: LocalDeployment;
let client: DynamoDBClient;
let store: DynamoStore;

beforeAll(async () => {
  local = await startLocal({ logFile: join(folder, "log"), sweepIntervalMs: 3_600_000 });
  const { endpoint, region, credentials, table } = local;
  client = new DynamoDBClient({ endpoint: endpoint.dynamodb, region, credentials: { ...credentials } });
  store = new DynamoStore(client, { table });
  for (const space of [orders!, redo!, users!]) {
    await store.registerSpace(space, "t");
    const roster = { version: 1, meta: EMPTY_META, pointers: [] };
    await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster });
  }
});
afterAll(async () => {
  client.destroy();
  await local.stop();
  rmSync(folder, { recursive: true });
});

/** Nobody is at its input. */
function remove(...args: string[]) {
  const { endpoint, region, credentials, table } = local;
  const env = {
    ...process.env,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  const where = ["--endpoint", endpoint.dynamodb, "--table", table];
  const child = spawn(process.execPath, [WEIR, "remove", ...args, ...where], {
    stdio: ["ignore", "pipe", "pipe"],
    env,
  });
  return outputOf(child).ended;
}
const left = async () => (await store.listSpaces()).map((space) => space.text);

it("removes nothing that is not named once, and nothing that nobody has confirmed", {
  timeout: 60_000,
}, async () => {
  const all = await left();
  const [none, several, unasked, reasonless] = await Promise.all([
    remove("nobody", "--reason", "gone", "--yes"),
    remove("orders", "--reason", "gone", "--yes"),
    remove("users", "--reason", "gone"),
    remove("users", "--yes"),
  ]);
  expect(none).toMatchObject({ code: 2, out: "" });
  expect(none.err).toContain('no changefeed is called "nobody": name one of');
  for (const text of all) expect(none.err).toContain(text);
  expect(several).toMatchObject({ code: 2, out: "" });
  expect(several.err).toContain('more than one changefeed is called "orders": name one of');
  expect(several.err).not.toContain(users!.text);
  expect(unasked).toMatchObject({ code: 2, out: "" });
  expect(unasked.err).toContain("nobody is here to ask: say --yes");
  expect(reasonless.code).toBe(2);
  expect(await left()).toEqual(all);
});

it("removes what is named, by its name or by its text, and keeps why", { timeout: 60_000 }, async () => {
  expect(await remove("users", "--reason", "the tenant left", "--yes")).toMatchObject({
    code: 0,
    err: "",
    out: expect.stringContaining(`removed ${users!.text}: `),
  });
  expect((await remove(redo!.text, "--reason", "redo is off", "--yes")).code).toBe(0);
  expect(await left()).toEqual([orders!.text]);
  const [audit] = await store.table.query(auditPartition(users!));
  expect([audit!["what"]!.S, audit!["reason"]!.S]).toEqual(["remove", "the tenant left"]);
  expect([audit!["by"]!.S, audit!["host"]!.S]).toEqual([userInfo().username, hostname()]);
  expect(audit!["accessKey"]!.S).toBe(local.credentials.accessKeyId);
  expect((await store.readRoot(users!))!.meta.removed).toBe(true);
});
