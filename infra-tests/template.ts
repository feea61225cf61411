/** The synthesized template in a form in which it can be read and compared. */
import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { Weir, type WeirProps } from "../cdk/construct.ts";

export interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly Metadata?: Record<string, unknown>;
}

export interface Synthesized {
  /** By what the construct calls them: `Table`, `Maintainer`, `MaintainerRole/DefaultPolicy`. */
  readonly resources: Readonly<Record<string, Resource>>;
  readonly outputs: Readonly<Record<string, { readonly Value: unknown }>>;
}

/** Functions are not bundled; what CloudFormation would refuse is an error. */
export const CONTEXT = {
  "aws:cdk:bundling-stacks": [],
  "aws:cdk:enable-path-metadata": true,
  "@aws-cdk/core:validateAgainstDefaultRules": true,
};

/**
 * Synthesizes a stack with one coordinator. Functions are not bundled: nothing here looks at their code.
 * @param props of the coordinator, made in its stack
 * @param more is done with it before
 */
export function synthesize(
  props: WeirProps | ((stack: Stack) => WeirProps) = { prefix: "test" },
  more: (weir: Weir) => void = () => undefined,
): Synthesized {
  const app = new App({
    analyticsReporting: false,
    context: CONTEXT,
  });
  const stack = new Stack(app, "Test");
  more(new Weir(stack, "Weir", typeof props === "function" ? props(stack) : props));
  const template = Template.fromStack(stack).toJSON() as {
    Resources: Record<string, Resource>;
    Outputs: Record<string, { Value: unknown }>;
  };
  return readable(template.Resources, template.Outputs);
}

function readable(
  resources: Record<string, Resource>,
  outputs: Record<string, { Value: unknown }>,
): Synthesized {
  const names = new Map<string, string>();
  for (const [id, { Metadata }] of Object.entries(resources)) {
    const path = String(Metadata?.["aws:cdk:path"] ?? id);
    names.set(id, path.replace(/^Test\/(Weir\/)?/, "").replace(/\/Resource$/, ""));
  }
  return {
    resources: Object.fromEntries(
      Object.entries(resources).map(([id, { Metadata: _, ...resource }]) => [
        names.get(id)!,
        plain(resource, names) as Resource,
      ]),
    ),
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([id, { Value }]) => [
        id.replace(/^Weir/, "").replace(/[0-9A-F]{8}$/, ""),
        { Value: plain(Value, names) },
      ]),
    ),
  };
}

/** References as text: `<StatusQueue.Arn>`, `arn:<Partition>:sqs:<Region>:<AccountId>:test-action-*`. */
function plain(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((one) => plain(one, names));
  if (typeof value !== "object" || value === null) return value;
  const [[name, argument] = ["", undefined], ...others] = Object.entries(value);
  if (others.length === 0) {
    if (name === "Ref") return `<${names.get(argument) ?? String(argument).replace(/^AWS::/, "")}>`;
    if (name === "Fn::GetAtt") return `<${names.get(argument[0])}.${argument[1]}>`;
    if (name === "Fn::Join")
      return (argument[1] as unknown[]).map((one) => plain(one, names)).join(argument[0]);
    if (name === "Fn::Select") return `<${argument[0]} of ${plain(argument[1], names)}>`;
    if (name === "Fn::Split") return plain(argument[1], names);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one, names)]));
}

/** The resource of this name. @throws if there is none */
export function resource({ resources }: Synthesized, name: string): Resource {
  const one = resources[name];
  if (one === undefined) throw new Error(`no ${name} in the template: ${Object.keys(resources).join(", ")}`);
  return one;
}

/** Names of all resources of a type, sorted. */
export function namesOf({ resources }: Synthesized, type: string): string[] {
  return Object.keys(resources)
    .filter((name) => resources[name]!.Type === type)
    .sort();
}

/** What must hold of the template of `{ prefix: "test" }`, with its reason in its name. It throws where it does not. */
export interface Check {
  readonly what: string;
  readonly check: (synthesized: Synthesized) => void;
}
