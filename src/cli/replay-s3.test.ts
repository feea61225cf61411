/** `weir replay --out s3://`: written to S3 and read back from there. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readFolder } from "../consumer/folder.ts";
import { type S3Server, startS3 } from "../dispatcher/storage/testing/s3.ts";
import { type Ended, outputOf } from "./testing/output.ts";

const BIN = new URL("../../bin/weir.mjs", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "weir-s3-"));
const log = join(folder, "log.ndjson");
let s3: S3Server;

const ddl = (commitTs: number, sql: string, type = "CREATE") =>
  JSON.stringify({ database: "d", table: "t", isDdl: true, type, sql, _tidb: { commitTs } });
const row = (commitTs: number, id: number) =>
  JSON.stringify({
    ...{ database: "d", table: "t", isDdl: false, type: "INSERT", pkNames: ["id"] },
    ...{ mysqlType: { id: "int" }, data: [{ id: String(id) }], old: null, _tidb: { commitTs } },
  });

beforeAll(async () => {
  s3 = await startS3("weir");
  const lines = [ddl(100, "CREATE TABLE t (id INT PRIMARY KEY)"), row(101, 1), row(102, 2)];
  writeFileSync(log, [...lines, ddl(103, "ALTER TABLE t ADD n INT", "ALTER"), row(104, 3), ""].join("\n"));
});
afterAll(async () => {
  await s3.stop();
  rmSync(folder, { recursive: true });
});

function replay(...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
  const all = [BIN, "replay", log, "--s3-endpoint", s3.url, "--region", "us-east-1", ...args];
  return outputOf(spawn(process.execPath, all, { env, stdio: "pipe" })).ended;
}

it("writes to S3 and reads it back from there, and refuses a prefix that is not empty", async () => {
  const place = "s3://weir/runs/1";
  const first = await replay(
    "--out",
    place,
    "--json",
    "--spans",
    "2",
    "--nodes",
    "1",
    "--syncpoint-every",
    "0",
  );
  expect(first.err + first.out, "its output").toContain('"file"');
  expect(JSON.parse(first.out).verdict).toMatchObject({ ok: true, tables: 1, rowsApplied: 3 });
  expect(first.code).toBe(0);
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const there = await readFolder(place, { endpoint: s3.url, region: "us-east-1", credentials });
  expect(there.checkpointTs).toBe(104n);
  expect(there.schemas.map((one) => one.version)).toEqual([100n, 103n]);
  const second = await replay("--out", place);
  expect(second.err).toContain("is not empty: name a new prefix");
  expect(second.code).toBe(2);
}, 300_000);

it("says what is wrong with a bucket that is not there", async () => {
  const { code, err } = await replay("--out", "s3://nowhere/x");
  expect(err).toMatch(/--out s3:\/\/nowhere\/x: .*: name a bucket that is there/);
  expect(err).not.toContain("    at ");
  expect(code).toBe(2);
}, 300_000);
