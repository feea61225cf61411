import {
  GetFunctionConfigurationCommand,
  LambdaClient,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
} from "@aws-sdk/client-lambda";
import { Resources } from "./resources.ts";
import { clientConfig, type Target } from "./target.ts";

/** The variables of the deployed maintainer, which a test can change for a while. */
export class Environment {
  readonly functionName: string;
  /** As they were deployed. */
  readonly variables: Readonly<Record<string, string>>;
  readonly lambda: LambdaClient;

  private constructor(lambda: LambdaClient, functionName: string, variables: Record<string, string>) {
    this.lambda = lambda;
    this.functionName = functionName;
    this.variables = variables;
  }

  static async read(target: Target): Promise<Environment> {
    const lambda = new LambdaClient(clientConfig(target.endpoint));
    const FunctionName = (await Resources.read(target)).idOf("AWS::Lambda::Function", "Maintainer");
    const found = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
    return new Environment(lambda, FunctionName, found.Environment!.Variables!);
  }

  /** Resolves when the function runs with these. */
  async use(Variables: Readonly<Record<string, string>>): Promise<void> {
    const FunctionName = this.functionName;
    const { lambda: client } = this;
    await client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment: { Variables } }));
    await waitUntilFunctionUpdatedV2(
      { client, maxWaitTime: 60, minDelay: 0.5, maxDelay: 1 },
      { FunctionName },
    );
  }

  close(): void {
    this.lambda.destroy();
  }
}
