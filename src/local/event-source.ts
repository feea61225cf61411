import {
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { SQSBatchResponse, SQSRecord } from "aws-lambda";
import type { LocalFunction } from "./lambda.ts";

export interface EventSourceOptions {
  readonly sqs: SQSClient;
  readonly queueUrl: string;
  readonly queueArn: string;
  readonly batchSize: number;
  readonly maximumConcurrency: number;
  readonly reportsItemFailures: boolean;
  readonly target: LocalFunction;
}

/**
 * Feeds a function from a queue as Lambda's event source mapping does: batches go out as soon as messages are there, up
 * to a number of them at a time; what succeeded is deleted, all else becomes visible again after its timeout.
 */
export class EventSource {
  readonly #options: EventSourceOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(options: EventSourceOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop = this.#poll();
  }

  /** Stops polling and waits for the batches under way. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
    await Promise.all(this.#running);
  }

  async #poll(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      if (this.#running.size >= this.#options.maximumConcurrency) {
        await Promise.race(this.#running);
        continue;
      }
      const messages = await this.#receive(signal);
      if (messages.length === 0) continue;
      const batch = this.#handle(messages).finally(() => this.#running.delete(batch));
      this.#running.add(batch);
    }
  }

  async #receive(abortSignal: AbortSignal): Promise<Message[]> {
    const { sqs, queueUrl, batchSize } = this.#options;
    try {
      const answer = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: queueUrl,
          MaxNumberOfMessages: batchSize,
          WaitTimeSeconds: 20,
          MessageSystemAttributeNames: ["All"],
          MessageAttributeNames: ["All"],
        }),
        { abortSignal },
      );
      return answer.Messages ?? [];
    } catch (error) {
      if (!abortSignal.aborted) await new Promise((resolve) => setTimeout(resolve, 200));
      else if (!(error instanceof Error)) throw error;
      return [];
    }
  }

  async #handle(messages: readonly Message[]): Promise<void> {
    const { target, reportsItemFailures, sqs, queueUrl } = this.#options;
    let failed: Set<string>;
    try {
      const result = await target.invoke({ Records: messages.map((message) => this.#record(message)) });
      failed = reportsItemFailures ? failures(result, messages) : new Set();
    } catch {
      return;
    }
    const done = messages.filter((message) => !failed.has(message.MessageId!));
    if (done.length === 0) return;
    const Entries = done.map((message, index) => ({
      Id: String(index),
      ReceiptHandle: message.ReceiptHandle!,
    }));
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries })).catch(() => undefined);
  }

  #record(message: Message): SQSRecord {
    const attributes = Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [
      name,
      {
        stringValue: value.StringValue,
        dataType: value.DataType,
        stringListValues: [],
        binaryListValues: [],
      },
    ]);
    return {
      messageId: message.MessageId!,
      receiptHandle: message.ReceiptHandle!,
      body: message.Body ?? "",
      attributes: message.Attributes as unknown as SQSRecord["attributes"],
      messageAttributes: Object.fromEntries(attributes),
      md5OfBody: message.MD5OfBody ?? "",
      eventSource: "aws:sqs",
      eventSourceARN: this.#options.queueArn,
      awsRegion: "us-east-1",
    };
  }
}

/** The messages that a partial batch response names; an answer that is none fails the whole batch, as on Lambda. */
function failures(result: unknown, messages: readonly Message[]): Set<string> {
  const items = (result as SQSBatchResponse | null)?.batchItemFailures ?? [];
  const known = new Set(messages.map((message) => message.MessageId!));
  const named = items.map((item) => item.itemIdentifier);
  return named.every((id) => known.has(id)) ? new Set(named) : known;
}
