/** cdk-nag's rule packs on the stack, in its plain form and with everything that adds resources. */
import { readFileSync } from "node:fs";
import { App, Stack, Validations } from "aws-cdk-lib";
import { SecurityGroup, Subnet, Vpc } from "aws-cdk-lib/aws-ec2";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { Topic } from "aws-cdk-lib/aws-sns";
import {
  AwsSolutionsChecks,
  HIPAASecurityChecks,
  NIST80053R5Checks,
  PCIDSS321Checks,
  ServerlessChecks,
} from "cdk-nag";
import { afterEach, describe, expect, it, vi } from "vitest";
import { acknowledged } from "../cdk/acknowledged.ts";
import { Weir, type WeirProps } from "../cdk/construct.ts";
import { ALARMS } from "./checks/watch.ts";
import { CONTEXT } from "./template.ts";

const PACKS = [AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks, ServerlessChecks];
const env = { account: "111111111111", region: "eu-west-1" };

function appWith(make: (stack: Stack) => void, props = {}): App {
  const app = new App({ analyticsReporting: false, context: CONTEXT });
  make(new Stack(app, "Test", props));
  return app;
}

/** What the packs find that nobody acknowledged, each as `finding on part`. */
function findings(make: (stack: Stack) => void, props = {}): string[] {
  const app = appWith(make, props);
  return PACKS.flatMap((Pack) =>
    new Pack()
      .validateScope(app)
      .violations.flatMap(({ ruleName, violatingResources }) =>
        violatingResources!.map(({ constructPath }) => `${ruleName} on ${constructPath!.split("/")[2]}`),
      ),
  ).sort();
}

const everything = (stack: Stack): WeirProps => ({
  prefix: "test",
  encryptionKey: new Key(stack, "Key", { enableKeyRotation: true }),
  alarmTopic: Topic.fromTopicArn(stack, "Topic", "arn:aws:sns:eu-west-1:111111111111:alarms"),
  vpc: Vpc.fromVpcAttributes(stack, "Vpc", { vpcId: "vpc-0a1b2c3d", availabilityZones: ["any"] }),
  vpcSubnets: { subnets: [Subnet.fromSubnetId(stack, "Subnet", "subnet-0a1b2c3d")] },
  securityGroups: [SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-0a1b2c3d")],
  senderAccounts: ["222222222222"],
  reservedConcurrency: 20,
  provisionedConcurrency: 2,
});

const plain = (stack: Stack) => void new Weir(stack, "Weir", { prefix: "test" });
const full = (stack: Stack) => void new Weir(stack, "Weir", everything(stack)).captureNodePolicyFor("n1");

describe("cdk-nag", () => {
  afterEach(() => void vi.restoreAllMocks());

  it("finds nothing that is not acknowledged", () => {
    expect(findings(plain)).toEqual([]);
  });

  it("lets an app that has the packs as plugins be synthesized", () => {
    const app = appWith(plain);
    Validations.of(app).addPlugins(...PACKS.map((Pack) => new Pack(app)));
    app.synth();
  });

  it("finds nothing in a stack with everything in it, in an account and region that are known", () => {
    expect(findings(full, { env })).toEqual([]);
  });

  it.each([
    { what: "a plain stack", make: plain, isMended: false },
    { what: "a stack with everything in it", make: full, isMended: true },
  ])("finds in $what what is acknowledged, and no less", ({ make, isMended }) => {
    vi.spyOn(Validations.prototype, "acknowledge").mockReturnValue(undefined);
    const alarms = Object.keys(ALARMS).map((name) => `${name}Alarm`);
    const expected = acknowledged("arn:aws:sqs:eu-west-1:111111111111:test-action-*", alarms)
      .filter(({ mendedBy }) => mendedBy === undefined || !isMended)
      .flatMap(({ ids, where }) => ids.flatMap((id) => where.map((part) => `${id} on ${part}`)));
    const known = isMended ? { env } : {};
    const found = findings(make, known).map((one) =>
      one
        .replace("<AWS::Partition>", "aws")
        .replace("<AWS::Region>:<AWS::AccountId>", `${env.region}:${env.account}`),
    );
    expect([...new Set(found)]).toEqual(expected.sort());
  });

  it("is asked: a right on everything is found", () => {
    const found = findings((stack) => {
      const { captureNodePolicy } = new Weir(stack, "Weir", { prefix: "test" });
      captureNodePolicy.addStatements(new PolicyStatement({ actions: ["sqs:ListQueues"], resources: ["*"] }));
    });
    expect(found).toEqual(["AwsSolutions-IAM5[Resource::*] on CaptureNodePolicy"]);
  });

  it("finds what docs/security.md says, for these reasons", () => {
    const text = readFileSync(new URL("../docs/security.md", import.meta.url), "utf8");
    const table = text.slice(text.indexOf("| finding | where |")).split("\n\n")[0]!;
    const rows = table
      .split("\n")
      .slice(2)
      .map((row) =>
        row
          .slice(1, -1)
          .split("|")
          .map((cell) => cell.trim()),
      );
    expect(rows).toEqual(
      acknowledged("arn:<AWS::Partition>:sqs:<AWS::Region>:<AWS::AccountId>:<prefix>-action-*", [
        "all alarms",
      ]).map(({ ids, where, mendedBy, reason }) => [
        ids.map((id) => `\`${id}\``).join(" "),
        where.join(", "),
        mendedBy === undefined ? "" : `\`${mendedBy}\``,
        reason,
      ]),
    );
  });
});
