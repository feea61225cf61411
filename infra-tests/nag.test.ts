/** cdk-nag's AwsSolutions on the stack, in its plain form and with everything that adds resources. */
import { App, Stack, Validations } from "aws-cdk-lib";
import { SecurityGroup, Subnet, Vpc } from "aws-cdk-lib/aws-ec2";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { Topic } from "aws-cdk-lib/aws-sns";
import { AwsSolutionsChecks } from "cdk-nag";
import { describe, expect, it } from "vitest";
import { Weir, type WeirProps } from "../cdk/construct.ts";
import { CONTEXT } from "./template.ts";

/** What cdk-nag finds in a stack that nobody acknowledged. */
function findings(make: (stack: Stack) => void, env = {}): string {
  const app = new App({ analyticsReporting: false, context: CONTEXT });
  make(new Stack(app, "Test", env));
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  const { error } = console;
  const lines: string[] = [];
  console.error = (...line) => lines.push(line.join(" "));
  try {
    app.synth();
    return "";
  } catch (thrown) {
    return [...lines, String(thrown)].join("\n");
  } finally {
    console.error = error;
  }
}

const everything = (stack: Stack): WeirProps => ({
  prefix: "orders",
  encryptionKey: new Key(stack, "Key", { enableKeyRotation: true }),
  alarmTopic: Topic.fromTopicArn(stack, "Topic", "arn:aws:sns:eu-west-1:111111111111:alarms"),
  vpc: Vpc.fromVpcAttributes(stack, "Vpc", { vpcId: "vpc-0a1b2c3d", availabilityZones: ["any"] }),
  vpcSubnets: { subnets: [Subnet.fromSubnetId(stack, "Subnet", "subnet-0a1b2c3d")] },
  securityGroups: [SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-0a1b2c3d")],
  senderAccounts: ["222222222222"],
});

describe("cdk-nag", () => {
  it("finds nothing that is not acknowledged", () => {
    expect(findings((stack) => void new Weir(stack, "Weir", { prefix: "test" }))).toBe("");
  });

  it("finds nothing in a stack with everything in it, in an account and region that are known", () => {
    const env = { env: { account: "111111111111", region: "eu-west-1" } };
    expect(findings((stack) => void new Weir(stack, "Weir", everything(stack)), env)).toBe("");
  });

  it("is asked: a right on everything is found", () => {
    const found = findings((stack) => {
      const { captureNodePolicy } = new Weir(stack, "Weir", { prefix: "test" });
      captureNodePolicy.addStatements(new PolicyStatement({ actions: ["sqs:ListQueues"], resources: ["*"] }));
    });
    expect(found).toContain("AwsSolutions-IAM5[Resource::*]");
  });
});
