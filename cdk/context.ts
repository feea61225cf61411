import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { SecurityGroup, Subnet, Vpc } from "aws-cdk-lib/aws-ec2";
import { ManagedPolicy } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { Topic } from "aws-cdk-lib/aws-sns";
import type { Construct } from "constructs";
import { WeirError } from "../src/error/weir-error.ts";
import type { WeirProps } from "./props.ts";

/** How a value of the command line (always text), or of cdk.json, becomes a property. */
type Reader = (value: string, scope: Construct) => Partial<Mutable<WeirProps>>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Days that CloudWatch Logs knows. */
const RETENTIONS = Object.values(RetentionDays).filter((one) => typeof one === "number");

const READERS: Readonly<Record<string, Reader>> = {
  prefix: (prefix) => ({ prefix }),
  removal: (value) => ({ removalPolicy: choice(value, REMOVALS) }),
  encryptionKeyArn: (value, scope) => ({
    encryptionKey: Key.fromKeyArn(scope, "EncryptionKey", arn(value, "kms", "key/")),
  }),
  alarmTopicArn: (value, scope) => ({
    alarmTopic: Topic.fromTopicArn(scope, "AlarmTopic", arn(value, "sns", "")),
  }),
  oldestBarrierAlarmSeconds: (value) => ({ oldestBarrierAlarm: Duration.seconds(whole(value)) }),
  longWriteAlarmSeconds: (value) => ({ longWriteAlarm: Duration.seconds(whole(value)) }),
  maximumConcurrency: (value) => ({ maximumConcurrency: whole(value) }),
  minimumPollers: (value) => ({ provisionedPollers: { minimum: whole(value) } }),
  maximumPollers: (value) => ({ provisionedPollers: { maximum: whole(value) } }),
  reservedConcurrency: (value) => ({ reservedConcurrency: whole(value) }),
  provisionedConcurrency: (value) => ({ provisionedConcurrency: whole(value) }),
  memorySize: (value) => ({ memorySize: whole(value) }),
  logRetentionDays: (value) => ({ logRetention: retention(value) }),
  permissionsBoundaryArn: (value, scope) => ({
    permissionsBoundary: ManagedPolicy.fromManagedPolicyArn(scope, "Boundary", arn(value, "iam", "policy/")),
  }),
  // The zones are those of the subnets, which are named; here one is asked for and not used.
  vpcId: (vpcId, scope) => ({
    vpc: Vpc.fromVpcAttributes(scope, "Vpc", { vpcId, availabilityZones: ["any"] }),
  }),
  subnetIds: (value, scope) => ({
    vpcSubnets: { subnets: list(value).map((id) => Subnet.fromSubnetId(scope, `Subnet-${id}`, id)) },
  }),
  securityGroupIds: (value, scope) => ({
    securityGroups: list(value).map((id) => SecurityGroup.fromSecurityGroupId(scope, `Group-${id}`, id)),
  }),
  senderAccounts: (value) => ({ senderAccounts: list(value) }),
  redrivers: (value) => ({ redrivers: list(value) }),
  schedulerQueue: (schedulerQueue) => ({ schedulerQueue }),
  retireAfterDays: (value) => ({ retireAfter: Duration.days(whole(value)) }),
};

const REMOVALS = { retain: RemovalPolicy.RETAIN, destroy: RemovalPolicy.DESTROY };

/** The context options that a deployment is made with: those of the construct, and the stack's name. */
export const CONTEXT_OPTIONS = [...Object.keys(READERS), "stackName"] as const;

/**
 * Props from context: `-c NAME=VALUE`, or `context` in cdk.json.
 * @throws Error that says which option is wrong, what it is and what to use
 */
export function propsFromContext(scope: Construct): WeirProps {
  const context = scope.node.getAllContext() as Record<string, unknown>;
  // A name with a colon or slash is one of the CDK's own; anything else that is not known is a slip of the pen.
  for (const name of Object.keys(context))
    if (!/[:/]/.test(name) && !CONTEXT_OPTIONS.includes(name))
      throw new WeirError("bad-input", `context ${name} is not known: use ${CONTEXT_OPTIONS.join(", ")}`);

  let props: WeirProps = {};
  for (const [name, read] of Object.entries(READERS)) {
    const value = context[name];
    if (value === undefined || value === "") continue;
    try {
      const { provisionedPollers, ...one } = read(
        Array.isArray(value) ? value.join(",") : String(value),
        scope,
      );
      props = {
        ...props,
        ...one,
        ...(provisionedPollers && {
          provisionedPollers: { ...props.provisionedPollers, ...provisionedPollers },
        }),
      };
    } catch (error) {
      throw new WeirError(
        "bad-input",
        `context ${name} is "${value}": ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  if (props.vpc !== undefined && props.vpcSubnets === undefined)
    throw new WeirError(
      "bad-input",
      "context subnetIds is missing: with vpcId, name the subnets for the functions, id,id,...",
    );
  return props;
}

function whole(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new WeirError("bad-input", "use a whole number");
  return Number(value);
}

function choice<T>(value: string, among: Readonly<Record<string, T>>): T {
  if (!Object.hasOwn(among, value))
    throw new WeirError("bad-input", `use ${Object.keys(among).join(" or ")}`);
  return among[value]!;
}

function retention(value: string): RetentionDays {
  const days = whole(value);
  if (!RETENTIONS.includes(days))
    throw new WeirError(
      "bad-input",
      `use a number of days that CloudWatch Logs knows: ${RETENTIONS.join(", ")} (9999: for ever)`,
    );
  return days;
}

function list(value: string): string[] {
  const all = value.split(",").map((one) => one.trim());
  if (all.some((one) => one === "")) throw new WeirError("bad-input", "use names with commas between them");
  return all;
}

function arn(value: string, service: string, resource: string): string {
  if (!new RegExp(`^arn:[a-z-]+:${service}:[a-z0-9-]*:[0-9]{12}:${resource}.+`).test(value))
    throw new WeirError("bad-input", `use an ARN, arn:aws:${service}:...:${resource || "name"}`);
  return value;
}
