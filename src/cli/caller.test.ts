/** An entry of the audit says whose it is beyond the machine that the command ran on. */
import { hostname, userInfo } from "node:os";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it } from "vitest";
import { callerOf } from "./caller.ts";
import type { ConnectedDeployment } from "./deployment.ts";

const here = { by: userInfo().username, host: hostname() };

it.each([
  [false, { accountId: "123456789012" }, { accessKey: "ASIAEXAMPLE", account: "123456789012" }],
  [false, {}, { accessKey: "ASIAEXAMPLE" }],
  [true, {}, { accessKey: "local" }],
])(
  "names user, machine and the key of the requests; at a weir local (%s) that is local",
  async (isLocal, more, said) => {
    const credentials = { accessKeyId: "ASIAEXAMPLE", secretAccessKey: "s", ...more };
    const dynamodb = new DynamoDBClient({ region: "eu-central-1", credentials });
    expect(await callerOf({ dynamodb, isLocal } as ConnectedDeployment)).toEqual({ ...here, ...said });
    dynamodb.destroy();
  },
);
