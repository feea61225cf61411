import { createRequire } from "node:module";
import { Problem } from "./problem.ts";

/** What a deployment on this machine is made with: the construct, and the engines in place of DynamoDB and SQS. */
export const LOCAL_PACKAGES = ["aws-cdk-lib", "constructs", "dynalite", "fauxqs"] as const;

/**
 * Loads a module that needs packages which the published one does not bring along: they are large, and who runs a capture node
 * or looks at a deployment has no use for them (docs/decisions/0018-package.md).
 * @param who what the caller was about to do
 * @throws Problem that says how those that are missing are installed
 */
export async function needing<T>(
  who: string,
  packages: readonly string[],
  load: () => Promise<T>,
): Promise<T> {
  const missing = packages.filter((name) => !isInstalled(name));
  if (missing.length === 0) return load();
  const { peerDependencies } = createRequire(import.meta.url)("#package") as {
    peerDependencies: Record<string, string>;
  };
  const wanted = missing.map((name) => `"${name}@${peerDependencies[name]}"`).join(" ");
  throw new Problem(`${who} needs more than comes with weir: npm install --save-dev ${wanted}`);
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}
