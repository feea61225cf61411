import {
  CreateTableCommand,
  DeleteTableCommand,
  type DynamoDBClient,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { DynamoStore, type StoreOptions } from "../dynamodb/store.ts";

/** What a store can be tried against: anything that speaks DynamoDB's interface. */
export interface DynamoEngine {
  readonly client: DynamoDBClient;
  /** A store on a table of its own. */
  store(options?: Omit<StoreOptions, "table">): Promise<DynamoStore>;
  /** Deletes the tables that were created here. */
  deleteTables(): Promise<void>;
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

/** An engine behind a client. Names of its tables start with the prefix. */
export function engineOf(client: DynamoDBClient, prefix: string): DynamoEngine {
  const tables: string[] = [];
  return {
    client,
    async store(options) {
      const table = `${prefix}${tables.length}`;
      tables.push(table);
      await createTable(client, table);
      return new DynamoStore(client, { ...options, table });
    },
    async deleteTables() {
      for (const TableName of tables.splice(0)) await client.send(new DeleteTableCommand({ TableName }));
    },
  };
}
