import { type Duration, RemovalPolicy, Token } from "aws-cdk-lib";
import type { ISecurityGroup, IVpc, SubnetSelection } from "aws-cdk-lib/aws-ec2";
import type { IManagedPolicy } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import { WeirError } from "../src/error/weir-error.ts";

/** What a coordinator can be told. All of it has a default; nothing has a fixed physical name. */
export interface WeirProps {
  /**
   * Action queues are named `<prefix>-action-*`; the coordinator sends to no other. Letters, digits, `-` and `_`, up to 40;
   * without `-action-`, and not ending in `-action`.
   * One prefix belongs to one coordinator of an account and region: it is also the dimension `service` of its metrics.
   * Default: `weir`.
   */
  readonly prefix?: string;
  /**
   * What becomes of table and queues when the stack is deleted: RETAIN or DESTROY. With RETAIN the table is also
   * protected against deletion. Default: RETAIN.
   */
  readonly removalPolicy?: RemovalPolicy;
  /**
   * Encrypts table, queues and logs. Its key policy must let the account's IAM policies use it (the default of a new key), and
   * CloudWatch Logs; the construct adds that where the key is made in the app, not where it is imported (docs/deploy.md has the statement).
   * Default: the account's key for DynamoDB that AWS manages, SQS's own (SSE-SQS), and that of CloudWatch Logs.
   */
  readonly encryptionKey?: IKey;
  /** Gets every alarm when it goes off and when it is over. Default: alarms are on the dashboard only. */
  readonly alarmTopic?: ITopic;
  /** A barrier this old that nobody is writing sets off an alarm; at least a minute. Default: 5 minutes. */
  readonly oldestBarrierAlarm?: Duration;
  /** A barrier this old whose writer is still at work sets off an alarm; at least a minute. Default: an hour. */
  readonly longWriteAlarm?: Duration;
  /** Maintainers at work at the same time, 2 to 1000. Not together with `provisionedPollers`. Default: 10. */
  readonly maximumConcurrency?: number;
  /** Pollers that are always there, where the first report after a quiet time must not wait. Default: none. */
  readonly provisionedPollers?: ProvisionedPollers;
  /**
   * Maintainers that the account keeps free for this coordinator, and bounds it to; one more is kept for the sweeper. At least
   * `maximumConcurrency`. It is taken from what the account's other functions have. Default: none is kept.
   */
  readonly reservedConcurrency?: number;
  /**
   * Maintainers that have started already, so that no report waits for a cold start. They cost by the hour. At most
   * `reservedConcurrency`, if that is given. Default: none.
   */
  readonly provisionedConcurrency?: number;
  /** Memory of the functions in MB, 256 to 10240; the processor grows with it. Default: 1769, at which they have a whole one
   * (docs/deploy.md has the measurement). */
  readonly memorySize?: number;
  /** How long logs stay. Default: a month. */
  readonly logRetention?: RetentionDays;
  /** A managed policy that bounds the roles of both functions. Default: none. */
  readonly permissionsBoundary?: IManagedPolicy;
  /**
   * Where the functions run. The subnets need a way to DynamoDB (a gateway endpoint) and SQS (an interface endpoint);
   * logs, metrics and traces need none. Default: in no VPC.
   */
  readonly vpc?: IVpc;
  /** With `vpc`. Default: the private subnets. */
  readonly vpcSubnets?: SubnetSelection;
  /** With `vpc`. Default: a new one, without ingress. */
  readonly securityGroups?: readonly ISecurityGroup[];
  /** Ids of other accounts whose principals may send to the status queue, by their own policies. Default: none. */
  readonly senderAccounts?: readonly string[];
  /**
   * Unique ids (`AROA...` of a role, `AIDA...` of a user; `aws iam get-role` shows it) of the operators who redrive dead
   * letters: what they bring back counts as its first sender's. The coordinator's own roles are among them. Default: none.
   */
  readonly redrivers?: readonly string[];
  /**
   * Name of the queue of whoever schedules dispatchers; starts with `<prefix>-action-`. It is told which tables were
   * added. Default: the table trigger's node is told.
   */
  readonly schedulerQueue?: string;
  /**
   * A changefeed that nobody has spoken for so long is not swept any more; it comes back when somebody does. Whole days, at
   * least two; none (`Duration.days(0)`): all are swept for ever. Default: 30 days.
   */
  readonly retireAfter?: Duration;
}

/** How many pollers of the status queue there are. */
export interface ProvisionedPollers {
  /** 2 to 200. Default: 2. */
  readonly minimum?: number;
  /** 2 to 2000, at least `minimum`. Default: 200. */
  readonly maximum?: number;
}

