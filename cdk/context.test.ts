import { App, RemovalPolicy, Stack } from "aws-cdk-lib";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { describe, expect, it } from "vitest";
import { CONTEXT } from "../infra-tests/template.ts";
import { Weir } from "./construct.ts";
import { propsFromContext } from "./context.ts";

describe("context", () => {
  const read = (context: Record<string, unknown>) =>
    propsFromContext(new Stack(new App({ analyticsReporting: false, context }), "Context"));

  it("has an option for each property", () => {
    const props = read({
      prefix: "orders",
      removal: "destroy",
      encryptionKeyArn: "arn:aws:kms:eu-west-1:111111111111:key/1234",
      alarmTopicArn: "arn:aws:sns:eu-west-1:111111111111:alarms",
      oldestBarrierAlarmSeconds: "120",
      longWriteAlarmSeconds: "7200",
      minimumPollers: "2",
      maximumPollers: 20,
      reservedConcurrency: "40",
      provisionedConcurrency: "3",
      memorySize: "1024",
      logRetentionDays: "7",
      permissionsBoundaryArn: "arn:aws:iam::111111111111:policy/bounds",
      vpcId: "vpc-0a1b2c3d",
      subnetIds: "subnet-0a1b2c3d, subnet-0a1b2c3e",
      securityGroupIds: "sg-0a1b2c3d",
      senderAccounts: ["222222222222", "333333333333"],
      schedulerQueue: "orders-action-scheduler",
      retireAfterDays: "0",
      stackName: "Orders",
      "@aws-cdk/core:checkSecretUsage": true,
      "aws:cdk:enable-path-metadata": true,
    });
    expect(props).toMatchObject({
      prefix: "orders",
      removalPolicy: RemovalPolicy.DESTROY,
      provisionedPollers: { minimum: 2, maximum: 20 },
      reservedConcurrency: 40,
      provisionedConcurrency: 3,
      memorySize: 1024,
      logRetention: RetentionDays.ONE_WEEK,
      senderAccounts: ["222222222222", "333333333333"],
      schedulerQueue: "orders-action-scheduler",
    });
    expect(props.encryptionKey!.keyArn).toBe("arn:aws:kms:eu-west-1:111111111111:key/1234");
    expect(props.alarmTopic!.topicArn).toBe("arn:aws:sns:eu-west-1:111111111111:alarms");
    expect(props.oldestBarrierAlarm!.toSeconds()).toBe(120);
    expect(props.retireAfter!.toDays()).toBe(0);
    expect(props.longWriteAlarm!.toSeconds()).toBe(7200);
    expect(props.permissionsBoundary!.managedPolicyArn).toBe("arn:aws:iam::111111111111:policy/bounds");
    expect(props.vpc!.vpcId).toBe("vpc-0a1b2c3d");
    expect(props.vpcSubnets!.subnets!.map((one) => one.subnetId)).toEqual([
      "subnet-0a1b2c3d",
      "subnet-0a1b2c3e",
    ]);
    expect(props.securityGroups!.map((one) => one.securityGroupId)).toEqual(["sg-0a1b2c3d"]);
    expect(read({ maximumConcurrency: "20" })).toEqual({ maximumConcurrency: 20 });
    expect(read({})).toEqual({});
  });

  it("makes a stack in a VPC", () => {
    const context = { vpcId: "vpc-0a1b2c3d", subnetIds: "subnet-0a1b2c3d", securityGroupIds: "sg-0a1b2c3d" };
    const app = new App({
      analyticsReporting: false,
      context: { ...context, ...CONTEXT },
    });
    const stack = new Stack(app, "Vpc");
    const weir = new Weir(stack, "Weir", propsFromContext(stack));
    expect(weir.maintainer.connections.securityGroups.map((one) => one.securityGroupId)).toEqual([
      "sg-0a1b2c3d",
    ]);
    app.synth();
  });

  it.each<[Record<string, unknown>, string]>([
    [{ maxConcurrency: "5" }, "context maxConcurrency is not known: use prefix, removal, "],
    [{ maximumConcurrency: "many" }, 'context maximumConcurrency is "many": use a whole number'],
    [{ removal: "maybe" }, 'context removal is "maybe": use retain or destroy'],
    [
      { logRetentionDays: "8" },
      'context logRetentionDays is "8": use a number of days that CloudWatch Logs knows: 1, 3, 5, 7',
    ],
    [{ alarmTopicArn: "alarms" }, 'context alarmTopicArn is "alarms": use an ARN, arn:aws:sns:...:name'],
    [{ encryptionKeyArn: "arn:aws:sns:eu-west-1:111111111111:x" }, "use an ARN, arn:aws:kms:...:key/"],
    [{ senderAccounts: "1,,2" }, "use names with commas between them"],
    [{ vpcId: "vpc-0a1b2c3d" }, "context subnetIds is missing: with vpcId, name the subnets"],
  ])("%o is refused", (context, message) => {
    expect(() => read(context)).toThrow(message);
  });
});
