import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import type { Port } from "../maintainer/base/port.ts";
import { DynamoStore, type StoreOptions } from "../storage/dynamodb/store.ts";
import type { Store } from "../storage/memory.ts";
import { pause, Sender, type SenderOptions } from "./actions.ts";
import { Connections } from "./connections.ts";

export interface Clients {
  readonly dynamodb: DynamoDBClient;
  readonly sqs: SQSClient;
}

/**
 * The SDK's own logger throws away what it gets, but after each request a client copies the input and the output for it. For
 * a logger without `info` and `error` none of that is done. The two methods that it has are called without asking.
 */
const QUIET = { debug() {}, warn() {} } as unknown as NonNullable<DynamoDBClientConfig["logger"]>;

export interface ClientOptions {
  /** Milliseconds after which a request without an answer is given up and repeated. Default: 5000. */
  readonly answerTimeout?: number;
  /** Default: 3. All attempts together take less than the function's timeout. */
  readonly attempts?: number;
}

/**
 * SDK clients as a function needs them: connections are kept and bounded, and a request that hangs is given up and made anew on
 * a new connection: an environment may have been frozen in the middle of it. Endpoint,
 * region and credentials come from the environment.
 */
export function createClients({ answerTimeout = 5_000, attempts = 3 }: ClientOptions = {}): Clients {
  const common = () => ({
    maxAttempts: attempts,
    retryMode: "standard",
    logger: QUIET,
    requestHandler: new Connections({ answerMs: answerTimeout }),
  });
  return {
    dynamodb: new DynamoDBClient(common()),
    // Requests go to the endpoint of the environment, never to the host that a queue's URL happens to name.
    sqs: new SQSClient({ ...common(), useQueueUrlAsEndpoint: false }),
  };
}

export interface PortOptions extends SenderOptions, StoreOptions {}

export interface AwsPort extends Port {
  readonly store: DynamoStore;
  readonly sender: Sender;
  /** Requests made so far, by kind, of DynamoDB and of SQS. */
  counts(): RequestsMade;
}

export interface RequestsMade {
  readonly dynamodb: Readonly<Record<string, number>>;
  /** Conditions that failed: each costs its write all the same. */
  readonly failedConditions: number;
  readonly sqs: Readonly<Record<string, number>>;
}

/** The port on DynamoDB and SQS. */
export function createPort(clients: Clients, options: PortOptions): AwsPort {
  const store = new DynamoStore(clients.dynamodb, options);
  const sender = new Sender(clients.sqs, options);
  const methods = Object.keys(STORE_METHODS) as (keyof Store)[];
  const half = Object.fromEntries(
    methods.map((method) => [method, (store[method] as (...args: never[]) => unknown).bind(store)]),
  ) as unknown as Store;
  return {
    ...half,
    store,
    sender,
    send: (messages) => sender.send(messages),
    handOver: (slices) => sender.handOver(slices),
    deadLetter: (letter) => sender.deadLetter(letter),
    pause,
    counts: () => ({
      dynamodb: { ...store.table.counts },
      failedConditions: store.table.failedConditions,
      sqs: { ...sender.counts },
    }),
  };
}

/** Every method of the store: one that is missing here is an error of types, not of the deployed function. */
const STORE_METHODS: Readonly<Record<keyof Store, true>> = {
  readRoot: true,
  commitRoot: true,
  readChunks: true,
  putChunks: true,
  expireChunks: true,
  listChunks: true,
  readBarrier: true,
  touchBarrier: true,
  readHistory: true,
  expireBarriers: true,
  notePositions: true,
  readPositions: true,
  touchTally: true,
  readTallies: true,
  keep: true,
  readKept: true,
  dropKept: true,
  registerSpace: true,
  listSpaces: true,
  readRegistry: true,
  retireSpace: true,
  nextSweepFrom: true,
};
