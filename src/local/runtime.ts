/**
 * The inside of an execution environment: loads a bundled function and answers one invocation after the other over IPC,
 * as the Lambda runtime does. It is the program of a process of its own.
 */
import { pathToFileURL } from "node:url";

export interface InvocationRequest {
  readonly id: number;
  readonly event: unknown;
  readonly requestId: string;
  readonly deadline: number;
}

export type InvocationAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

const [, , bundle = ""] = process.argv;
const { handler } = (await import(pathToFileURL(bundle).href)) as {
  handler: (event: unknown, context: unknown) => Promise<unknown>;
};

process.on("message", async ({ id, event, requestId, deadline }: InvocationRequest) => {
  const name = process.env["AWS_LAMBDA_FUNCTION_NAME"];
  const context = {
    awsRequestId: requestId,
    functionName: name,
    functionVersion: "$LATEST",
    invokedFunctionArn: `arn:aws:lambda:us-east-1:000000000000:function:${name}`,
    memoryLimitInMB: "512",
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  try {
    answer({ id, result: (await handler(event, context)) ?? null });
  } catch (error) {
    answer({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");

function answer(message: InvocationAnswer): void {
  process.send?.(message);
}
