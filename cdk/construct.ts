import { CfnOutput, Fn, Stack } from "aws-cdk-lib";
import type { Alarm } from "aws-cdk-lib/aws-cloudwatch";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import { type ManagedPolicy, PermissionsBoundary, type Role } from "aws-cdk-lib/aws-iam";
import type { NodejsFunction } from "aws-cdk-lib/aws-lambda-nodejs";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { acknowledgeFindings } from "./acknowledged.ts";
import { createAlarms } from "./alarms.ts";
import { createDashboard } from "./dashboard.ts";
import { createFunctions } from "./functions.ts";
import { createCaptureNodePolicy, createPolicyForNode, letLogsUseKey } from "./permissions.ts";
import { actionQueuePrefix, type CheckedProps, checkProps, type WeirProps } from "./props.ts";
import { createQueues, createTable, type Queues } from "./storage.ts";

export type { ProvisionedPollers, WeirProps } from "./props.ts";

/**
 * One coordinator: table, status queue and dead-letter queue, the maintainer on the status queue, the sweeper once a
 * minute, alarms and a dashboard. Capture nodes create their action queues themselves, under the prefix.
 */
export class Weir extends Construct {
  readonly table: Table;
  readonly statusQueue: Queue;
  readonly deadLetterQueue: Queue;
  readonly maintainer: NodejsFunction;
  readonly sweeper: NodejsFunction;
  /** What the names of action queues start with. */
  readonly actionQueuePrefix: string;
  /** For the role that capture nodes share. Nodes with a role each get `captureNodePolicyFor`. */
  readonly captureNodePolicy: ManagedPolicy;
  /** All alarms, by the name that docs/operations.md explains. */
  readonly alarms: Readonly<Record<string, Alarm>>;
  /** Unique ids of the roles that send actions: what capture nodes know the coordinator by (`coordinators`, `Config.Coordinators`). */
  readonly coordinatorIds: readonly string[];
  readonly #props: CheckedProps;
  readonly #queues: Queues;

  /** @throws Error that names every wrong property, what it is and what to use */
  constructor(scope: Construct, id: string, props: WeirProps = {}) {
    super(scope, id);
    const checked = checkProps(props, this.node.path, Stack.of(this).stackName);
    if (checked.permissionsBoundary) PermissionsBoundary.of(this).apply(checked.permissionsBoundary);
    this.actionQueuePrefix = actionQueuePrefix(checked.prefix);

    this.table = createTable(this, checked);
    const queues = createQueues(this, checked);
    this.#props = checked;
    this.#queues = queues;
    letLogsUseKey(this, checked);
    this.statusQueue = queues.statusQueue;
    this.deadLetterQueue = queues.deadLetterQueue;
    const functions = createFunctions(this, checked, { table: this.table, ...queues });
    this.maintainer = functions.maintainer;
    this.sweeper = functions.sweeper;
    this.captureNodePolicy = createCaptureNodePolicy(this, checked, queues);
    this.alarms = createAlarms(this, checked, { ...queues, ...functions });
    const dashboard = createDashboard(
      this,
      checked,
      { table: this.table, ...queues, ...functions },
      this.alarms,
    );
    const roles = [this.maintainer, this.sweeper].map((one) => one.role!);
    this.coordinatorIds = roles.map((role) => (role as Role).roleId);
    acknowledgeFindings(this, checked);

    new CfnOutput(this, "TableName", { value: this.table.tableName });
    new CfnOutput(this, "StatusQueueUrl", { value: this.statusQueue.queueUrl });
    new CfnOutput(this, "DeadLetterQueueUrl", { value: this.deadLetterQueue.queueUrl });
    new CfnOutput(this, "ActionQueuePrefix", { value: this.actionQueuePrefix });
    new CfnOutput(this, "CoordinatorIds", { value: Fn.join(",", [...this.coordinatorIds]) });
    if (checked.encryptionKey)
      new CfnOutput(this, "EncryptionKeyArn", { value: checked.encryptionKey.keyArn });
    new CfnOutput(this, "CaptureNodePolicyArn", { value: this.captureNodePolicy.managedPolicyArn });
    new CfnOutput(this, "DashboardName", { value: dashboard.dashboardName });
  }

  /**
   * The policy for one capture node whose role is its own: it may use its own action queue and report. Nodes with one queue
   * (`layout: "node"`, the default) need no more. Asked for again, it is the same one.
   * @param node the id that the node is created with
   * @throws Error if no node can have this id
   */
  captureNodePolicyFor(node: string): ManagedPolicy {
    const there = this.node.tryFindChild(`CaptureNode-${node}`) as ManagedPolicy | undefined;
    return there ?? createPolicyForNode(this, this.#props, this.#queues, node);
  }
}
