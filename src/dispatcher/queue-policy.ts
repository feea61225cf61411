import { UnsafeQueue } from "./errors.ts";

/** Seconds for which a received action is not delivered again; a longer write extends it. */
const VISIBILITY_SECONDS = 30;
/** What SQS keeps a message for, in seconds, and takes at most, in bytes, unless it is told otherwise. */
const RETENTION_SECONDS = 345_600;
const MESSAGE_BYTES = 262_144;

/** Denies everything that does not come over TLS. `*` is the queue that the policy belongs to: a queue's policy reaches no other. */
const TLS_ONLY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      Sid: "TlsOnly",
      Effect: "Deny",
      Principal: { AWS: "*" },
      Action: "sqs:*",
      Resource: "*",
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
  ],
});

/**
 * What a new action queue is created with: open to TLS only, and encrypted.
 * @param kmsKeyId the deployment's key; absent: SQS's own (SSE-SQS)
 */
export function queueAttributes(kmsKeyId: string | undefined): Record<string, string> {
  return {
    VisibilityTimeout: String(VISIBILITY_SECONDS),
    Policy: TLS_ONLY,
    ...(kmsKeyId === undefined ? { SqsManagedSseEnabled: "true" } : { KmsMasterKeyId: kmsKeyId }),
  };
}

interface Statement {
  readonly Effect?: unknown;
  readonly Action?: unknown;
  readonly Condition?: { readonly Bool?: Readonly<Record<string, unknown>> };
}

/**
 * Looks at a queue that is there: somebody else may have created it, who may use the prefix too (protocol.md D12).
 * @param attributes as SQS names them
 * @returns what is weaker, or slower, than in a queue that the node creates; nothing of it lets anybody in
 * @throws UnsafeQueue if others may read it or send to it, or get what it holds
 */
export function differences(
  name: string,
  attributes: Readonly<Record<string, string>>,
  kmsKeyId: string | undefined,
): string[] {
  const statements = statementsOf(attributes["Policy"]);
  const unsafe: string[] = [];
  if (statements === undefined) unsafe.push("its policy cannot be read");
  else if (statements.some((one) => one.Effect !== "Deny"))
    unsafe.push("its policy lets others in, and an action queue needs nobody let in");
  if (attributes["RedrivePolicy"])
    unsafe.push(
      "it has a redrive policy: actions end in another queue, and the coordinator does not learn of it",
    );
  if (unsafe.length > 0)
    throw new UnsafeQueue(
      `queue ${name} was not created by a node like this one: ${unsafe.join("; ")}. Find out who created it, then delete it: it is created anew`,
    );
  return [...weaker(attributes, statements ?? [], kmsKeyId)];
}

function* weaker(
  attributes: Readonly<Record<string, string>>,
  statements: readonly Statement[],
  kmsKeyId: string | undefined,
): Generator<string> {
  if (!statements.some(isTlsOnly)) yield "its policy does not deny what comes without TLS";
  const key = attributes["KmsMasterKeyId"];
  if (kmsKeyId !== undefined && plainKey(key) !== plainKey(kmsKeyId))
    yield `it is encrypted with ${key ? `key ${key}` : "no key of yours"} in place of ${kmsKeyId}`;
  // An engine on this machine says nothing of it.
  else if (!key && attributes["SqsManagedSseEnabled"] === "false") yield "it is not encrypted";
  const number = (attribute: string, usual: number) => Number(attributes[attribute] ?? usual);
  if (number("VisibilityTimeout", VISIBILITY_SECONDS) !== VISIBILITY_SECONDS)
    yield `VisibilityTimeout is ${attributes["VisibilityTimeout"]} and not ${VISIBILITY_SECONDS}`;
  if (number("DelaySeconds", 0) > 0)
    yield `DelaySeconds is ${attributes["DelaySeconds"]}: every action is late`;
  if (number("MessageRetentionPeriod", RETENTION_SECONDS) < RETENTION_SECONDS)
    yield `MessageRetentionPeriod is ${attributes["MessageRetentionPeriod"]} and below ${RETENTION_SECONDS}`;
  if (number("MaximumMessageSize", MESSAGE_BYTES) < MESSAGE_BYTES)
    yield `MaximumMessageSize is ${attributes["MaximumMessageSize"]} and below ${MESSAGE_BYTES}: large answers are refused`;
}

/** The statements of a policy; none: there is no policy; undefined: it is none that can be read. */
function statementsOf(policy: string | undefined): Statement[] | undefined {
  if (!policy) return [];
  try {
    const { Statement } = JSON.parse(policy) as { Statement?: unknown };
    const all = [Statement].flat();
    return all.every((one) => typeof one === "object" && one !== null) ? (all as Statement[]) : undefined;
  } catch {
    return undefined;
  }
}

function isTlsOnly({ Action, Condition }: Statement): boolean {
  const everything = [Action].flat().some((one) => /^(sqs:)?\*$/i.test(String(one)));
  return everything && String(Condition?.Bool?.["aws:SecureTransport"]) === "false";
}

/** A key's id, of its ARN too. */
const plainKey = (key: string | undefined) => key?.replace(/^arn:.*:key\//, "");
