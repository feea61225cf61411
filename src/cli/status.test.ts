/** `weir status` and `weir explain` of a deployment in memory; and as an operator types them, at a weir local. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { beforeEach, describe, expect, it } from "vitest";
import { startLocal } from "../local/deployment.ts";
import { run } from "../maintainer/base/program.ts";
import { spaceOf } from "../maintainer/base/space.ts";
import { handleBatch } from "../maintainer/batch.ts";
import { CHANGEFEED, d, ddl, everybody, node, normal, PREFIX, World } from "../maintainer/testing/world.ts";
import { createPort } from "../messaging/aws-port.ts";
import { diagnoseAll, duration, isStuck, matching, theOnly } from "./diagnosed.ts";
import { explanationLines, onlyBarrier } from "./explain.ts";
import { statusLines } from "./status.ts";
import { outputOf } from "./testing/output.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const space = spaceOf(CHANGEFEED, 0n);

describe("what is said of what is stored", () => {
  let world: World;
  beforeEach(async () => {
    world = new World();
    await world.handle(
      world.opening(n1, T, [{ id: 10n, schema: 1n }]),
      world.registration(n1, [{ id: T, table: 0n }]),
      world.registration(n2, [{ id: d(10), table: 10n }]),
    );
  });
  const found = (part?: string) => diagnoseAll(world.port, part);

  it("is one line for each changefeed, and what to type next", async () => {
    expect(statusLines([], 0)).toEqual([{ text: "No changefeed has registered yet." }]);
    expect(statusLines(await found(), world.now)).toEqual([
      { text: `${space.text}  no barrier is open`, colour: "green" },
    ]);
    await world.handle(world.waiting(n1, [T], ddl(100n), { BlockTables: everybody }));
    world.now += 90_000;
    expect(statusLines(await found("order"), world.now)).toEqual([
      {
        text: `${space.text}  DDL 100 waiting since 1 min: 1 of 2 dispatchers have not reported: 1 on n2`,
        colour: "red",
      },
      { text: `Next: weir explain ${space.text}` },
    ]);
  });

  it("explains with evidence and what to do", async () => {
    await world.handle(world.waiting(n1, [T], ddl(100n), { BlockTables: everybody }));
    const [one] = await found();
    const lines = explanationLines(onlyBarrier(one!, "100"), world.now);
    expect(lines[0]).toBe(`${space.text}  epoch 1, 2 dispatchers on 2 nodes`);
    expect(lines[1]).toMatch(/^ {2}DDL 100 waiting since 0 s \(opened .*, 1 of 2 reported\)$/);
    expect(lines.slice(2)).toEqual([
      "    1 of 2 dispatchers have not reported: 1 on n2",
      `      - node n2: ${d(10)} (table 10)`,
      "    > Look at node n2: does it run, is it behind, does its sink answer?",
      `    > If it is lost for good: weir evict --node=n2 --changefeed ${space.text}`,
    ]);
    expect(() => onlyBarrier(one!, "7")).toThrow(/no barrier 7 is open in .*; open are:\n {2}0{17}100-0$/);
  });

  it("says that a writer who is gone may have applied the event", async () => {
    await world.handle(world.waiting(n2, [d(10)], ddl(100n), { BlockTables: normal(10n) }));
    await world.handle(world.registration({ ...n2, start: 2 }, []));
    const [one] = await found();
    expect(one!.worst).toMatchObject({
      phase: "writing",
      formerWriter: { dispatcher: d(10), node: "n2" },
      verdict: { kind: "hole" },
    });
    expect(explanationLines(one!, world.now)).toContain(
      `    dispatcher ${d(10)} on node n2 was granted Write and is gone: the event may be applied downstream already`,
    );
  });

  it("is stuck after the time that was asked for, and not before", async () => {
    await world.handle(world.waiting(n1, [T], ddl(100n), { BlockTables: everybody }));
    const at = world.now;
    expect(isStuck(await found(), 300_000, at + 299_999)).toBe(false);
    expect(isStuck(await found(), 300_000, at + 300_000)).toBe(true);
    expect(isStuck(await found(), undefined, at + 9e9)).toBe(false);
    await world.handle(world.waiting(n2, [d(10)], ddl(100n), { BlockTables: everybody }));
    expect(isStuck(await found(), 300_000, at + 299_999)).toBe(false);
  });
});

it("reads times, and refuses what is none", () => {
  expect([duration("90s"), duration("5m"), duration("2h"), duration("1d")]).toEqual([9e4, 3e5, 72e5, 864e5]);
  for (const bad of ["5", "m", "-5m", "5 m", "1e9s", ""])
    expect(() => duration(bad)).toThrow(`--fail-after is "${bad}": use a time like`);
});

it("takes any part of a name, and refuses what several have", () => {
  const named = (name: string, mode = 0n) => spaceOf({ ...CHANGEFEED, name }, mode);
  const spaces = [named("orders"), named("orders", 1n), named("orders-eu"), named("users")];
  expect(theOnly(spaces, "user")).toBe(spaces[3]);
  expect(theOnly(spaces, "-eu")).toBe(spaces[2]);
  expect(theOnly(spaces, spaces[1]!.text)).toBe(spaces[1]);
  expect(matching(spaces, "orders")).toEqual(spaces.slice(0, 2));
  expect(() => theOnly(spaces, "orders")).toThrow(/"orders" is a part of several changefeeds, name one:\n/);
  expect(() => theOnly(spaces, undefined)).toThrow(/name one changefeed; there are:\n/);
  expect(() => theOnly(spaces, "nosuch")).toThrow(/no changefeed has "nosuch" in its name; there are:\n/);
  expect(() => theOnly([], undefined)).toThrow("name one changefeed; there is none");
});

it("exits with 0, 2, 3 and 1, and never with a stack", { timeout: 240_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-status-"));
  await using local = await startLocal({ logFile: join(folder, "log"), sweepIntervalMs: 3_600_000 });
  const { endpoint, region, credentials, table } = local;
  const weir = (...args: string[]) => {
    const bin = fileURLToPath(new URL("../../bin/weir.mjs", import.meta.url));
    const env = {
      ...process.env,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    return outputOf(spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "pipe"], env }))
      .ended;
  };
  const at = ["--endpoint", endpoint.dynamodb, "--table"];
  const none = await weir("status", ...at, table);
  expect(none).toMatchObject({ code: 0, err: "" });
  expect(none.out).toContain("No changefeed has registered yet.");

  const config = { region, credentials: { ...credentials } };
  const dynamodb = new DynamoDBClient({ ...config, endpoint: endpoint.dynamodb });
  const sqs = new SQSClient({ ...config, endpoint: endpoint.sqs });
  const port = createPort({ dynamodb, sqs }, { table, actionQueuePrefix: PREFIX, deadLetterQueueUrl: "" });
  const world = new World();
  // The program that the functions run, on the deployment's table and queues.
  const messages = [
    world.opening(n1, T, [{ id: 10n, schema: 1n }]),
    world.registration(n1, [{ id: T, table: 0n }]),
    world.registration(n2, [{ id: d(10), table: 10n }]),
    world.waiting(n1, [T], ddl(100n), { BlockTables: everybody }),
  ];
  const { failed } = await run(handleBatch(messages, world.invocation()), port);
  expect(failed).toEqual([]);
  dynamodb.destroy();
  sqs.destroy();

  const [status, stuck, explained, nosuchKey, bad] = await Promise.all([
    weir("status", ...at, table),
    weir("status", "--fail-after", "5m", "--json", ...at, table),
    weir("explain", "orders", "100", ...at, table),
    weir("explain", "orders", "7", ...at, table),
    weir("status", "--fail-after", "soon", ...at, table),
  ]);
  expect(status).toMatchObject({ code: 0, err: "" });
  expect(status.out).toMatch(/ 1 of 2 dispatchers have not reported: 1 on n2\nNext: weir explain /);
  expect(status.out).not.toContain("\u001b");
  expect(stuck.code).toBe(3);
  expect(JSON.parse(stuck.out)).toMatchObject([{ verdict: { kind: "missing-dispatchers" } }]);
  expect(explained).toMatchObject({
    code: 0,
    out: expect.stringContaining("> If it is lost for good: weir evict"),
  });
  expect(nosuchKey).toMatchObject({ code: 2, err: expect.stringContaining("no barrier 7 is open in") });
  expect(bad).toMatchObject({ code: 2, err: expect.stringContaining("use a time like 90s, 5m, 2h or 1d") });

  const gone = await Promise.all([
    weir("status", ...at, "nosuch"),
    weir("checkpoint", ...at, "nosuch"),
    weir("evict", "--node", "n2", ...at, "nosuch"),
    weir("barriers", ...at, "nosuch"),
  ]);
  for (const { code, err, out } of gone) {
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^weir: there is no such table in this account and region: .*\n$/);
  }
  const unknown = await weir("evict", "--node", "n3", ...at, table);
  expect(unknown).toMatchObject({ code: 2, out: "" });
  expect(unknown.err).toContain('has no node "n3", and nothing was changed: it has "n1", "n2"');
  rmSync(folder, { recursive: true });
});
