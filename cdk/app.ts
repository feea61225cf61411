import { App, RemovalPolicy } from "aws-cdk-lib";
import type { WeirProps } from "./construct.ts";
import { WeirStack } from "./stack.ts";

/**
 * Deploys one coordinator: `npx cdk deploy`, with `-c prefix=...`, `-c maximumConcurrency=20`, `-c memorySize=1024` and
 * `-c removal=destroy` as needed.
 */
const app = new App();
const text = (name: string) => app.node.tryGetContext(name) as string | undefined;
const number = (name: string) => {
  const value = text(name);
  if (value === undefined) return undefined;
  if (!/^\d+$/.test(value)) throw new Error(`context ${name} is "${value}": use a whole number`);
  return Number(value);
};
const prefix = text("prefix");
const maximumConcurrency = number("maximumConcurrency");
const memorySize = number("memorySize");
const props: WeirProps = {
  ...(prefix !== undefined && { prefix }),
  ...(maximumConcurrency !== undefined && { maximumConcurrency }),
  ...(memorySize !== undefined && { memorySize }),
  ...(text("removal") === "destroy" && { removalPolicy: RemovalPolicy.DESTROY }),
};
new WeirStack(app, text("stackName") ?? "Weir", props);
