import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { findLocalDeployments } from "../local/discovery.ts";
import { Connections } from "../messaging/connections.ts";
import { Problem } from "./problem.ts";
import { warn } from "./say.ts";

/** How a command names the deployment that it is about. */
export interface DeploymentOptions {
  readonly endpoint?: string;
  readonly table?: string;
  readonly region?: string;
}

export interface ConnectedDeployment {
  readonly dynamodb: DynamoDBClient;
  readonly sqs: SQSClient;
  readonly table: string;
  /** Known of a local deployment only. */
  readonly actionQueuePrefix: string | undefined;
  /** It is a weir local that runs here. */
  readonly isLocal: boolean;
}

/**
 * How an SDK client finds what the options name. The region is that of `--region`, of the environment, or of the profile;
 * with an endpoint and no region, LocalStack's default.
 */
export function clientConfig({ endpoint, region }: Pick<DeploymentOptions, "endpoint" | "region">) {
  const { AWS_REGION, AWS_DEFAULT_REGION, AWS_PROFILE } = process.env;
  if (endpoint !== undefined && !URL.canParse(endpoint))
    throw new Problem(`--endpoint is "${endpoint}": use a URL like http://127.0.0.1:4566`);
  const fallback = endpoint !== undefined && AWS_PROFILE === undefined ? "us-east-1" : undefined;
  const chosen = region ?? AWS_REGION ?? AWS_DEFAULT_REGION ?? fallback;
  return { ...(endpoint !== undefined && { endpoint }), ...(chosen !== undefined && { region: chosen }) };
}

/** ms that a person waits for an answer before it is asked again; the SDK asks three times. */
const ANSWER_MS = 10_000;
/** Requests of a client that all end, whatever becomes of the network. */
export const connections = () => new Connections({ answerMs: ANSWER_MS, connectMs: 5_000 });

/**
 * Connects to the deployment that is named, or to the weir local that runs here.
 * @param use whether it is to be changed: then there must be no doubt which one
 * @throws Problem if there is none, or several that could be meant
 */
export function connectDeployment(
  options: DeploymentOptions,
  use: "read" | "change" = "read",
): ConnectedDeployment {
  if (options.endpoint !== undefined || options.table !== undefined) {
    const { table } = options;
    if (table === undefined) throw new Problem("--table is missing: name the stack's output TableName");
    const config = () => ({ ...clientConfig(options), requestHandler: connections() });
    return {
      dynamodb: new DynamoDBClient(config()),
      sqs: new SQSClient(config()),
      table,
      actionQueuePrefix: undefined,
      isLocal: false,
    };
  }
  const [local, another] = findLocalDeployments();
  if (!local)
    throw new Problem(
      "no weir local runs here: start one, or name a deployment with --table (and --endpoint)",
    );
  if (another && use === "change")
    throw new Problem("several weir local run here, and nothing was changed: stop the others");
  if (another) warn(`weir: several run here, this is the one with process id ${local.pid}`);
  const { endpoint, region, credentials, table, actionQueuePrefix } = local.endpoints;
  return {
    dynamodb: new DynamoDBClient({
      endpoint: endpoint.dynamodb,
      region,
      credentials,
      requestHandler: connections(),
    }),
    sqs: new SQSClient({ endpoint: endpoint.sqs, region, credentials, requestHandler: connections() }),
    table,
    actionQueuePrefix,
    isLocal: true,
  };
}
