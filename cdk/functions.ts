import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Duration, Fn, RemovalPolicy } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import { Rule, Schedule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import { Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import {
  Alias,
  Architecture,
  type CfnFunction,
  Code,
  EventSourceMapping,
  type IFunction,
  type IVersion,
  RecursiveLoop,
  Runtime,
} from "aws-cdk-lib/aws-lambda";
import {
  LogLevel,
  NodejsFunction,
  type NodejsFunctionProps,
  OutputFormat,
} from "aws-cdk-lib/aws-lambda-nodejs";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { NAMESPACE } from "../src/maintainer/base/metrics.ts";
import { consumerStatement, functionStatements } from "./permissions.ts";
import { actionQueuePrefix, type CheckedProps, DEFAULT_CONCURRENCY } from "./props.ts";
import { type Queues, TIMEOUT } from "./storage.ts";
import { SUBSTITUTES } from "./substitutes.ts";

const here = fileURLToPath(import.meta.url);
const root = dirname(dirname(here));
const MINUTE = Duration.minutes(1);

export interface State extends Queues {
  readonly table: Table;
}

export interface Functions {
  readonly maintainer: NodejsFunction;
  readonly sweeper: NodejsFunction;
}

/** The maintainer on the status queue, and the sweeper once a minute. */
export function createFunctions(scope: Construct, props: CheckedProps, state: State): Functions {
  const maintainer = createFunction(
    scope,
    props,
    state,
    "Maintainer",
    "Weir: folds reports, grants Write, sends actions",
  );
  maintainer.addToRolePolicy(consumerStatement(state.statusQueue));
  const { minimum, maximum } = props.provisionedPollers ?? {};
  new EventSourceMapping(scope, "Reports", {
    target: started(scope, props, maintainer),
    eventSourceArn: state.statusQueue.queueArn,
    // No batching window: a quiet queue would hold a report for its whole length (invariants.md P1).
    batchSize: 10,
    reportBatchItemFailures: true,
    ...(props.provisionedPollers
      ? {
          provisionedPollerConfig: {
            ...(minimum !== undefined && { minimumPollers: minimum }),
            ...(maximum !== undefined && { maximumPollers: maximum }),
          },
        }
      : { maxConcurrency: props.maximumConcurrency ?? DEFAULT_CONCURRENCY }),
  });

  const sweeper = createFunction(
    scope,
    props,
    state,
    "Sweeper",
    "Weir: goes on with what an invocation left half done",
  );
  // Dead letters that they wrote come back in the name of who sent them first (decisions/0016).
  const roles = [maintainer, sweeper].map((one) => (one.role as Role).roleId);
  maintainer.addEnvironment("WEIR_REDRIVERS", Fn.join(",", [...roles, ...(props.redrivers ?? [])]));
  // A sweep that fails is not tried again: the next one is a minute away and does the same.
  sweeper.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: MINUTE });
  new Rule(scope, "SweepSchedule", {
    description: "Weir: sweeps once a minute",
    schedule: Schedule.rate(MINUTE),
    targets: [new LambdaFunction(sweeper, { retryAttempts: 0, maxEventAge: MINUTE })],
  });
  return { maintainer, sweeper };
}

/** The function, or the alias by which alone those of it are reached that have started already. */
function started(scope: Construct, props: CheckedProps, maintainer: NodejsFunction): IFunction {
  if (props.provisionedConcurrency === undefined) return maintainer;
  return new Alias(scope, "MaintainerStarted", {
    aliasName: "started",
    version: maintainer.currentVersion as IVersion,
    provisionedConcurrentExecutions: props.provisionedConcurrency,
  }) as IFunction;
}

function createFunction(
  scope: Construct,
  props: CheckedProps,
  state: State,
  id: "Maintainer" | "Sweeper",
  description: string,
): NodejsFunction {
  const logGroup = new LogGroup(scope, `${id}Logs`, {
    retention: props.logRetention,
    removalPolicy: RemovalPolicy.DESTROY,
    ...(props.encryptionKey && { encryptionKey: props.encryptionKey }),
  });
  const { table, statusQueue, deadLetterQueue } = state;
  const one = new NodejsFunction(scope, id, {
    description,
    ...codeOf(id),
    role: new Role(scope, `${id}Role`, {
      description: `${description} (prefix ${props.prefix})`,
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
    }),
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    timeout: TIMEOUT,
    memorySize: props.memorySize,
    ...(props.reservedConcurrency !== undefined && {
      reservedConcurrentExecutions: id === "Maintainer" ? props.reservedConcurrency : 1,
    }),
    // A node that answers at once makes reports and actions follow each other. That loop ends by itself: a barrier has three
    // messages for each life, repeats are bounded in time, and a report of a closed barrier is answered once. A wave that
    // the function hands over to itself is sent by who gets it, and never handed over again.
    recursiveLoop: RecursiveLoop.ALLOW,
    logGroup,
    ...(props.vpc && {
      vpc: props.vpc,
      ...(props.vpcSubnets && { vpcSubnets: props.vpcSubnets }),
      ...(props.securityGroups && { securityGroups: [...props.securityGroups] }),
    }),
    environment: {
      WEIR_TABLE: table.tableName,
      WEIR_STATUS_QUEUE_URL: statusQueue.queueUrl,
      WEIR_DEAD_LETTER_QUEUE_URL: deadLetterQueue.queueUrl,
      WEIR_ACTION_QUEUE_PREFIX: actionQueuePrefix(props.prefix),
      ...(props.schedulerQueue !== undefined && { WEIR_SCHEDULER_QUEUE: props.schedulerQueue }),
      ...(props.retireAfter !== undefined && { WEIR_RETIRE_AFTER_DAYS: String(props.retireAfter.toDays()) }),
      POWERTOOLS_SERVICE_NAME: props.prefix,
      POWERTOOLS_METRICS_NAMESPACE: NAMESPACE,
    },
  });
  // Set here and not by `tracing`, which would add a statement of its own to the role.
  (one.node.defaultChild as CfnFunction).tracingConfig = { mode: "Active" };
  const statements = functionStatements(scope, props, { table, statusQueue, deadLetterQueue, logGroup });
  for (const statement of statements) one.addToRolePolicy(statement);
  return one;
}

/** The function's sources, bundled when the stack is synthesized; in the published package its bundle (decisions/0018). */
function codeOf(id: string): NodejsFunctionProps {
  if (here.endsWith(".js"))
    return { code: Code.fromAsset(join(root, "functions", id)), handler: "index.handler" };
  return {
    entry: join(root, "functions", `${id.toLowerCase()}.ts`),
    projectRoot: root,
    // CDK wants the name of a file that is there; nothing is installed by it.
    depsLockFilePath: join(root, "package.json"),
    bundling: {
      format: OutputFormat.ESM,
      target: "node24",
      minify: true,
      // Beside the bundle and without the sources' text: read when the first stack trace is (functions/stack-traces.ts).
      sourceMap: true,
      sourcesContent: false,
      mainFields: ["module", "main"],
      bundleAwsSDK: true,
      forceDockerBundling: false,
      logLevel: LogLevel.ERROR,
      esbuildArgs: Object.fromEntries(
        Object.entries(SUBSTITUTES).map(([module, file]) => [`--alias:${module}`, file]),
      ),
    },
  };
}
