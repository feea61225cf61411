import { startContainer } from "./docker.ts";
import { type Endpoint, healthOf, NoLocalStack } from "./health.ts";

/**
 * The LocalStack that `LOCALSTACK_ENDPOINT` names, or one in a container of its own.
 * @throws NoLocalStack if neither is there
 */
export async function findEndpoint(): Promise<Endpoint> {
  const named = process.env["LOCALSTACK_ENDPOINT"];
  if (named === undefined || named === "") return startContainer();
  if (!URL.canParse(named))
    throw new NoLocalStack(`LOCALSTACK_ENDPOINT is "${named}": use a URL like http://127.0.0.1:4566`);
  const url = new URL(named).origin;
  const health = await healthOf(url);
  if (health === undefined)
    throw new NoLocalStack(
      `no LocalStack answers at LOCALSTACK_ENDPOINT ${url}: start it, or unset the variable`,
    );
  return { url, about: `LocalStack ${health.version} at ${url}`, stop: async () => undefined };
}
