/**
 * Deploys the real stack onto LocalStack, runs capture nodes against it, and destroys it again.
 * `npm run test:localstack [-- FILTER...]`; docs/localstack.md says what it needs.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Account } from "./account.ts";
import { fileOf } from "./dependency.ts";
import { Deployment, namesOfRun } from "./deployment.ts";
import { findEndpoint } from "./endpoint.ts";
import { type Endpoint, NoLocalStack } from "./health.ts";
import { progress } from "./progress.ts";
import { asVariable, type Target } from "./target.ts";

const VITEST = fileOf("vitest", "vitest.mjs");
const CONFIG = fileURLToPath(new URL("./vitest.config.ts", import.meta.url));
/** What the stack is made of at least; a listing that does not find these would find no leftovers either. */
const MADE = [
  ...["table", "queue", "function", "event source mapping", "log group", "rule", "alarm", "role"],
  "managed policy",
];

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  if (error instanceof NoLocalStack) console.error(`test:localstack: ${error.message}`);
  else console.error(error);
  process.exitCode = 1;
}

/** Everything that was started is taken down in any case; the processes that run now get the signal as well. */
function onSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => progress(`${signal}: cleaning up`));
}

async function main(filters: readonly string[]): Promise<boolean> {
  onSignals();
  const endpoint = await findEndpoint();
  progress(endpoint.about);
  try {
    return await onEndpoint(endpoint, filters);
  } finally {
    await endpoint.stop();
  }
}

/** @returns whether everything is as it should be */
async function onEndpoint(endpoint: Endpoint, filters: readonly string[]): Promise<boolean> {
  const deployment = new Deployment(endpoint.url, namesOfRun());
  const { stackName, prefix } = deployment.names;
  const account = new Account(endpoint.url);
  let passed = false;
  try {
    progress("bootstrapping the account for CDK");
    if (!(await deployment.bootstrap())) progress("  it is already");
    progress(`deploying stack ${stackName}`);
    const target = await deployment.deploy();
    const made = await account.find(stackName, prefix);
    progress(`deployed ${made.length} resources`);
    const unlisted = MADE.filter((kind) => !made.some((one) => one.startsWith(kind)));
    if (unlisted.length > 0)
      throw new Error(`deployed, but not found in the account: ${unlisted.join(", ")}`);
    progress(`running the tests ${filters.join(" ")}`);
    passed = await runTests(target, filters);
  } finally {
    progress(`destroying stack ${stackName}`);
    await deployment.destroy();
    // LocalStack writes logs there whatever log group a function names (stack.test.ts looks at the name).
    await account.deleteLogGroups(`/aws/lambda/${stackName}`);
    const left = await account.find(stackName, prefix);
    // Whatever went wrong, the next run finds the account as it was.
    await account.deleteQueues(prefix);
    await account.deleteBuckets(prefix);
    account.close();
    for (const one of left) progress(`LEFT BEHIND: ${one}`);
    if (left.length > 0) passed = false;
    else progress("nothing is left behind");
  }
  progress(passed ? "passed" : "FAILED");
  return passed;
}

function runTests(target: Target, filters: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, [VITEST, "run", "--config", CONFIG, ...filters], {
    stdio: "inherit",
    env: { ...process.env, ...asVariable(target) },
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code === 0));
  });
}
