/** What properties change in the template. */
import { App, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { SecurityGroup, Subnet, Vpc } from "aws-cdk-lib/aws-ec2";
import { ManagedPolicy } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { Topic } from "aws-cdk-lib/aws-sns";
import { describe, expect, it } from "vitest";
import { Weir, type WeirProps } from "../cdk/construct.ts";
import { statementsOf } from "./checks/rights.ts";
import { ALARMS } from "./checks/watch.ts";
import { CONTEXT, namesOf, resource, synthesize } from "./template.ts";

const inVpc = (stack: Stack): WeirProps => ({
  vpc: Vpc.fromVpcAttributes(stack, "Vpc", { vpcId: "vpc-0a1b2c3d", availabilityZones: ["any"] }),
  vpcSubnets: { subnets: [Subnet.fromSubnetId(stack, "Subnet", "subnet-0a1b2c3d")] },
});

describe("properties", () => {
  it("prefix is in the names of action queues, in rights, metrics and outputs", () => {
    const all = synthesize({ prefix: "orders" });
    expect(all.outputs["ActionQueuePrefix"]).toEqual({ Value: "orders-action-" });
    expect(statementsOf(all, "SweeperRole/DefaultPolicy")[1]!.Resource).toMatch(/:orders-action-\*$/);
    expect(resource(all, "RejectedMessagesAlarm").Properties["Dimensions"]).toEqual([
      { Name: "service", Value: "orders" },
    ]);
    expect(synthesize({}).outputs["ActionQueuePrefix"]).toEqual({ Value: "weir-action-" });
  });

  it("removalPolicy DESTROY lets everything go, the table's protection too", () => {
    const all = synthesize({ removalPolicy: RemovalPolicy.DESTROY });
    expect(resource(all, "Table").Properties["DeletionProtectionEnabled"]).toBe(false);
    for (const name of ["Table", "StatusQueue", "DeadLetterQueue"])
      expect(resource(all, name)).toMatchObject({ DeletionPolicy: "Delete", UpdateReplacePolicy: "Delete" });
  });

  it("encryptionKey encrypts table and queues, and everybody may use it through those services only", () => {
    const all = synthesize((stack) => ({ encryptionKey: new Key(stack, "Key") }));
    const key = "<Key.Arn>";
    expect(resource(all, "Table").Properties["SSESpecification"]).toEqual({
      KMSMasterKeyId: key,
      SSEEnabled: true,
      SSEType: "KMS",
    });
    for (const name of ["StatusQueue", "DeadLetterQueue"]) {
      expect(resource(all, name).Properties).toMatchObject({
        KmsMasterKeyId: key,
        KmsDataKeyReusePeriodSeconds: 3600,
      });
      expect(resource(all, name).Properties).not.toHaveProperty("SqsManagedSseEnabled");
    }
    const via = (...services: string[]) => ({
      StringEquals: { "kms:ViaService": services.map((service) => `${service}.<Region>.amazonaws.com`) },
    });
    for (const role of ["Maintainer", "Sweeper"])
      expect(statementsOf(all, `${role}Role/DefaultPolicy`).filter((one) => one.Sid === "Key")).toEqual([
        {
          Sid: "Key",
          Effect: "Allow",
          Action: [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
          ],
          Resource: key,
          Condition: via("dynamodb", "sqs"),
        },
      ]);
    expect(statementsOf(all, "CaptureNodePolicy").at(-1)).toEqual({
      Sid: "Key",
      Effect: "Allow",
      Action: ["kms:Decrypt", "kms:GenerateDataKey"],
      Resource: key,
      Condition: via("sqs"),
    });
  });

  it("encryptionKey encrypts logs, and lets CloudWatch Logs use it for this account's log groups", () => {
    const all = synthesize((stack) => ({ encryptionKey: new Key(stack, "Key") }));
    for (const name of ["MaintainerLogs", "SweeperLogs"])
      expect(resource(all, name).Properties["KmsKeyId"]).toBe("<Key.Arn>");
    const { Statement } = resource(all, "Key").Properties["KeyPolicy"] as { Statement: unknown[] };
    expect(Statement.at(-1)).toEqual({
      Sid: "WeirLogs",
      Effect: "Allow",
      Principal: { Service: "logs.<Region>.<URLSuffix>" },
      Action: ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
      Resource: "*",
      Condition: {
        ArnLike: {
          "kms:EncryptionContext:aws:logs:arn": "arn:<Partition>:logs:<Region>:<AccountId>:log-group:*",
        },
      },
    });
    expect(all.outputs["EncryptionKeyArn"]).toEqual({ Value: "<Key.Arn>" });
    expect(synthesize().outputs).not.toHaveProperty("EncryptionKeyArn");
    expect(resource(synthesize(), "SweeperLogs").Properties).not.toHaveProperty("KmsKeyId");
  });

  it("alarmTopic gets every alarm when it goes off and when it is over; without it there is no action", () => {
    const all = synthesize((stack) => ({ alarmTopic: new Topic(stack, "Topic") }));
    const without = synthesize();
    expect(namesOf(all, "AWS::CloudWatch::Alarm")).toHaveLength(Object.keys(ALARMS).length);
    for (const name of namesOf(all, "AWS::CloudWatch::Alarm")) {
      expect(resource(all, name).Properties).toMatchObject({
        AlarmActions: ["<Topic>"],
        OKActions: ["<Topic>"],
      });
      expect(resource(without, name).Properties).not.toHaveProperty("AlarmActions");
    }
  });

  it("alarm thresholds are those that are given", () => {
    const all = synthesize({ oldestBarrierAlarm: Duration.minutes(2), longWriteAlarm: Duration.hours(8) });
    expect(resource(all, "OldestBarrierAlarm").Properties["Threshold"]).toBe(120_000);
    expect(resource(all, "LongWriteAlarm").Properties["Threshold"]).toBe(8 * 3_600_000);
  });

  it("concurrency is bounded, or pollers are provisioned", () => {
    const bounded = synthesize({ maximumConcurrency: 40 });
    expect(resource(bounded, "Reports").Properties["ScalingConfig"]).toEqual({ MaximumConcurrency: 40 });
    const { Properties } = resource(
      synthesize({ provisionedPollers: { minimum: 3, maximum: 30 } }),
      "Reports",
    );
    expect(Properties["ProvisionedPollerConfig"]).toEqual({ MinimumPollers: 3, MaximumPollers: 30 });
    expect(Properties).not.toHaveProperty("ScalingConfig");
    const least = resource(synthesize({ provisionedPollers: { minimum: 2 } }), "Reports").Properties;
    expect(least["ProvisionedPollerConfig"]).toEqual({ MinimumPollers: 2 });
  });

  it("reservedConcurrency is kept for the maintainer, and one for the sweeper", () => {
    const all = synthesize({ reservedConcurrency: 20 });
    expect(resource(all, "Maintainer").Properties["ReservedConcurrentExecutions"]).toBe(20);
    expect(resource(all, "Sweeper").Properties["ReservedConcurrentExecutions"]).toBe(1);
  });

  it("provisionedConcurrency starts maintainers beforehand, and reports go to those", () => {
    const all = synthesize({ provisionedConcurrency: 3 });
    const [alias, ...others] = namesOf(all, "AWS::Lambda::Alias");
    expect([alias, ...others]).toEqual(["MaintainerStarted"]);
    expect(resource(all, alias!).Properties).toMatchObject({
      FunctionName: "<Maintainer>",
      ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 3 },
    });
    expect(resource(all, "Reports").Properties["FunctionName"]).toMatch(/MaintainerStarted.*:started$/);
    expect(namesOf(synthesize(), "AWS::Lambda::Version")).toEqual([]);
  });

  it("the policy for one node names its queues and no other, whatever its neighbour is called", () => {
    const all = synthesize({ prefix: "test" }, (weir) => {
      const policy = weir.captureNodePolicyFor("n1");
      expect(weir.captureNodePolicyFor("n1")).toBe(policy);
      weir.captureNodePolicyFor("n1-x");
    });
    const queue = (name: string) => `arn:<Partition>:sqs:<Region>:<AccountId>:test-action-${name}`;
    expect(statementsOf(all, "CaptureNode-n1").map(({ Resource }) => Resource)).toEqual([
      [queue("n1"), queue("n1-redo")],
      "<StatusQueue.Arn>",
    ]);
    expect(statementsOf(all, "CaptureNode-n1-x")[0]!.Resource).toEqual([queue("n1-x"), queue("n1-x-redo")]);
    for (const [id, reason] of [
      ["n1-redo", /does not end in "-redo"/],
      ["", /is "": use 1 to 63 letters/],
      ["n*", /is "n\*": use/],
      ["n".repeat(64), /use 1 to 63/],
    ] as const)
      synthesize({ prefix: "test" }, (weir) => {
        expect(() => weir.captureNodePolicyFor(id)).toThrow(reason);
      });
  });

  it("memorySize, logRetention and schedulerQueue reach both functions", () => {
    const all = synthesize({
      memorySize: 1024,
      logRetention: RetentionDays.ONE_YEAR,
      schedulerQueue: "weir-action-scheduler",
    });
    for (const name of ["Maintainer", "Sweeper"]) {
      expect(resource(all, name).Properties).toMatchObject({
        MemorySize: 1024,
        Environment: { Variables: { WEIR_SCHEDULER_QUEUE: "weir-action-scheduler" } },
      });
      expect(resource(all, `${name}Logs`).Properties["RetentionInDays"]).toBe(365);
    }
  });

  it("redrivers may bring dead letters back, beside the coordinator's own roles", () => {
    const all = synthesize({ redrivers: ["AROAEXAMPLEID2345678"] });
    expect(resource(all, "Maintainer").Properties).toMatchObject({
      Environment: {
        Variables: { WEIR_REDRIVERS: "<MaintainerRole.RoleId>,<SweeperRole.RoleId>,AROAEXAMPLEID2345678" },
      },
    });
  });

  it("permissionsBoundary bounds every role", () => {
    const all = synthesize((stack) => ({
      permissionsBoundary: ManagedPolicy.fromManagedPolicyName(stack, "Boundary", "bounds"),
    }));
    for (const name of namesOf(all, "AWS::IAM::Role"))
      expect(resource(all, name).Properties["PermissionsBoundary"]).toMatch(/:policy\/bounds$/);
  });

  it("vpc puts both functions into its subnets, in a group without ingress, with the rights that Lambda needs", () => {
    const all = synthesize(inVpc);
    for (const name of ["Maintainer", "Sweeper"]) {
      expect(resource(all, name).Properties["VpcConfig"]).toEqual({
        SecurityGroupIds: [`<${name}/SecurityGroup.GroupId>`],
        SubnetIds: ["subnet-0a1b2c3d"],
      });
      expect(resource(all, `${name}/SecurityGroup`).Properties).not.toHaveProperty("SecurityGroupIngress");
      expect(
        statementsOf(all, `${name}Role/DefaultPolicy`).find((one) => one.Sid === "NetworkInterfaces"),
      ).toEqual({
        Sid: "NetworkInterfaces",
        Effect: "Allow",
        Action: [
          "ec2:AssignPrivateIpAddresses",
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:UnassignPrivateIpAddresses",
        ],
        Resource: "*",
      });
      expect(resource(all, `${name}Role`).Properties).not.toHaveProperty("ManagedPolicyArns");
    }
    const own = synthesize((stack) => ({
      ...inVpc(stack),
      securityGroups: [SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-0a1b2c3d")],
    }));
    expect(resource(own, "Sweeper").Properties["VpcConfig"]).toMatchObject({
      SecurityGroupIds: ["sg-0a1b2c3d"],
    });
  });

  it("senderAccounts may send to the status queue, by their own policies", () => {
    const all = synthesize({ senderAccounts: ["111111111111", "222222222222"] });
    expect(statementsOf(all, "StatusQueue/Policy")[1]).toMatchObject({
      Principal: {
        AWS: ["<AccountId>", "111111111111", "222222222222"].map((id) => `arn:<Partition>:iam::${id}:root`),
      },
      Action: ["sqs:GetQueueUrl", "sqs:SendMessage"],
      Resource: "<StatusQueue.Arn>",
    });
  });

  it("two coordinators stand in one stack, and nothing has a fixed name", () => {
    const stack = new Stack(new App({ analyticsReporting: false, context: CONTEXT }), "Two");
    const [a, b] = [new Weir(stack, "A", { prefix: "a" }), new Weir(stack, "B", { prefix: "b" })];
    expect(stack.resolve(a.statusQueue.queueName)).not.toEqual(stack.resolve(b.statusQueue.queueName));
    const names = /^(Table|Queue|Function|Role|Rule|Alarm|Dashboard|LogGroup|ManagedPolicy|Policy)Name$/;
    const all = synthesize({ prefix: "x".repeat(40) });
    const named = Object.entries(all.resources).flatMap(([id, { Properties }]) =>
      Object.keys(Properties)
        .filter((key) => names.test(key) && !String(Properties[key]).startsWith("<"))
        .map((key) => `${id} ${key}`),
    );
    // An inline policy's name belongs to its role; the status queue's holds the stack's own id.
    expect(named.sort()).toEqual([
      "MaintainerRole/DefaultPolicy PolicyName",
      "StatusQueue QueueName",
      "SweeperRole/DefaultPolicy PolicyName",
    ]);
    const name = String(resource(all, "StatusQueue").Properties["QueueName"]);
    expect(name.replace("<2 of <StackId>>", crypto.randomUUID()).length).toBeLessThanOrEqual(80);
  });
});
