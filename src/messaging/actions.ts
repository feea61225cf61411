import {
  GetQueueUrlCommand,
  type MessageAttributeValue,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { ActionMessage, DeadLetter, SendResult } from "../maintainer/port.ts";

export interface SenderOptions {
  /** Queues whose names do not start with it are never sent to (protocol.md R2). */
  readonly actionQueuePrefix: string;
  readonly deadLetterQueueUrl: string;
  /** Connections at a time, where each message goes to a queue of its own. */
  readonly connections?: number;
  /** Told of sends that failed, for the log. */
  readonly onFailure?: (queue: string, error: unknown) => void;
}

/** SQS's limits of one batch: entries, and bytes of all bodies and attributes together. */
const BATCH_ENTRIES = 10;
const BATCH_BYTES = 256 * 1024;
const CONNECTIONS = 32;
/** SQS allows ten attributes of a message; one is the reason. */
const MAX_ATTRIBUTES = 10;
const MAX_REASON = 1000;
const MAX_BODY = 250 * 1024;

/** Sends actions and dead letters. */
export class Sender {
  readonly #client: SQSClient;
  readonly #options: SenderOptions;
  readonly #urls = new Map<string, string>();
  readonly counts: Record<string, number> = {};

  constructor(client: SQSClient, options: SenderOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Sends messages, grouped by queue, queues side by side. One result for each message, in order. */
  async send(messages: readonly ActionMessage[]): Promise<SendResult[]> {
    const results = new Array<SendResult>(messages.length).fill("failed");
    const queues = Map.groupBy(messages.keys(), (index) => messages[index]!.queue);
    const work: [string, number[]][] = [];
    for (const [queue, indexes] of queues)
      for (const batch of inBatches(messages, indexes)) work.push([queue, batch]);
    let next = 0;
    const connection = async () => {
      while (next < work.length) {
        const [queue, indexes] = work[next++]!;
        const outcome = await this.#sendBatch(
          queue,
          indexes.map((index) => messages[index]!),
        );
        for (const [at, index] of indexes.entries()) results[index] = outcome[at]!;
      }
    };
    const connections = Math.min(this.#options.connections ?? CONNECTIONS, work.length);
    await Promise.all(Array.from({ length: connections }, connection));
    return results;
  }

  async #sendBatch(queue: string, messages: readonly ActionMessage[]): Promise<SendResult[]> {
    try {
      const QueueUrl = await this.#url(queue);
      if (messages.length === 1) {
        this.#count("SendMessage");
        const [message] = messages;
        await this.#client.send(
          new SendMessageCommand({
            QueueUrl,
            MessageBody: message!.body,
            MessageAttributes: attributesOf(message!),
          }),
        );
        return ["sent"];
      }
      this.#count("SendMessageBatch");
      const answer = await this.#client.send(
        new SendMessageBatchCommand({
          QueueUrl,
          Entries: messages.map((message, index) => ({
            Id: String(index),
            MessageBody: message.body,
            MessageAttributes: attributesOf(message),
          })),
        }),
      );
      const failed = new Set((answer.Failed ?? []).map((entry) => Number(entry.Id)));
      for (const entry of answer.Failed ?? [])
        this.#options.onFailure?.(queue, new Error(entry.Message ?? entry.Code));
      return messages.map((_, index) => (failed.has(index) ? "failed" : "sent"));
    } catch (error) {
      const gone = isMissingQueue(error);
      if (gone) this.#urls.delete(queue);
      else this.#options.onFailure?.(queue, error);
      return messages.map(() => (gone ? "no-such-queue" : "failed"));
    }
  }

  /** The queue's URL by its name: a URL that a message names is never used (design.md, section 5). */
  async #url(queue: string): Promise<string> {
    if (!queue.startsWith(this.#options.actionQueuePrefix))
      throw new Error(`queue "${queue}" is outside of the prefix "${this.#options.actionQueuePrefix}"`);
    const known = this.#urls.get(queue);
    if (known !== undefined) return known;
    this.#count("GetQueueUrl");
    const { QueueUrl } = await this.#client.send(new GetQueueUrlCommand({ QueueName: queue }));
    this.#urls.set(queue, QueueUrl!);
    return QueueUrl!;
  }

  /**
   * Keeps a message that is not understood, with the reason as an attribute (design.md I10).
   * @throws if it could not be kept
   */
  async deadLetter(letter: DeadLetter): Promise<void> {
    this.#count("SendMessage");
    const attributes: Record<string, MessageAttributeValue> = {};
    for (const [name, value] of Object.entries(letter.attributes).slice(0, MAX_ATTRIBUTES - 1))
      if (value !== "" && name !== "reason") attributes[name] = { DataType: "String", StringValue: value };
    const cut = Buffer.byteLength(letter.body) > MAX_BODY;
    const reason = `${letter.reason}${cut ? " (the body is cut here: it was too long to keep with the reason)" : ""}`;
    attributes["reason"] = { DataType: "String", StringValue: allowed(reason).slice(0, MAX_REASON) };
    await this.#client.send(
      new SendMessageCommand({
        QueueUrl: this.#options.deadLetterQueueUrl,
        MessageBody: cut ? letter.body.slice(0, MAX_BODY / 4) : letter.body || " ",
        MessageAttributes: attributes,
      }),
    );
  }

  #count(kind: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}

function attributesOf(message: ActionMessage): Record<string, MessageAttributeValue> {
  return {
    type: { DataType: "String", StringValue: message.type },
    encoding: { DataType: "String", StringValue: message.encoding },
  };
}

function inBatches(messages: readonly ActionMessage[], indexes: readonly number[]): number[][] {
  const all: number[][] = [];
  let size = 0;
  for (const index of indexes) {
    const bytes = Buffer.byteLength(messages[index]!.body) + 200;
    const last = all.at(-1);
    if (last && last.length < BATCH_ENTRIES && size + bytes <= BATCH_BYTES) last.push(index);
    else {
      all.push([index]);
      size = 0;
    }
    size += bytes;
  }
  return all;
}

function isMissingQueue(error: unknown): boolean {
  return error instanceof Error && /QueueDoesNotExist|NonExistentQueue|QueueDeletedRecently/.test(error.name);
}

/** Only some characters may stand in SQS: control characters become spaces. */
function allowed(text: string): string {
  return text.replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/gu, " ");
}
