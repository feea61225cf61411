import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { fileOf } from "./dependency.ts";
import { clientConfig, ENVIRONMENT, REGION, type Target } from "./target.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CDKLOCAL = fileOf("aws-cdk-local", "bin/cdklocal");
const DEPLOY_MS = 300_000;

/** Names that no other run has. */
export function namesOfRun(): { stackName: string; prefix: string } {
  const run = Date.now().toString(36);
  return { stackName: `WeirTest-${run}`, prefix: `weir-test-${run}` };
}

/** The stack of one run: deployed by CloudFormation from what `cdk synth` gives, with cdklocal. */
export class Deployment {
  readonly endpoint: string;
  readonly names: { readonly stackName: string; readonly prefix: string };
  /** The synthesized app, with the bundled functions. */
  readonly #assembly = mkdtempSync(join(tmpdir(), "weir-localstack-"));

  constructor(endpoint: string, names: { stackName: string; prefix: string }) {
    this.endpoint = endpoint;
    this.names = names;
  }

  /** Makes the account ready for assets, unless somebody did. @returns whether there was something to do */
  async bootstrap(): Promise<boolean> {
    if (await this.#exists("CDKToolkit")) return false;
    // Elsewhere than in the app's folder: it need not be synthesized for this.
    await this.#cdklocal(["bootstrap", `aws://000000000000/${REGION}`], tmpdir());
    return true;
  }

  async deploy(): Promise<Target> {
    const { stackName, prefix } = this.names;
    const outputsFile = join(this.#assembly, "outputs.json");
    const context = { stackName, prefix, removal: "destroy" };
    await this.#cdklocal([
      ...["deploy", stackName, "--require-approval", "never", "--output", this.#assembly],
      ...["--outputs-file", outputsFile],
      ...Object.entries(context).flatMap(([name, value]) => ["--context", `${name}=${value}`]),
    ]);
    const outputs = JSON.parse(readFileSync(outputsFile, "utf8"))[stackName] as Record<string, string>;
    return { endpoint: this.endpoint, stackName, prefix, outputs };
  }

  /** Deletes the stack, if there is one. */
  async destroy(): Promise<void> {
    if (await this.#exists(this.names.stackName))
      await this.#cdklocal(["destroy", this.names.stackName, "--force", "--app", this.#assembly]);
    rmSync(this.#assembly, { recursive: true, force: true });
  }

  async #exists(StackName: string): Promise<boolean> {
    const client = new CloudFormationClient(clientConfig(this.endpoint));
    try {
      await client.send(new DescribeStacksCommand({ StackName }));
      return true;
    } catch (error) {
      if (error instanceof Error && /does not exist/.test(error.message)) return false;
      throw error;
    } finally {
      client.destroy();
    }
  }

  /** @throws with what cdklocal wrote, if it fails or takes too long */
  #cdklocal(args: readonly string[], cwd = ROOT): Promise<void> {
    const env = {
      ...process.env,
      ...ENVIRONMENT,
      AWS_ENDPOINT_URL: this.endpoint,
      AWS_ENDPOINT_URL_S3: this.endpoint,
      // The app is TypeScript: `node` must be the one that comes with the dependencies.
      PATH: join(ROOT, "node_modules", ".bin") + delimiter + process.env["PATH"],
    };
    const child = spawn(process.execPath, [CDKLOCAL, ...args], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: DEPLOY_MS,
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (data: Buffer) => {
        text += data;
      });
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => {
        if (code === 0) return resolve();
        const why = signal ? `did not end within ${DEPLOY_MS / 1000} s` : `ended with ${code}`;
        reject(new Error(`cdklocal ${args[0]} ${why}:\n${text.slice(-5_000)}`));
      });
    });
  }
}
