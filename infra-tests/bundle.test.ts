/** What is in the functions' packages, and what they do before their first event. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesizeOnce } from "../src/local/synth-cache.ts";
import { resourcesOf, type Synthesized } from "../src/local/template.ts";

let synthesized: Synthesized;
const folders = new Map<string, string>();
beforeAll(async () => {
  synthesized = await synthesizeOnce("weir");
  for (const [id, resource] of resourcesOf(synthesized, "AWS::Lambda::Function"))
    folders.set(
      id.includes("Maintainer") ? "Maintainer" : "Sweeper",
      join(synthesized.assets, resource.Metadata!["aws:asset:path"]!),
    );
});
afterAll(() => rmSync(synthesized.assets, { recursive: true, force: true }));

describe.each(["Maintainer", "Sweeper"])("the package of the %s", (name) => {
  const folder = () => folders.get(name)!;

  it("is one minified ES module with its map, and small", () => {
    expect(readdirSync(folder()).sort()).toEqual(["index.mjs", "index.mjs.map"]);
    const code = readFileSync(join(folder(), "index.mjs"), "utf8");
    expect(code).toMatch(/export\{[\w$]+ as handler\};/);
    expect(code.split("\n").length).toBeLessThan(200);
    // 600 KB are the most. What is there is 510 and 516, and a library that comes in by mistake is to be seen.
    expect(statSync(join(folder(), "index.mjs")).size).toBeLessThan(530 * 1024);
  });

  it("holds the SDK's clients that it uses, and nothing to trace with", () => {
    const { sources } = JSON.parse(readFileSync(join(folder(), "index.mjs.map"), "utf8")) as {
      sources: string[];
    };
    const packages = new Set(
      sources.flatMap((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? []),
    );
    expect([...packages].filter((one) => one.startsWith("@aws-sdk/client-")).sort()).toEqual([
      "@aws-sdk/client-dynamodb",
      "@aws-sdk/client-sqs",
    ]);
    expect([...packages].filter((one) => /xray|cdk|dynalite|fauxqs|sql-parser|commander/.test(one))).toEqual(
      [],
    );
  });

  it("takes credentials from its environment, and loads nothing that Node's fetch comes with", () => {
    const { sources } = JSON.parse(readFileSync(join(folder(), "index.mjs.map"), "utf8")) as {
      sources: string[];
    };
    const providers = sources.flatMap((one) => /credential-provider-\w+/.exec(one)?.[0] ?? []);
    expect([...new Set(providers)]).toEqual(["credential-provider-env"]);
    const asked = importsOf(readFileSync(join(folder(), "index.mjs"), "utf8"));
    expect(asked).toContain("node:https");
    expect(asked).not.toContain("node:http");
    expect(asked).not.toContain("http");
  });

  it("has a map without the sources' text", () => {
    expect(JSON.parse(readFileSync(join(folder(), "index.mjs.map"), "utf8"))).not.toHaveProperty(
      "sourcesContent",
    );
  });

  it("says in the terms of its sources what went wrong at its start", () => {
    const { status, stderr } = spawnSync(process.execPath, [join(folder(), "index.mjs")], {
      env: { PATH: process.env["PATH"] ?? "" },
      encoding: "utf8",
    });
    expect(status).toBe(1);
    expect(stderr).toContain("Error: environment variable WEIR_ACTION_QUEUE_PREFIX is not set");
    expect(stderr).toMatch(/ {4}at \w+ \(functions\/wiring\.ts:\d+:\d+\)/);
    expect(existsSync(folder())).toBe(true);
  });
});

/** What a bundle imports, at its start or later. */
const importsOf = (code: string) =>
  [...code.matchAll(/(?:\bfrom|\bimport\(?)"([\w:/]+)"/g)].map(([, module]) => module);
