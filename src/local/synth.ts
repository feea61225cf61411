import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { WeirStack } from "../../cdk/stack.ts";
import { LOCAL_STACK, readSynthesized, type Synthesized } from "./template.ts";

export { type Names, resolve, resourcesOf, type Synthesized } from "./template.ts";

/**
 * Synthesizes the stack, functions bundled. Needs no account and no Docker.
 * @param outdir where to; default: a folder of its own
 */
export function synthesize(
  prefix: string,
  outdir: string = mkdtempSync(join(tmpdir(), "weir-synth-")),
): Synthesized {
  const app = new App({
    outdir,
    analyticsReporting: false,
    // It takes seconds, and nothing of this is deployed. The stack that is deployed is validated (cdk/app.ts).
    builtinCloudFormationValidation: false,
    context: { "aws:cdk:enable-asset-metadata": true },
  });
  withoutNoise(() => new WeirStack(app, LOCAL_STACK, { prefix }));
  withoutNoise(() => app.synth());
  return readSynthesized(outdir);
}

/** The bundler tells of its work on standard error, where a person expects news only if something is wrong. */
function withoutNoise<T>(work: () => T): T {
  const write = process.stderr.write;
  process.stderr.write = () => true;
  try {
    return work();
  } finally {
    process.stderr.write = write;
  }
}
