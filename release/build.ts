/**
 * Makes `dist/`, from which the published package runs (docs/decisions/0018-package.md): the command, the library and the
 * construct as JavaScript with their types, and the functions as they are deployed. `npm pack` and `npm publish` run it.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { resourcesOf, synthesize } from "../src/local/synth.ts";
import { Bundle } from "./bundle.ts";
import { licences } from "./licences.ts";

const ROOT = realpathSync(fileURLToPath(new URL("..", import.meta.url)));
const DIST = join(ROOT, "dist");

rmSync(DIST, { recursive: true, force: true });
compile();
copyGenerated();
bundleFunctions();

/** @throws if it does not compile; tsc has said why */
function compile(): void {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const args = [tsc, "-p", join(ROOT, "release", "tsconfig.json")];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) throw new Error("the sources do not compile: nothing is packed");
}

/** Messages are generated as JavaScript with types beside it, which tsc only reads. */
function copyGenerated(): void {
  for (const folder of ["src/protocol", "src/storage"])
    for (const name of readdirSync(join(ROOT, folder)))
      if (/_pb\.(js|d\.ts)$/.test(name)) cpSync(join(ROOT, folder, name), join(DIST, folder, name));
}

/** The functions' code by the ids that the construct gives them, and the licences of what others have written in it. */
function bundleFunctions(): void {
  const synthesized = synthesize("weir");
  try {
    const bundles = resourcesOf(synthesized, "AWS::Lambda::Function").map(([logicalId, { Metadata }]) => {
      const id = ["Maintainer", "Sweeper"].find((one) => logicalId.includes(one));
      if (id === undefined) throw new Error(`the stack has a function ${logicalId}: say here where it goes`);
      const bundle = new Bundle(realpathSync(join(synthesized.assets, Metadata!["aws:asset:path"]!)));
      bundle.copyTo(join(DIST, "functions", id), ROOT);
      return bundle;
    });
    const sources = bundles.flatMap((bundle) => bundle.sources);
    writeFileSync(join(DIST, "functions", "THIRD-PARTY-LICENSES.txt"), licences(sources));
  } finally {
    rmSync(synthesized.assets, { recursive: true, force: true });
  }
}
