/**
 * The package as it is published, installed in projects that hold nothing but it and what it asks for: the command, the
 * library and the construct run from node_modules, where Node strips no types (docs/decisions/0018-package.md).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { outputOf } from "../src/cli/testing/output.ts";
import { Project, pack, programIn } from "./packed.ts";
import { synthesize } from "./template.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-package-"));
/** With the package alone, as a capture node or an operator has it. */
let alone: Project;
/** With everything that the package can make use of. */
let whole: Project;
beforeAll(() => {
  const tarball = pack(folder);
  alone = new Project(join(folder, "alone"), tarball);
  whole = new Project(join(folder, "whole"), tarball, ({ peerDependencies }) => [
    ...Object.keys(peerDependencies),
    "@types/node",
  ]);
}, 180_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start(project: Project, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  // A temporary folder of its own: deployments that run on this machine are found there.
  const TMPDIR = join(folder, "tmp");
  mkdirSync(TMPDIR, { recursive: true });
  return spawn(process.execPath, args, {
    cwd: project.folder,
    env: { PATH: process.env["PATH"]!, TMPDIR, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // Whatever a test waits for in vain, nothing stays behind.
    timeout: 50_000,
  });
}

const run = (...what: Parameters<typeof start>) => outputOf(start(...what)).ended;
const WEIR = join("node_modules", "@weir-cdc", "weir", "bin", "weir.mjs");

it("holds what runs and what is read, and nothing of how it is tested", () => {
  const { files } = alone;
  for (const name of ["bin/weir.mjs", "docs/capture-nodes.md", "src/protocol/heartbeatpb.proto"])
    expect(files).toContain(name);
  expect(files.filter((name) => /\.ts$/.test(name) && !/\.d\.ts$/.test(name))).toEqual([]);
  expect(
    files.filter((name) => /\.test\.|\/(testing|simulation|checker|mutants|fuzz|conformance)\//.test(name)),
  ).toEqual([]);
  expect(readdirSync(join(alone.package, "dist", "functions")).sort()).toEqual([
    "Maintainer",
    "Sweeper",
    "THIRD-PARTY-LICENSES.txt",
  ]);
  const licenses = readFileSync(join(alone.package, "dist/functions/THIRD-PARTY-LICENSES.txt"), "utf8");
  for (const name of ["@aws-sdk/client-sqs", "@middy/core", "@bufbuild/protobuf"])
    expect(licenses).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+, `, "m"));
});

it("names no place in which it was made", () => {
  const texts = alone.files.filter((name) => /^dist\/.*\.(js|mjs|map|ts)$/.test(name));
  expect(texts.length).toBeGreaterThan(100);
  for (const name of texts)
    expect(readFileSync(join(alone.package, name), "utf8"), name).not.toContain(folder);
});

it("runs the command, also without what most have no use for", async () => {
  expect(await run(alone, [WEIR, "--help"])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/replay.*local.*barriers.*checkpoint.*evict.*cost/s),
    err: "",
  });
  const cost = ["cost", "--dispatchers", "100", "--nodes", "2", "--barriers-per-hour", "1"];
  expect(await run(alone, [WEIR, ...cost])).toMatchObject({ code: 0, err: "" });
  expect(await run(alone, [WEIR, "barriers"])).toEqual({
    code: 2,
    out: "",
    err: "weir: no weir local runs here: start one, or name a deployment with --table (and --endpoint)\n",
  });
});

it.each([
  ["local", "weir local", ["aws-cdk-lib", "constructs", "dynalite", "fauxqs"]],
  [
    "replay log.ndjson",
    "weir replay without --endpoint",
    ["aws-cdk-lib", "constructs", "dynalite", "fauxqs"],
  ],
])("says what weir %s needs that is not there", async (command, who, names) => {
  const wanted = names.map((name) => `"${name}@${alone.manifest.peerDependencies[name]}"`).join(" ");
  expect(await run(alone, [WEIR, ...command.split(" ")])).toEqual({
    code: 2,
    out: "",
    err: `weir: ${who} needs more than comes with weir: npm install --save-dev ${wanted}\n`,
  });
});

it("has types for the programs of the documentation, and refuses what is wrong", () => {
  whole.write("app.ts", programIn("deploy.md"));
  whole.write("node.ts", programIn("capture-node-typescript.md"));
  whole.write(
    "wrong.ts",
    'import { CaptureNode } from "@weir-cdc/weir";\nimport type { WeirProps } from "@weir-cdc/weir/cdk";\n' +
      'new CaptureNode({ id: "n1" });\nexport const props: WeirProps = { prefix: 5 };\n',
  );
  const found = whole.typeCheck("app.ts", "node.ts", "wrong.ts");
  expect(
    [...found.matchAll(/^(.*)\((\d+),\d+\): error /gm)].map(([, file, line]) => `${file} ${line}`),
  ).toEqual(["wrong.ts 3", "wrong.ts 4"]);
});

it("makes the stack that the repository makes, from the bundles that it brings", async () => {
  whole.write("app.ts", programIn("deploy.md"));
  const CDK_OUTDIR = join(whole.folder, "cdk.out");
  expect(await run(whole, ["app.ts"], { CDK_OUTDIR })).toMatchObject({ code: 0 });
  const { Resources } = JSON.parse(readFileSync(join(CDK_OUTDIR, "Orders.template.json"), "utf8")) as {
    Resources: Record<string, { Type: string; Properties: { Handler?: string } }>;
  };
  const made = Object.entries(Resources).filter(([id]) => id.startsWith("Weir"));
  const types = (all: { Type: string }[]) => all.map((one) => one.Type).sort();
  const { resources } = synthesize({ prefix: "orders" });
  // The program of the docs makes one more: the policy for one node (protocol.md D12).
  const forOneNode = { Type: "AWS::IAM::ManagedPolicy" };
  expect(types(made.map(([, one]) => one))).toEqual(types([...Object.values(resources), forOneNode]));
  const functions = made.filter(([, { Type }]) => Type === "AWS::Lambda::Function");
  expect(functions.map(([, { Properties }]) => Properties.Handler)).toEqual([
    "index.handler",
    "index.handler",
  ]);

  const assets = readdirSync(CDK_OUTDIR).filter((name) => name.startsWith("asset."));
  expect(assets).toHaveLength(2);
  for (const asset of assets) {
    expect(readdirSync(join(CDK_OUTDIR, asset)).sort()).toEqual(["index.mjs", "index.mjs.map"]);
    const { code, err } = await run(whole, [join(CDK_OUTDIR, asset, "index.mjs")]);
    expect(code).toBe(1);
    expect(err).toContain("environment variable WEIR_ACTION_QUEUE_PREFIX is not set");
    expect(err).toMatch(/ {4}at \w+ \(functions\/wiring\.ts:\d+:\d+\)/);
  }
});

it("loads all of a replay", async () => {
  expect(await run(whole, [WEIR, "replay", "none.ndjson", "--out", "files"])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^weir: none\.ndjson\b.*\nweir: nothing was replayed\.\n$/),
  });
});

it("can be required by an app in CommonJS", async () => {
  whole.write(
    "old.cjs",
    'console.log(typeof require("@weir-cdc/weir/cdk").Weir, typeof require("@weir-cdc/weir").CaptureNode);',
  );
  expect(await run(whole, ["old.cjs"])).toEqual({ code: 0, out: "function function\n", err: "" });
});

it("runs a coordinator, and the capture node of the documentation against it", async () => {
  whole.write("node.ts", programIn("capture-node-typescript.md"));
  const local = start(whole, [WEIR, "local", "--json"]);
  const ended = new Promise((resolve) => local.on("exit", resolve));
  try {
    const said = outputOf(local);
    const first = await createInterface(local.stdout!)[Symbol.asyncIterator]().next();
    expect(first.done, said.err()).not.toBe(true);
    const at = JSON.parse(first.value!);
    const { code, out, err } = await run(whole, ["node.ts"], {
      AWS_ENDPOINT_URL_SQS: at.endpoint.sqs,
      AWS_REGION: at.region,
      AWS_ACCESS_KEY_ID: at.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: at.credentials.secretAccessKey,
      STATUS_QUEUE_URL: at.statusQueueUrl,
      ACTION_QUEUE_PREFIX: at.actionQueuePrefix,
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = out.trim().split("\n");
    expect(lines.toSorted()).toEqual([
      "ddls writes CREATE VIEW paid AS ...",
      "ddls: all rows are durable",
      "orders passes CREATE VIEW paid AS ...",
      "orders: 2 rows",
      "orders: all rows are durable",
    ]);
    expect(lines.slice(-2)).toEqual([
      "ddls writes CREATE VIEW paid AS ...",
      "orders passes CREATE VIEW paid AS ...",
    ]);
  } finally {
    local.kill("SIGTERM");
  }
  expect(await ended).toBe(0);
});
