import { type Names, resolve, resourcesOf, type Synthesized } from "./template.ts";

/** A statement of a role's policy, references resolved. */
interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

/** What a function asked of an engine: `dynamodb:GetItem` on a table, `sqs:SendMessage` on a queue, by its name here. */
export interface Asked {
  readonly functionId: string;
  readonly action: string;
  readonly resource: string;
}

/**
 * Holds the functions on this machine to the policies of their roles in the template, so that a right that is missing there
 * fails here and not in an account. Resources are compared by what their ARN ends with.
 */
export class Permissions {
  /** What was refused so far. */
  readonly refused = new Set<string>();
  readonly #statements = new Map<string, Statement[]>();

  constructor(synthesized: Synthesized, names: Names) {
    const policies = resourcesOf(synthesized, "AWS::IAM::Policy").map(([, { Properties }]) => Properties);
    for (const [id, { Properties }] of resourcesOf(synthesized, "AWS::Lambda::Function")) {
      const [role] = (Properties["Role"] as { "Fn::GetAtt": [string, string] })["Fn::GetAtt"];
      const own = policies.filter((one) =>
        (one["Roles"] as { Ref: string }[]).some(({ Ref }) => Ref === role),
      );
      this.#statements.set(
        id,
        own.flatMap((one) => {
          const { Statement } = one["PolicyDocument"] as { Statement: unknown };
          return resolve(Statement, names) as Statement[];
        }),
      );
    }
  }

  /** Why a function may not do that; undefined: it may. */
  refuse({ functionId, action, resource }: Asked): string | undefined {
    const allowed = (this.#statements.get(functionId) ?? []).some(
      (one) =>
        one.Effect === "Allow" &&
        [one.Action].flat().includes(action) &&
        [one.Resource].flat().some((pattern) => matches(pattern.split(":").at(-1)!, resource)),
    );
    if (allowed) return undefined;
    const refused = `the role of ${functionId} in the template does not allow ${action} on ${resource}`;
    this.refused.add(refused);
    return refused;
  }
}

/** Whether a name is what a policy names, where `*` stands for anything. */
function matches(pattern: string, name: string): boolean {
  const literal = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${pattern.split("*").map(literal).join(".*")}$`).test(name);
}
