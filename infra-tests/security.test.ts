/** docs/security.md says what the template says, and its threat table names tests that exist. */
import { existsSync, readFileSync } from "node:fs";
import { Subnet, Vpc } from "aws-cdk-lib/aws-ec2";
import { Key } from "aws-cdk-lib/aws-kms";
import { describe, expect, it } from "vitest";
import { type Statement, statementsOf } from "./checks/rights.ts";
import { resource, type Synthesized, synthesize } from "./template.ts";

const ROOT = new URL("../", import.meta.url);
const TEXT = readFileSync(new URL("docs/security.md", ROOT), "utf8");

/** Rows of the tables under a heading, without their heads. */
function rowsUnder(heading: string): string[][] {
  const start = TEXT.indexOf(`\n${heading}\n`);
  expect(start, heading).toBeGreaterThan(0);
  const rest = TEXT.slice(start + heading.length + 2);
  const section = rest.slice(0, rest.search(/\n##/) + 1 || undefined);
  return section
    .split("\n")
    .filter((line) => line.startsWith("|") && !line.startsWith("|---"))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    )
    .filter(([first]) => !["statement", "who", "finding"].includes(first!));
}

/** A statement as a row says it, but for the sentence. */
function rowOf({ Sid, Effect, Action, Resource }: Statement): string[] {
  expect(Effect).toBe("Allow");
  return [
    Sid!,
    [Action].flat().join(" "),
    [Resource]
      .flat()
      .map((one) => `\`${one}\``)
      .join(" "),
  ];
}

function compare(heading: string, statements: readonly Statement[]): void {
  const rows = rowsUnder(heading);
  expect(rows.map((cells) => cells.slice(0, 3))).toEqual(statements.map(rowOf));
  for (const [sid, , , why] of rows) expect(why, `${heading} ${sid}`).toMatch(/^[A-Z`].{20,}/);
}

const roles = (all: Synthesized) =>
  ["Maintainer", "Sweeper"].map((name) => statementsOf(all, `${name}Role/DefaultPolicy`));

describe("docs/security.md", () => {
  const plain = synthesize();

  it.each(["MaintainerRole", "SweeperRole"])("explains each statement of %s", (name) => {
    compare(`### ${name}`, statementsOf(plain, `${name}/DefaultPolicy`));
  });

  it("explains each statement of CaptureNodePolicy", () => {
    compare("### CaptureNodePolicy", statementsOf(plain, "CaptureNodePolicy"));
  });

  it("explains each statement of the policy for one node", () => {
    const one = synthesize({ prefix: "test" }, (weir) => void weir.captureNodePolicyFor("n1"));
    compare("### The policy for one node", statementsOf(one, "CaptureNode-n1"));
  });

  it("explains what encryptionKey adds", () => {
    const all = synthesize((stack) => ({ prefix: "test", encryptionKey: new Key(stack, "Key") }));
    const added = roles(all).map((statements) => statements.filter((one) => one.Sid === "Key"));
    expect(added[0]).toEqual(added[1]);
    const node = statementsOf(all, "CaptureNodePolicy").filter((one) => one.Sid === "Key");
    const { KeyPolicy } = resource(all, "Key").Properties as { KeyPolicy: { Statement: Statement[] } };
    compare("### With `encryptionKey`", [...added[0]!, ...node, KeyPolicy.Statement.at(-1)!]);
    roles(all).forEach((statements, index) => {
      expect(statements).toHaveLength(roles(plain)[index]!.length + 1);
    });
  });

  it("explains what vpc adds", () => {
    const all = synthesize((stack) => ({
      prefix: "test",
      vpc: Vpc.fromVpcAttributes(stack, "Vpc", { vpcId: "vpc-0a1b2c3d", availabilityZones: ["any"] }),
      vpcSubnets: { subnets: [Subnet.fromSubnetId(stack, "Subnet", "subnet-0a1b2c3d")] },
    }));
    const added = roles(all).map((statements) => statements.filter((one) => one.Sid === "NetworkInterfaces"));
    expect(added[0]).toEqual(added[1]);
    compare("### With `vpc`", added[0]!);
  });

  it("explains who may send to the status queue", () => {
    compare(
      "### Queues",
      statementsOf(plain, "StatusQueue/Policy").filter((one) => one.Effect === "Allow"),
    );
  });

  it("names, for each threat, a test that exists", () => {
    const rows = rowsUnder("## Who could do harm, and what stops them");
    expect(rows.length).toBeGreaterThan(12);
    let previous = "";
    for (const [who, , stops, shown] of rows) {
      expect(stops, who).toMatch(/.{20,}/);
      const cited = shown === "the same" ? previous : shown!;
      previous = cited;
      // Only what nothing stops has no test.
      if (cited === "") expect(stops).toMatch(/^nothing: /);
      for (const [, file, title] of cited.matchAll(/`([^`]+)`(?: "([^"]+)")?/g)) {
        expect(existsSync(new URL(file!, ROOT)), file).toBe(true);
        if (title === undefined) continue;
        const checks = ["storage", "functions", "rights", "watch"].map(
          (name) => `infra-tests/checks/${name}.ts`,
        );
        const files = file === "infra-tests/stack.test.ts" ? checks : [file!];
        const found = files.some((one) => readFileSync(new URL(one, ROOT), "utf8").includes(`"${title}"`));
        expect(found, `${file} "${title}"`).toBe(true);
      }
    }
  });
});