/** Maintainers at a time, unless somebody says otherwise. */
export const DEFAULT_CONCURRENCY = 10;

/** What action queues append to the prefix: a word and at most a dispatcher's id of 32 hexadecimal digits. */
const ACTION_INFIX = "-action-";
const MAX_QUEUE_NAME = 80;
/** Ends the name of a node's queue for redo. */
const REDO = "-redo";
const MAX_PREFIX = MAX_QUEUE_NAME - ACTION_INFIX.length - 32;

/** What the names of a coordinator's action queues start with. */
export const actionQueuePrefix = (prefix: string) => `${prefix}${ACTION_INFIX}`;

/**
 * The names of a capture node's queue: for the default mode, and for redo (src/dispatcher/node.ts).
 * @throws Error if no node can have this id
 */
export function nodeQueues(prefix: string, node: string): string[] {
  const queue = `${actionQueuePrefix(prefix)}${node}`;
  const most = MAX_QUEUE_NAME - actionQueuePrefix(prefix).length - REDO.length;
  if (Token.isUnresolved(node) || !/^[A-Za-z0-9_-]+$/.test(node) || node.length > most)
    throw new WeirError(
      "bad-input",
      `the id of a capture node is "${node}": use 1 to ${most} letters, digits, - and _`,
    );
  if (node.endsWith(REDO))
    throw new WeirError(
      "bad-input",
      `the id of a capture node is "${node}": use one that does not end in "${REDO}", or its queue is that of another node for redo`,
    );
  return [queue, `${queue}${REDO}`];
}

/**
 * protocol.md R17: whether some other coordinator's `<prefix>-action-*` could cover names that begin so: its capture nodes could read and delete
 * what is queued there.
 */
export const isWithinReach = (name: string) => /-action(-|$)/.test(name);

/** All properties, by name: from JavaScript, or through a cast, others can come. */
const PROPERTIES: Readonly<Record<keyof WeirProps, true>> = {
  prefix: true,
  removalPolicy: true,
  encryptionKey: true,
  alarmTopic: true,
  oldestBarrierAlarm: true,
  longWriteAlarm: true,
  maximumConcurrency: true,
  provisionedPollers: true,
  reservedConcurrency: true,
  provisionedConcurrency: true,
  memorySize: true,
  logRetention: true,
  permissionsBoundary: true,
  vpc: true,
  vpcSubnets: true,
  securityGroups: true,
  senderAccounts: true,
  redrivers: true,
  schedulerQueue: true,
  retireAfter: true,
};

const DEFAULTS = {
  prefix: "weir",
  removalPolicy: RemovalPolicy.RETAIN,
  memorySize: 1769,
  logRetention: RetentionDays.ONE_MONTH,
} as const;

export type CheckedProps = WeirProps & Required<Pick<WeirProps, keyof typeof DEFAULTS>>;

/**
 * Props with their defaults.
 * @param where the construct's path, for errors
 * @param stackName the dead-letter queue's name begins with it
 * @throws Error that says which property is wrong, what it is and what to use; all that is wrong at once
 */
export function checkProps(props: WeirProps, where: string, stackName: string): CheckedProps {
  const given = Object.fromEntries(Object.entries(props).filter(([, value]) => value !== undefined));
  const all = { ...DEFAULTS, ...given } as CheckedProps;
  const faults = [...unknown(given), ...faultsOf(all)];
  if (!Token.isUnresolved(stackName) && isWithinReach(stackName))
    faults.push(
      `the stack is named "${stackName}": use a name without "${ACTION_INFIX}" that does not end in "-action", or the capture nodes of a coordinator with the prefix "${stackName.split("-action")[0]}" could reach its queues`,
    );
  if (faults.length > 0)
    throw new WeirError("bad-input", `Weir at "${where}":\n${faults.map((one) => `  ${one}`).join("\n")}`);
  return all;
}

function* unknown(given: Readonly<Record<string, unknown>>): Generator<string> {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(PROPERTIES, name))
      yield `${name} is not known: use ${Object.keys(PROPERTIES).join(", ")}`;
}

