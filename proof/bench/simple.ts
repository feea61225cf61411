/**
 * The design that comes to mind first, for comparison: one item for the barrier, and one conditional update of it for every
 * status, which adds the dispatcher to the set of those who reported. It lives here only.
 */
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Fleet } from "../../src/metered/fleet.ts";
import { Clock } from "../../src/metered/standin/clock.ts";
import { StandInDynamo } from "../../src/metered/standin/dynamodb.ts";
import { nothing, total } from "../../src/metered/standin/meter.ts";

export interface SimpleRow {
  readonly dispatchers: number;
  readonly requests: number;
  readonly units: number;
  /** Units of the one item: a partition takes a thousand a second. */
  readonly hottest: number;
  /** Why it did not come to an end. */
  readonly failed: string | undefined;
}

/** One barrier over a fleet, without any of what a real one needs beside: no roster, no lives, no restarts. */
export async function simpleBarrier(fleet: Fleet): Promise<SimpleRow> {
  const usage = nothing();
  const dynamodb = new StandInDynamo({ clock: new Clock(), usage, latency: 1 });
  const client = dynamodb.client;
  const Key = { pk: { S: "changefeed" }, sk: { S: "barrier" } };
  const ids = fleet.nodes.flatMap((node) =>
    node.members.map((member) => Buffer.from(member.key, "hex").toString("base64url")),
  );

  const update = async (expression: string, condition: string, values: Record<string, AttributeValue>) => {
    const answer = await client.send(
      new UpdateItemCommand({
        TableName: "simple",
        Key,
        UpdateExpression: expression,
        ConditionExpression: condition,
        ExpressionAttributeValues: values,
        ReturnValues: "ALL_NEW",
      }),
    );
    return answer.Attributes!;
  };
  const phase = async (name: string, before: string, after: string) => {
    for (const id of ids) {
      const item = await update(
        `ADD ${name} :id SET phase = if_not_exists(phase, :before)`,
        "attribute_not_exists(phase) OR phase = :before",
        { ":id": { SS: [id] }, ":before": { S: before } },
      );
      if (item[name]!.SS!.length === ids.length)
        await update("SET phase = :after", "phase = :before", {
          ":before": { S: before },
          ":after": { S: after },
        });
    }
  };
  let failed: string | undefined;
  try {
    await phase("waiting", "waiting", "writing");
    await update("SET phase = :after", "phase = :before", {
      ":before": { S: "writing" },
      ":after": { S: "passing" },
    });
    await phase("passed", "passing", "closed");
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException || !(error instanceof Error)) throw error;
    failed = error.message;
  }
  return {
    dispatchers: fleet.shape.dispatchers,
    requests: total(usage.dynamodb),
    units: usage.writeUnits + usage.readUnits,
    hottest: dynamodb.hottest(),
    failed,
  };
}
