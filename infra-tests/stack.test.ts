/** What must hold of the synthesized template, and that a template without it is found out. */
import { beforeAll, describe, expect, it } from "vitest";
import { functionChecks } from "./checks/functions.ts";
import { rightsChecks } from "./checks/rights.ts";
import { storageChecks } from "./checks/storage.ts";
import { watchChecks } from "./checks/watch.ts";
import { type Resource, type Synthesized, synthesize } from "./template.ts";

const CHECKS = [...storageChecks, ...functionChecks, ...rightsChecks, ...watchChecks];

let stack: Synthesized;
beforeAll(() => {
  stack = synthesize();
});

describe("the stack", () => {
  it.each(CHECKS)("$what", ({ check }) => check(stack));
});

/** Says nothing about how the stack works: texts for people, names that CDK makes up, where the code lies. */
const SAYS_NOTHING = /^(Description|PolicyName|Code)$|^Path$/;

/** Every property of a resource, and every property within it; items of a list by themselves. */
function* pathsOf(value: unknown, at: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, one] of Object.entries(value)) {
    yield [...at, key];
    yield* pathsOf(one, [...at, key]);
  }
}

/** The stack without one property of one resource. */
function without(name: string, path: readonly string[]): Synthesized {
  const copy = structuredClone(stack);
  let holder: unknown = copy.resources[name];
  for (const key of path.slice(0, -1)) holder = (holder as Record<string, unknown>)[key];
  const last = path.at(-1)!;
  if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else delete (holder as Record<string, unknown>)[last];
  return copy;
}

const fails = (changed: Synthesized) =>
  CHECKS.some(({ check }) => {
    try {
      check(changed);
      return false;
    } catch {
      return true;
    }
  });

const mutable = ({ Properties, DeletionPolicy, UpdateReplacePolicy }: Resource) => ({
  Properties,
  ...(DeletionPolicy === "Retain" && { DeletionPolicy, UpdateReplacePolicy }),
});

describe("a template in which something is missing", () => {
  it("is found out, whichever property it is", () => {
    let tried = 0;
    const unnoticed: string[] = [];
    for (const [name, resource] of Object.entries(stack.resources))
      for (const path of pathsOf(mutable(resource))) {
        if (path.length < 2 && path[0] === "Properties") continue;
        if (path.some((key) => SAYS_NOTHING.test(key))) continue;
        tried++;
        if (!fails(without(name, path))) unnoticed.push(`${name}: ${path.join(".")}`);
      }
    expect(unnoticed).toEqual([]);
    expect(tried).toBeGreaterThan(300);
  });

  it("is found out, whichever resource it is", () => {
    for (const name of Object.keys(stack.resources)) {
      const { [name]: _, ...resources } = stack.resources;
      expect(fails({ ...stack, resources }), name).toBe(true);
    }
  });

  it("is found out when somebody is let do more", () => {
    for (const name of ["MaintainerRole/DefaultPolicy", "SweeperRole/DefaultPolicy", "CaptureNodePolicy"]) {
      const copy = structuredClone(stack);
      const { PolicyDocument } = copy.resources[name]!.Properties as {
        PolicyDocument: { Statement: { Action: string | string[]; Resource: string }[] };
      };
      for (const statement of PolicyDocument.Statement) {
        const { Action, Resource } = statement;
        statement.Action = [Action, "sqs:PurgeQueue"].flat();
        expect(fails(copy), `${name} ${Action}`).toBe(true);
        statement.Action = Action;
        statement.Resource = `${Resource}*`;
        expect(fails(copy), `${name} ${Action}`).toBe(true);
        statement.Resource = Resource;
      }
      expect(fails(copy)).toBe(false);
    }
  });
});
