/**
 * The package as it is published, installed in projects that hold nothing but it and what it asks for: the command, the
 * library and the construct run from node_modules, where Node strips no types (docs/decisions/0018-package.md).
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { exportsOf, ledTo, report } from "../release/api.ts";
import { outputOf } from "../src/cli/testing/output.ts";
import { Project, pack, programIn } from "./packed.ts";
import { synthesize } from "./template.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-package-"));
/** With the package alone, as a capture node or an operator has it. */
let alone: Project;
let tarball: string;
/** With everything that the package can make use of. */
let whole: Project;
beforeAll(() => {
  tarball = pack(folder);
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
/** What a capture node needs, from the first line of `weir local --json`. */
const environmentOf = (at: LocalLine) => ({
  AWS_ENDPOINT_URL_SQS: at.endpoint.sqs,
  AWS_REGION: at.region,
  AWS_ACCESS_KEY_ID: at.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: at.credentials.secretAccessKey,
  STATUS_QUEUE_URL: at.statusQueueUrl,
  ACTION_QUEUE_PREFIX: at.actionQueuePrefix,
});
interface LocalLine {
  readonly endpoint: { readonly sqs: string };
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly statusQueueUrl: string;
  readonly actionQueuePrefix: string;
}
const WEIR = join("node_modules", "@weir-cdc", "weir", "bin", "weir.mjs");

it("holds what runs and what is read, and nothing of how it is tested", () => {
  const { files } = alone;
  for (const name of ["bin/weir.mjs", "docs/capture-nodes.md", "src/protocol/heartbeatpb.proto"])
    expect(files).toContain(name);
  expect(files.filter((name) => /\.ts$/.test(name) && !/\.d\.ts$/.test(name))).toEqual([
    "examples/typescript/main.ts",
  ]);
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

const entries = () =>
  Object.fromEntries(
    ["dist/src/dispatcher", "dist/cdk", "dist/src/sink-contract"].map((path, index) => [
      `@weir-cdc/weir${["", "/cdk", "/testing"][index]}`,
      join(alone.package, path, "index.d.ts"),
    ]),
  );

it("shows what release/api.txt says: a change of it is one for all who use the package", async () => {
  // Meant so? npx vitest run --project long infra-tests/package.long.test.ts -u
  await expect(report(entries())).toMatchFileSnapshot("../release/api.txt");
});

it("shows nothing of protobuf, and no name of the wire", () => {
  const all = Object.values(entries()).flatMap((entry) => [...ledTo(entry)]);
  expect(all.filter((one) => /protobuf|_pb\b|protocol\/messages/.test(one))).toEqual([]);
  expect(report(entries())).not.toMatch(/\b(?:TableIDs?|SchemaID|ChangefeedID|InfluenceType|Splitable)\b/);
});

it("has a comment on each export, and examples that compile", () => {
  const all = Object.values(entries()).flatMap((entry) => exportsOf(entry));
  expect(all.filter(({ comment }) => comment === "").map(({ name }) => name)).toEqual([]);
  const isCalled = ({ name, text }: (typeof all)[number]) =>
    /^export declare (?:class|function)/.test(text) && !/extends WeirError/.test(text) && name !== "Weir";
  const examples = all.flatMap(({ name, comment }) => {
    const [, example] = /^```ts\n(.*?)^```$/ms.exec(comment) ?? [];
    return example === undefined ? [] : [{ name, example }];
  });
  const shown = new Set(examples.map(({ name }) => name));
  expect(all.filter((one) => isCalled(one) && !shown.has(one.name)).map(({ name }) => name)).toEqual([]);
  const files = examples.map(({ name, example }) => {
    whole.write(`example-${name}.ts`, example);
    return `example-${name}.ts`;
  });
  expect(files.length).toBeGreaterThan(15);
  expect(whole.typeCheck(...files)).toBe("");
});

it.each([
  ["publint", ["publint", "--strict"]],
  ["attw", ["attw", "--profile", "esm-only"]],
])("is in order as %s sees it", (_, [command, ...args]) => {
  const bin = join(import.meta.dirname, "..", "node_modules", ".bin", command!);
  execFileSync(bin, [tarball, ...args], { stdio: ["ignore", "pipe", "pipe"] });
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

it("runs the example, which stops when it is asked to", async () => {
  const example = readFileSync(join(whole.package, "examples", "typescript", "main.ts"), "utf8");
  whole.write("main.ts", example);
  expect(whole.typeCheck("main.ts")).toBe("");
  const local = start(whole, [WEIR, "local", "--json"]);
  try {
    const first = await createInterface(local.stdout!)[Symbol.asyncIterator]().next();
    const at = JSON.parse(first.value!);
    const app = start(whole, ["main.ts"], environmentOf(at));
    const said = outputOf(app);
    const lines = createInterface(app.stdout!)[Symbol.asyncIterator]();
    for (let line = await lines.next(); !/durable/.test(line.value ?? "durable"); ) line = await lines.next();
    app.kill("SIGTERM");
    const { code, out, err } = await said.ended;
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const [, ...told] = out.trim().split("\n").toSorted();
    expect(out.trim().split("\n").at(-1)).toBe("stopped");
    expect(told).toEqual([
      "passed CREATE TABLE refunds LIKE orders",
      "passed syncpoint",
      "passed syncpoint",
      "stopped",
      "wrote CREATE TABLE refunds LIKE orders",
      "wrote syncpoint",
    ]);
    expect(readFileSync(join(whole.folder, `${"2".padStart(32, "0")}.txt`), "utf8")).toMatch(/^order 1\n/);
  } finally {
    const ended = once(local, "exit");
    local.kill("SIGTERM");
    await ended;
  }
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
    const { code, out, err } = await run(whole, ["node.ts"], environmentOf(at));
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
