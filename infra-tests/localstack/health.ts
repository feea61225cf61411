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
