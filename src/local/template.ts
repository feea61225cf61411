/** A synthesized template, and what its intrinsic functions stand for. Needs nothing of CDK. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

type Properties = Record<string, unknown>;
interface Resource {
  readonly Type: string;
  readonly Properties: Properties;
  readonly Metadata?: Record<string, string>;
}

/** The name of the stack that runs here. */
export const LOCAL_STACK = "WeirLocal";

/** The template that would be deployed, and the folder that holds the bundled functions beside it. */
export interface Synthesized {
  readonly resources: Readonly<Record<string, Resource>>;
  readonly assets: string;
}

/** What was synthesized into a folder. @throws if there is no template in it */
export function readSynthesized(folder: string): Synthesized {
  const text = readFileSync(join(folder, `${LOCAL_STACK}.template.json`), "utf8");
  return { resources: JSON.parse(text).Resources, assets: folder };
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