function* faultsOf(props: CheckedProps): Generator<string> {
  const { prefix } = props;
  if (Token.isUnresolved(prefix))
    yield "prefix is known only at deployment: use a string that is known when the stack is synthesized";
  else if (!/^[A-Za-z0-9_-]+$/.test(prefix) || prefix.length > MAX_PREFIX)
    yield `prefix is "${prefix}": use 1 to ${MAX_PREFIX} letters, digits, - and _ (a queue's name has ${MAX_QUEUE_NAME}, of which ${MAX_QUEUE_NAME - MAX_PREFIX} are taken by "${ACTION_INFIX}" and a dispatcher's id)`;
  else if (isWithinReach(prefix))
    yield `prefix is "${prefix}": use one without "${ACTION_INFIX}" that does not end in "-action", or the capture nodes of a coordinator with the prefix "${prefix.split("-action")[0]}" could reach its queues`;
  if (props.removalPolicy !== RemovalPolicy.RETAIN && props.removalPolicy !== RemovalPolicy.DESTROY)
    yield `removalPolicy is "${props.removalPolicy}": use RETAIN or DESTROY`;

  yield* whole("maximumConcurrency", props.maximumConcurrency, 2, 1000);
  yield* concurrency(props);
  yield* whole("memorySize", props.memorySize, 256, 10240);
  const { provisionedPollers } = props;
  if (provisionedPollers !== undefined) {
    if (props.maximumConcurrency !== undefined)
      yield "maximumConcurrency and provisionedPollers exclude each other: leave one of them out (with provisioned pollers, their maximum bounds the maintainers: ten times as many)";
    yield* whole("provisionedPollers.minimum", provisionedPollers.minimum, 2, 200);
    yield* whole("provisionedPollers.maximum", provisionedPollers.maximum, 2, 2000);
    const { minimum = 2, maximum = 200 } = provisionedPollers;
    if (minimum > maximum)
      yield `provisionedPollers.minimum is ${minimum} and its maximum ${maximum}: use a maximum that is not lower`;
  }
  yield* atLeastAMinute("oldestBarrierAlarm", props.oldestBarrierAlarm);
  yield* atLeastAMinute("longWriteAlarm", props.longWriteAlarm);

  if (props.vpc === undefined)
    for (const name of ["vpcSubnets", "securityGroups"] as const)
      if (props[name] !== undefined) yield `${name} is given without vpc: name the vpc, or leave it out`;
  for (const account of props.senderAccounts ?? [])
    if (!Token.isUnresolved(account) && !/^\d{12}$/.test(account))
      yield `senderAccounts holds "${account}": use account ids, twelve digits each, as strings`;
  for (const redriver of props.redrivers ?? [])
    if (!Token.isUnresolved(redriver) && !/^A[A-Z0-9]{15,127}$/.test(redriver))
      yield `redrivers holds "${redriver}": use unique ids of roles or users, as in AROAEXAMPLEID2345678, not names or ARNs`;
  yield* wholeDays("retireAfter", props.retireAfter);
  const queue = props.schedulerQueue;
  const start = actionQueuePrefix(prefix);
  if (queue !== undefined && !(queue.startsWith(start) && /^[A-Za-z0-9_-]{1,80}$/.test(queue)))
    yield `schedulerQueue is "${queue}": use the name (not the URL) of a queue that starts with "${start}"`;
}

function* concurrency(props: CheckedProps): Generator<string> {
  const { reservedConcurrency: reserved, provisionedConcurrency: provisioned, provisionedPollers } = props;
  yield* whole("reservedConcurrency", reserved, 2, 10_000);
  yield* whole("provisionedConcurrency", provisioned, 1, 10_000);
  if (reserved === undefined || Token.isUnresolved(reserved)) return;
  const maintainers = props.maximumConcurrency ?? (provisionedPollers ? 0 : DEFAULT_CONCURRENCY);
  if (!Token.isUnresolved(maintainers) && reserved < maintainers)
    yield `reservedConcurrency is ${reserved} and maximumConcurrency ${maintainers}: reserve at least as many, or reports are throttled`;
  if (provisioned !== undefined && !Token.isUnresolved(provisioned) && provisioned > reserved)
    yield `provisionedConcurrency is ${provisioned} and reservedConcurrency ${reserved}: reserve at least as many`;
}

function* whole(name: string, value: number | undefined, least: number, most: number): Generator<string> {
  if (value === undefined || Token.isUnresolved(value)) return;
  if (!Number.isInteger(value) || value < least || value > most)
    yield `${name} is ${value}: use a whole number from ${least} to ${most}`;
}

function* atLeastAMinute(name: string, value: Duration | undefined): Generator<string> {
  if (value !== undefined && !value.isUnresolved() && value.toSeconds({ integral: false }) < 60)
    yield `${name} is ${value.toHumanString()}: use at least a minute, the sweeper measures once a minute`;
}

function* wholeDays(name: string, value: Duration | undefined): Generator<string> {
  if (value === undefined || value.isUnresolved()) return;
  const days = value.toSeconds({ integral: false }) / 86_400;
  if (!Number.isInteger(days) || days === 1)
    yield `${name} is ${value.toHumanString()}: use whole days, at least two, or none for never (it is known to the day when somebody spoke)`;
}
