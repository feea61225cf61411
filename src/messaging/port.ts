import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { Port } from "../maintainer/port.ts";
import { DynamoStore } from "../storage/dynamodb/store.ts";
import type { Store } from "../storage/memory.ts";
import { Sender, type SenderOptions } from "./actions.ts";

export interface Clients {
  readonly dynamodb: DynamoDBClient;
  readonly sqs: SQSClient;
}

/**
 * SDK clients as a function needs them: connections are kept, and a request that hangs is given up long before the
 * function's own timeout. Endpoint, region and credentials come from the environment.
 */
export function createClients(): Clients {
  const handler = () =>
    new NodeHttpHandler({
      connectionTimeout: 1_000,
      requestTimeout: 5_000,
      httpsAgent: { keepAlive: true, maxSockets: 64 },
    });
  return {
    dynamodb: new DynamoDBClient({ requestHandler: handler(), maxAttempts: 4 }),
    sqs: new SQSClient({ requestHandler: handler(), maxAttempts: 4 }),
  };
}

export interface PortOptions extends SenderOptions {
  readonly table: string;
}

export interface AwsPort extends Port {
  readonly store: DynamoStore;
  readonly sender: Sender;
}

/** The port on DynamoDB and SQS. */
export function createPort(clients: Clients, options: PortOptions): AwsPort {
  const store = new DynamoStore(clients.dynamodb, { table: options.table });
  const sender = new Sender(clients.sqs, options);
  const half = Object.fromEntries(
    STORE_METHODS.map((method) => [method, (store[method] as (...args: never[]) => unknown).bind(store)]),
  ) as unknown as Store;
  return {
    ...half,
    store,
    sender,
    send: (messages) => sender.send(messages),
    deadLetter: (letter) => sender.deadLetter(letter),
    pause,
  };
}

const STORE_METHODS = [
  "readRoot",
  "commitRoot",
  "readChunks",
  "putChunks",
  "expireChunks",
  "readBarrier",
  "touchBarrier",
  "touchTally",
  "readTallies",
  "keep",
  "readKept",
  "dropKept",
  "registerSpace",
  "listSpaces",
] as const satisfies readonly (keyof Store)[];

/** Full jitter: who lost a race comes back at a random moment, later with every loss. */
async function pause(attempt: number): Promise<void> {
  const upTo = Math.min(1_000, 5 * 2 ** attempt);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * upTo));
}
