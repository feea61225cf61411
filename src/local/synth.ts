import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { WeirStack } from "../../cdk/stack.ts";

type Properties = Record<string, unknown>;
interface Resource {
  readonly Type: string;
  readonly Properties: Properties;
  readonly Metadata?: Record<string, string>;
}

/** The template that would be deployed, and the folder that holds the bundled functions beside it. */
export interface Synthesized {
  readonly resources: Readonly<Record<string, Resource>>;
  readonly assets: string;
}

/** Synthesizes the stack, functions bundled, into a folder of its own. Needs no account and no Docker. */
export function synthesize(prefix: string): Synthesized {
  const outdir = mkdtempSync(join(tmpdir(), "weir-synth-"));
  const app = new App({
    outdir,
    analyticsReporting: false,
    context: { "aws:cdk:enable-asset-metadata": true },
  });
  const stack = withoutNoise(() => new WeirStack(app, "WeirLocal", { prefix }));
  const assembly = withoutNoise(() => app.synth());
  const file = assembly.getStackByName(stack.stackName).templateFullPath;
  return { resources: JSON.parse(readFileSync(file, "utf8")).Resources, assets: outdir };
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

/** Resources of one type, with their logical ids. */
export function resourcesOf(synthesized: Synthesized, type: string): [string, Resource][] {
  return Object.entries(synthesized.resources).filter(([, resource]) => resource.Type === type);
}

/** What intrinsic functions of the template stand for here. */
export interface Names {
  ref(logicalId: string): string;
  attribute(logicalId: string, name: string): string;
}

/** Resolves Ref, Fn::GetAtt and Fn::Join, which is all that the template uses where it matters here. */
export function resolve(value: unknown, names: Names): unknown {
  if (Array.isArray(value)) return value.map((one) => resolve(one, names));
  if (typeof value !== "object" || value === null) return value;
  const [[name, argument] = ["", undefined], ...others] = Object.entries(value);
  if (others.length === 0) {
    if (name === "Ref") return names.ref(argument as string);
    if (name === "Fn::GetAtt") return names.attribute(...(argument as [string, string]));
    if (name === "Fn::Join") {
      const [separator, parts] = argument as [string, unknown[]];
      return parts.map((part) => resolve(part, names)).join(separator);
    }
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolve(one, names)]));
}
