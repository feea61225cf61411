import type { SQSBatchResponse, SQSRecord } from "aws-lambda";
import type { Observer } from "./base/observe.ts";
import type { Port } from "./base/port.ts";
import { run } from "./base/program.ts";
import { type Failure, handleBatch, type Invocation, type Memory } from "./batch.ts";
import type { StatusMessage } from "./intake/input.ts";
import type { Settings } from "./session/session.ts";

/** A record of the event source as the maintainer reads it. */
export function statusMessage(record: SQSRecord): StatusMessage {
  const attributes: Record<string, string> = {};
  for (const [name, { stringValue }] of Object.entries(record.messageAttributes))
    if (stringValue !== undefined) attributes[name] = stringValue;
  return {
    messageId: record.messageId,
    body: record.body,
    attributes,
    sentAt: Number(record.attributes.SentTimestamp),
    receiveCount: Number(record.attributes.ApproximateReceiveCount),
    // Of a role the session's name follows a colon and differs from one session to the next (protocol.md R7).
    principal: (record.attributes.SenderId ?? "").split(":")[0] ?? "",
  };
}

/** Handles one event of the status queue: which messages are to be delivered again, and what happened. */
export async function maintain(
  records: readonly SQSRecord[],
  port: Port,
  invocation: Invocation,
): Promise<{
  response: SQSBatchResponse;
  observer: Observer;
  failed: readonly ({ messageId: string } & Failure)[];
}> {
  const { failed, observer } = await run(handleBatch(records.map(statusMessage), invocation), port);
  return {
    response: { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) },
    observer,
    failed,
  };
}

export type { Invocation, Memory, Settings };
