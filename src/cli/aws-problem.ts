import { printable } from "../error/printable.ts";
import { codeOf } from "../error/weir-error.ts";
import { Problem } from "./problem.ts";

/** What a caller of AWS can put right, by the name or code of the error. */
const ADVICE: readonly [RegExp, string][] = [
  [
    /^CredentialsProviderError$/,
    "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (LocalStack takes test and test)",
  ],
  [
    /^(UnrecognizedClientException|InvalidClientTokenId|InvalidSignatureException|SignatureDoesNotMatch|AuthFailure)$/,
    "AWS does not know these credentials: look at AWS_PROFILE or AWS_ACCESS_KEY_ID",
  ],
  [/^ExpiredToken(Exception)?$/, "the AWS credentials have expired: sign in again"],
  [
    /^ResourceNotFoundException$/,
    "there is no such table in this account and region: name the stack's output TableName with --table",
  ],
  [/^AccessDenied(Exception)?$/, "these credentials may not do that"],
  [
    /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ETIMEDOUT|EAI_AGAIN|TimeoutError)$/,
    "nothing answers there: look at --endpoint and --region",
  ],
];

/** The error as a problem that says what to do, if it is one of those that every caller of AWS knows. */
export function asProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  if (/^Region is missing$/.test(error.message))
    return new Problem("no AWS region is known: name it with --region, or set AWS_REGION");
  // One of Weir's own is a sentence already.
  const code = codeOf(error);
  if (code !== undefined) return new Problem(`${printable(error.message)} (${code})`, 1);
  const names = [error.name, "code" in error ? String(error.code) : ""];
  const [, advice] = ADVICE.find(([pattern]) => names.some((name) => pattern.test(name))) ?? [];
  // Of several addresses that were tried, the message is empty.
  const said = error.message ? ` (${printable(error.message)})` : "";
  return advice === undefined ? undefined : new Problem(`${advice}${said}`, 1);
}
