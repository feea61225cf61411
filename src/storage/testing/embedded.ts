import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import dynalite from "dynalite";
import { DynamoStore, type StoreOptions } from "../dynamodb/store.ts";

/** An engine that a store can be tried against. */
export interface EmbeddedDynamo {
  readonly client: DynamoDBClient;
  readonly url: string;
  /** A store on a table of its own. */
  store(options?: Omit<StoreOptions, "table">): Promise<DynamoStore>;
  stop(): Promise<void>;
}

/** Creates a table with the keys that the store uses, and waits until it can be used. */
export async function createTable(client: DynamoDBClient, table: string): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [
        { AttributeName: "pk", AttributeType: "S" },
        { AttributeName: "sk", AttributeType: "S" },
      ],
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
    }),
  );
  // The engine answers before the table can be used, as DynamoDB does.
  await waitUntilTableExists(
    { client, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.02 },
    { TableName: table },
  );
}

/** Starts dynalite in this process on 127.0.0.1 and a free port. */
export async function startEmbeddedDynamo(): Promise<EmbeddedDynamo> {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 }) as Server;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const client = new DynamoDBClient({
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  let tables = 0;
  return {
    client,
    url,
    async store(options) {
      const table = `weir-${tables++}`;
      await createTable(client, table);
      return new DynamoStore(client, { ...options, table });
    },
    async stop() {
      client.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
