import { startContainer } from "./docker.ts";

/** A LocalStack to run against, and how to let go of it. */
export interface Endpoint {
  readonly url: string;
  /** What it is, for the log. */
  readonly about: string;
  stop(): Promise<void>;
}

/** Why there is no LocalStack: one line for the person who ran the command. */
export class NoLocalStack extends Error {
  override readonly name = "NoLocalStack";
}

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

/** What LocalStack says of itself; undefined if it does not answer. */
export async function healthOf(url: string): Promise<{ version: string } | undefined> {
  try {
    const answer = await fetch(`${url}/_localstack/health`, { signal: AbortSignal.timeout(3_000) });
    if (!answer.ok) return undefined;
    const { version } = (await answer.json()) as { version?: string };
    return { version: version ?? "of unknown version" };
  } catch {
    return undefined;
  }
}
