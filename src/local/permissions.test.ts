import { rmSync } from "node:fs";
import { GetItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import {
  CreateQueueCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createClients } from "../messaging/aws-port.ts";
import { CREDENTIALS, type LocalDeployment, REGION, startLocal } from "./deployment.ts";
import { FUNCTION_APP_ID } from "./engines.ts";
import { Permissions } from "./permissions.ts";
import { synthesizeOnce } from "./synth-cache.ts";
import { resourcesOf, type Synthesized } from "./template.ts";

let synthesized: Synthesized;
let local: LocalDeployment;
beforeAll(async () => {
  synthesized = await synthesizeOnce("weir");
  local = await startLocal();
});
afterAll(async () => {
  // What the test provoked is not forgotten.
  await expect(local.stop()).rejects.toThrow(
    /Sweeper\w+ in the template does not allow dynamodb:Scan on table/,
  );
  rmSync(synthesized.assets, { recursive: true });
});
const idOf = (name: string) =>
  resourcesOf(synthesized, "AWS::Lambda::Function").find(([id]) => id.includes(name))![0];

describe("the policies of the template, as functions on this machine are held to them", () => {
  const refuse = (name: string, action: string, resource: string) => {
    const names = { ref: (id: string) => id, attribute: (id: string) => `arn:${id}` };
    return new Permissions(synthesized, names).refuse({ functionId: idOf(name), action, resource });
  };
  const idStarting = (type: string, start: string) =>
    resourcesOf(synthesized, type).find(([id]) => id.startsWith(start))![0];

  it("allow what is in them, by the wildcard too, and nothing else", () => {
    const table = idStarting("AWS::DynamoDB::Table", "WeirTable");
    const status = idStarting("AWS::SQS::Queue", "WeirStatusQueue");
    expect(refuse("Maintainer", "dynamodb:UpdateItem", table)).toBeUndefined();
    expect(refuse("Maintainer", "sqs:SendMessage", "weir-action-n1")).toBeUndefined();
    expect(refuse("Maintainer", "sqs:ReceiveMessage", status)).toBeUndefined();
    for (const [name, action, resource] of [
      ["Maintainer", "dynamodb:DeleteItem", table],
      ["Maintainer", "dynamodb:UpdateItem", "another"],
      ["Maintainer", "sqs:SendMessage", "other-action-n1"],
      ["Maintainer", "sqs:PurgeQueue", status],
      ["Sweeper", "sqs:ReceiveMessage", status],
    ] as const)
      expect(refuse(name, action, resource)).toMatch(
        new RegExp(`^the role of Weir${name}\\w+ in the template does not allow ${action} on ${resource}$`),
      );
  });
});

describe("a function that asks for what its role does not allow", () => {
  it("is refused by both engines, and others are not", async () => {
    const others = new SQSClient({
      endpoint: local.endpoint.sqs,
      region: REGION,
      credentials: { ...CREDENTIALS },
    });
    const { QueueUrl: outside } = await others.send(new CreateQueueCommand({ QueueName: "outside" }));
    others.destroy();
    for (const [as, refused] of [
      [`${FUNCTION_APP_ID}${idOf("Sweeper")}`, true],
      ["somebody", false],
    ] as const) {
      vi.stubEnv("AWS_REGION", REGION);
      vi.stubEnv("AWS_ACCESS_KEY_ID", CREDENTIALS.accessKeyId);
      vi.stubEnv("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secretAccessKey);
      vi.stubEnv("AWS_ENDPOINT_URL_SQS", local.endpoint.sqs);
      vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", local.endpoint.dynamodb);
      vi.stubEnv("AWS_SDK_UA_APP_ID", as);
      const { dynamodb, sqs } = createClients();
      const TableName = local.table;
      const Key = { pk: { S: "a" }, sk: { S: "b" } };
      await dynamodb.send(new GetItemCommand({ TableName, Key }));
      const Entries = [{ Id: "1", MessageBody: "x" }];
      const asked = [
        dynamodb.send(new ScanCommand({ TableName })),
        sqs.send(new CreateQueueCommand({ QueueName: "weir-action-n1" })),
        sqs.send(new SendMessageBatchCommand({ QueueUrl: outside!, Entries })),
      ];
      for (const result of await Promise.allSettled(asked)) {
        expect(result.status).toBe(refused ? "rejected" : "fulfilled");
        if (result.status === "rejected")
          expect(result.reason.message).toMatch(/does not allow (dynamodb|sqs):/);
      }
      await sqs.send(new SendMessageCommand({ QueueUrl: local.deadLetterQueueUrl, MessageBody: "x" }));
      vi.unstubAllEnvs();
      dynamodb.destroy();
      sqs.destroy();
    }
  });
});
