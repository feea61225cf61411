/** The store's contract on the DynamoDB engine behind LocalStack: the same suite as on the embedded one. */
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll } from "vitest";
import { storeContract } from "../../src/storage/testing/contract.ts";
import { dynamoContract } from "../../src/storage/testing/dynamo-contract.ts";
import { engineOf } from "../../src/storage/testing/engine.ts";
import { progress } from "./progress.ts";
import { clientConfig, readTarget } from "./target.ts";

const target = readTarget();
const client = new DynamoDBClient(clientConfig(target.endpoint));
const engine = engineOf(client, `${target.prefix}-`);
afterAll(async () => {
  await engine.deleteTables();
  client.destroy();
});

progress("the store's contract on the engine behind LocalStack");
storeContract("DynamoDB behind LocalStack", (options) => engine.store(options));
dynamoContract(() => engine, true);
