/** Errors as the SDK throws them, and what a person is told. */
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startDynamo } from "../local/engines.ts";
import { asProblem } from "./aws-problem.ts";
import { clientConfig } from "./deployment.ts";
import { Problem } from "./problem.ts";

beforeEach(() => {
  for (const name of [
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
  ])
    vi.stubEnv(name, undefined);
  // Neither files of this machine nor the network are asked.
  for (const name of ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"]) vi.stubEnv(name, "/dev/null");
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
});
afterEach(() => vi.unstubAllEnvs());

const credentials = { accessKeyId: "test", secretAccessKey: "test" };

async function problemOf(config: ConstructorParameters<typeof DynamoDBClient>[0]): Promise<Problem> {
  const client = new DynamoDBClient({ maxAttempts: 1, ...config });
  const error = await client.send(new ListTablesCommand()).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  client.destroy();
  const problem = asProblem(error);
  if (problem === undefined) throw error;
  return problem;
}

it("says what is missing, or that nobody answers", async () => {
  const endpoint = "http://127.0.0.1:1";
  expect((await problemOf(clientConfig({ endpoint }))).message).toMatch(
    /^no AWS credentials were found: set/,
  );
  expect((await problemOf({ ...clientConfig({}), credentials })).message).toMatch(/^no AWS region is known/);
  const refused = await problemOf({ ...clientConfig({ endpoint }), credentials });
  expect(refused.message).toMatch(/^nothing answers there: look at --endpoint .*ECONNREFUSED/);
  expect(() => clientConfig({ endpoint: "localstack" })).toThrow(Problem);
});

it("leaves alone what it does not know", async () => {
  const engine = await startDynamo();
  const client = new DynamoDBClient({ endpoint: engine.url, region: "us-east-1", credentials });
  const error = await client.send(new ListTablesCommand({ Limit: -1 })).catch((thrown: unknown) => thrown);
  client.destroy();
  await engine.stop();
  expect(error).toBeInstanceOf(Error);
  expect(asProblem(error)).toBeUndefined();
  expect(asProblem("no error")).toBeUndefined();
});

it.each([
  [{}, undefined],
  [{ AWS_DEFAULT_REGION: "eu-west-1" }, "eu-west-1"],
  [{ AWS_REGION: "eu-central-1", AWS_DEFAULT_REGION: "eu-west-1" }, "eu-central-1"],
])("takes the region of the environment %o", (environment, region) => {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  expect(clientConfig({})).toEqual(region === undefined ? {} : { region });
  expect(clientConfig({ region: "us-west-2" })).toEqual({ region: "us-west-2" });
  const endpoint = "http://127.0.0.1:4566";
  expect(clientConfig({ endpoint })).toEqual({ endpoint, region: region ?? "us-east-1" });
});
