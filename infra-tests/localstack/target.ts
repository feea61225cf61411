/** The deployment that the tests run against, as the runner hands it to them. */
export interface Target {
  readonly endpoint: string;
  readonly stackName: string;
  readonly prefix: string;
  /** The stack's outputs, by their logical ids. */
  readonly outputs: Readonly<Record<string, string>>;
}

export const REGION = "us-east-1";
const CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test" };

/** What a process needs in its environment to speak with LocalStack, apart from its endpoint. */
export const ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
  AWS_REGION: REGION,
  AWS_DEFAULT_REGION: REGION,
};

/** How an SDK client speaks with LocalStack. An access key of 12 digits is an account of that number there. */
export function clientConfig(endpoint: string, accessKeyId = CREDENTIALS.accessKeyId) {
  return { endpoint, region: REGION, credentials: { ...CREDENTIALS, accessKeyId } };
}

const VARIABLE = "WEIR_LOCALSTACK_TARGET";

export function asVariable(target: Target): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(target) };
}

/** The deployment of this run. @throws if there is none */
export function readTarget(): Target {
  const text = process.env[VARIABLE];
  if (text === undefined)
    throw new Error("these tests need a deployment: run them with npm run test:localstack [-- NAME]");
  return JSON.parse(text) as Target;
}

/** An output by the end of its name, before CDK's hash. @throws if there is no such output */
export function output({ outputs }: Target, name: string): string {
  const [, value] = Object.entries(outputs).find(([id]) => new RegExp(`${name}[0-9A-F]{8}$`).test(id)) ?? [];
  if (value === undefined) throw new Error(`the stack has no output ${name}: ${Object.keys(outputs)}`);
  return value;
}
