/** Who runs a command that changes something: what is kept of it in the audit (decisions/0046). */
import { hostname, userInfo } from "node:os";
import type { ConnectedDeployment } from "./deployment.ts";

export interface Caller {
  /** The name of the user on this machine. */
  readonly by: string;
  readonly host: string;
  /**
   * The id of the access key that requests are signed with: CloudTrail knows whose it is, also of a role's session. `local`
   * at a weir local.
   */
  readonly accessKey: string;
  /** The account, where the credentials name it. */
  readonly account?: string;
}

/** @throws whatever the credentials' provider does if there are none */
export async function callerOf({ dynamodb, isLocal }: ConnectedDeployment): Promise<Caller> {
  const here = { by: userInfo().username, host: hostname() };
  if (isLocal) return { ...here, accessKey: "local" };
  const { accessKeyId, accountId } = await dynamodb.config.credentials();
  return { ...here, accessKey: accessKeyId, ...(accountId !== undefined && { account: accountId }) };
}
