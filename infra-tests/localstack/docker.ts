import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Endpoint, healthOf, NoLocalStack } from "./health.ts";
import { progress } from "./progress.ts";
import { until } from "./until.ts";

/** The last community image that asks for no token. */
export const IMAGE = "localstack/localstack:4.12";

/** What LocalStack runs the functions in: pulled before, or the first report would wait for it. */
const FUNCTION_IMAGE = "public.ecr.aws/lambda/nodejs:24";

const docker = async (...args: string[]) => (await promisify(execFile)("docker", args)).stdout.trim();

/**
 * Starts LocalStack in a container on a free port of 127.0.0.1.
 * @throws NoLocalStack if there is no Docker engine
 */
export async function startContainer(): Promise<Endpoint> {
  try {
    await docker("version", "--format", "{{.Server.Version}}");
  } catch {
    throw new NoLocalStack(
      `set LOCALSTACK_ENDPOINT to a running LocalStack, or start a Docker engine for ${IMAGE}: neither is there`,
    );
  }
  for (const image of [IMAGE, FUNCTION_IMAGE]) {
    progress(`pulling ${image}`);
    // What is here already may do.
    await docker("pull", "--quiet", image).catch(() => undefined);
  }
  const id = await docker(...runArguments());
  const stop = async () => void (await docker("rm", "--force", "--volumes", id));
  try {
    const address = (await docker("port", id, "4566/tcp")).split("\n")[0]!;
    const url = `http://${address}`;
    const { version } = await until(
      `LocalStack in container ${id.slice(0, 12)}`,
      () => healthOf(url),
      120_000,
    );
    return { url, about: `LocalStack ${version} of ${IMAGE} at ${url}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What `docker` is asked to run. The socket is what LocalStack starts the functions' containers with. */
export function runArguments(): string[] {
  return [
    ...["run", "--detach", "--publish", "127.0.0.1::4566"],
    ...["--volume", "/var/run/docker.sock:/var/run/docker.sock"],
    // The functions are built for arm64 and are JavaScript: they run on whatever this is.
    ...["--env", "LAMBDA_IGNORE_ARCHITECTURE=1"],
    ...["--env", "SQS_ENDPOINT_STRATEGY=path"],
    // Its event source looks at a quiet queue every 10 s otherwise.
    ...["--env", "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC=0.2"],
    ...["--env", "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC=1"],
    // It makes nothing of dashboards.
    ...["--env", "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES=1"],
    IMAGE,
  ];
}
