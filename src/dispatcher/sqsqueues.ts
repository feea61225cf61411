import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
  type SQSClientConfig,
} from "@aws-sdk/client-sqs";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { QueueClient, QueueMessage, ReceivedMessage } from "./ports.ts";

/** Seconds for which a received action is not delivered again; a longer write extends it. */
const VISIBILITY_SECONDS = 30;

/** SQS refuses the name of a queue for 60 s after it was deleted: a dispatcher that goes and comes back waits so long. */
const RECREATE_EVERY_MS = 5_000;
const RECREATE_ATTEMPTS = 15;

/**
 * Queues on SQS. Each queue that is polled holds a connection for as long as its long poll lasts, and the SDK's default is 50
 * connections: with more queues than that, reports would wait for polls to end. So the client is made here, without a bound;
 * there are as many connections as queues that are waited for, and a few.
 */
export class SqsQueues implements QueueClient {
  readonly #client: SQSClient;
  readonly #recreateEveryMs: number;

  /**
   * @param config of the SDK client: region, credentials, endpoint as needed
   * @param recreateEveryMs between attempts to create a queue whose name SQS holds back
   */
  constructor(config: Omit<SQSClientConfig, "requestHandler"> = {}, recreateEveryMs = RECREATE_EVERY_MS) {
    this.#recreateEveryMs = recreateEveryMs;
    const agent = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
    this.#client = new SQSClient({
      ...config,
      requestHandler: new NodeHttpHandler({ httpAgent: agent, httpsAgent: agent }),
    });
  }

  /** Closes the connections. */
  destroy(): void {
    this.#client.destroy();
  }

  async createQueue(name: string): Promise<string> {
    const command = new CreateQueueCommand({
      QueueName: name,
      Attributes: { VisibilityTimeout: String(VISIBILITY_SECONDS) },
    });
    for (let attempt = 1; ; attempt++) {
      try {
        return (await this.#client.send(command)).QueueUrl!;
      } catch (error) {
        if (!isRecentlyDeleted(error) || attempt === RECREATE_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, this.#recreateEveryMs));
      }
    }
  }

  async deleteQueue(url: string): Promise<void> {
    await this.#client.send(new DeleteQueueCommand({ QueueUrl: url }));
  }

  async send(url: string, message: QueueMessage): Promise<void> {
    await this.#client.send(
      new SendMessageCommand({
        QueueUrl: url,
        MessageBody: message.body,
        MessageAttributes: Object.fromEntries(
          Object.entries(message.attributes).map(([name, value]) => [
            name,
            { DataType: "String", StringValue: value },
          ]),
        ),
      }),
    );
  }

  async receive(url: string, waitSeconds: number, abortSignal: AbortSignal): Promise<ReceivedMessage[]> {
    const answer = await this.#client.send(
      new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: waitSeconds,
        MessageAttributeNames: ["All"],
      }),
      { abortSignal },
    );
    return (answer.Messages ?? []).map((message) => ({
      body: message.Body ?? "",
      receipt: message.ReceiptHandle!,
      attributes: Object.fromEntries(
        Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [
          name,
          value.StringValue ?? "",
        ]),
      ),
    }));
  }

  async delete(url: string, receipts: readonly string[]): Promise<void> {
    const Entries = receipts.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));
    await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries }));
  }

  async extend(url: string, receipt: string, seconds: number): Promise<void> {
    await this.#client.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl: url,
        ReceiptHandle: receipt,
        VisibilityTimeout: seconds,
      }),
    );
  }
}

function isRecentlyDeleted(error: unknown): boolean {
  return error instanceof Error && /QueueDeletedRecently/.test(error.name);
}
