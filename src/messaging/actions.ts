import {
  type BatchResultErrorEntry,
  GetQueueUrlCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { WeirError } from "../error/weir-error.ts";
import type { ActionMessage, DeadLetter, SendResult } from "../maintainer/base/port.ts";
import { SLICE_TYPE, type Slice, sliceText } from "../maintainer/base/slice.ts";
import { keepDeadLetter } from "./dead-letters.ts";
import { type Attributes, attribute, BATCH_ENTRIES, SAFE_MESSAGE_BYTES, sizeOf } from "./limits.ts";

export interface SenderOptions {
  /** Queues whose names do not start with it are never sent to (protocol.md R2). */
  readonly actionQueuePrefix: string;
  readonly deadLetterQueueUrl: string;
  /** Where slices are handed over. Absent: nothing can be. */
  readonly statusQueueUrl?: string;
  /** Connections at a time, where each message goes to a queue of its own. Default: 32. */
  readonly connections?: number;
  /** Bytes of all messages of one batch. Default: 256 KiB. */
  readonly batchBytes?: number;
  /** Told of sends that failed, for the log. */
  readonly onFailure?: (queue: string, error: unknown) => void;
}

const CONNECTIONS = 32;
/** Attempts for entries that a batch left over: the SDK repeats requests, not their entries. */
const ENTRY_ATTEMPTS = 3;

/** Sends actions and dead letters, and counts its requests. */
export class Sender {
  readonly counts: Record<string, number> = {};
  readonly #client: SQSClient;
  readonly #options: SenderOptions;
  readonly #urls = new Map<string, Promise<string>>();

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
      for (const batch of this.#inBatches(messages, indexes)) work.push([queue, batch]);
    await this.#overConnections(work, async ([queue, indexes]) => {
      const batch = indexes.map((index) => messages[index]!);
      const outcome = await this.#sendBatch(queue, batch);
      for (const [at, index] of indexes.entries()) results[index] = outcome[at]!;
    });
    return results;
  }

  /** Does pieces of work, as many at a time as there are connections. */
  async #overConnections<T>(work: readonly T[], send: (one: T) => Promise<void>): Promise<void> {
    let next = 0;
    const connection = async () => {
      while (next < work.length) await send(work[next++]!);
    };
    const connections = Math.min(this.#options.connections ?? CONNECTIONS, work.length);
    await Promise.all(Array.from({ length: connections }, connection));
  }

  /**
   * Puts slices of a wave into the status queue, for other invocations.
   * @throws if any of them could not be sent
   */
  async handOver(slices: readonly Slice[]): Promise<void> {
    const url = this.#options.statusQueueUrl;
    if (url === undefined)
      throw new WeirError("send-failed", "there is no status queue to hand a wave over to");
    const entries = slices.map(
      (slice): Entry => ({ type: SLICE_TYPE, encoding: "json", body: sliceText(slice) }),
    );
    const work: Entry[][] = [];
    for (let from = 0; from < entries.length; from += BATCH_ENTRIES)
      work.push(entries.slice(from, from + BATCH_ENTRIES));
    await this.#overConnections(work, async (batch) => {
      const [failure] = (await this.#sendEntries(url, batch)).values();
      if (failure)
        throw new WeirError(
          "send-failed",
          `a slice could not be handed over: ${failure.Code}: ${failure.Message}`,
        );
    });
  }

  /**
   * Keeps a message that is not understood, with the reason as an attribute (invariants.md I10).
   * @throws if it could not be kept
   */
  deadLetter(letter: DeadLetter): Promise<void> {
    return keepDeadLetter(letter, async (body, attributes) =>
      this.#sendMessage(this.#options.deadLetterQueueUrl, body, attributes),
    );
  }

  #inBatches(messages: readonly ActionMessage[], indexes: readonly number[]): number[][] {
    const limit = this.#options.batchBytes ?? SAFE_MESSAGE_BYTES;
    const all: number[][] = [];
    let size = 0;
    for (const index of indexes) {
      const message = messages[index]!;
      const bytes = sizeOf(message.body, attributesOf(message));
      const last = all.at(-1);
      if (last && last.length < BATCH_ENTRIES && size + bytes <= limit) last.push(index);
      else {
        all.push([index]);
        size = 0;
      }
      size += bytes;
    }
    return all;
  }

  /** What goes wrong with one queue is the result of its messages: nobody else waits for it (invariants.md I10). */
  async #sendBatch(queue: string, messages: readonly ActionMessage[]): Promise<SendResult[]> {
    const results = messages.map((): SendResult => "failed");
    try {
      const url = await this.#url(queue);
      if (messages.length === 1) {
        const [message] = messages;
        await this.#sendMessage(url, message!.body, attributesOf(message!));
        return ["sent"];
      }
      const failures = await this.#sendEntries(url, messages);
      for (const index of messages.keys()) if (!failures.has(index)) results[index] = "sent";
      for (const { Code, Message } of failures.values())
        this.#options.onFailure?.(queue, new WeirError("send-failed", `${Code}: ${Message}`));
    } catch (error) {
      if (isMissingQueue(error)) {
        results.fill("no-such-queue");
        // Another of its name may come, elsewhere.
        this.#urls.delete(queue);
      } else this.#options.onFailure?.(queue, error);
    }
    return results;
  }

  async #sendMessage(url: string, body: string, attributes: Attributes): Promise<void> {
    this.#count("SendMessage");
    const message = { QueueUrl: url, MessageBody: body, MessageAttributes: attributes };
    await this.#client.send(new SendMessageCommand(message));
  }

  /** @returns what is wrong with those that were not sent, by their place */
  async #sendEntries(url: string, messages: readonly Entry[]): Promise<Map<number, BatchResultErrorEntry>> {
    let failures = new Map<number, BatchResultErrorEntry>();
    let rest = [...messages.keys()];
    for (let attempt = 1; attempt <= ENTRY_ATTEMPTS && rest.length > 0; attempt++) {
      if (attempt > 1) await pause(attempt);
      this.#count("SendMessageBatch");
      const answer = await this.#client.send(
        new SendMessageBatchCommand({
          QueueUrl: url,
          Entries: rest.map((index) => ({
            Id: String(index),
            MessageBody: messages[index]!.body,
            MessageAttributes: attributesOf(messages[index]!),
          })),
        }),
      );
      const failed = (answer.Failed ?? []).map((entry) => [Number(entry.Id), entry] as const);
      const final = [...failures].filter(([, entry]) => entry.SenderFault);
      failures = new Map([...final, ...failed]);
      rest = failed.filter(([, entry]) => !entry.SenderFault).map(([index]) => index);
    }
    return failures;
  }

  /** The queue's URL by its name: a URL that a message names is never used (protocol.md R17; invariants.md Q1). */
  #url(queue: string): Promise<string> {
    const { actionQueuePrefix, deadLetterQueueUrl } = this.#options;
    if (!queue.startsWith(actionQueuePrefix))
      throw new WeirError(
        "bad-queue-name",
        `queue "${queue}" is outside of the prefix "${actionQueuePrefix}": nothing is sent to it`,
      );
    if (!/^[A-Za-z0-9_-]{1,80}$/.test(queue))
      throw new WeirError("bad-queue-name", `"${queue}" is no name of a queue`);
    // Queues of one account and region differ in the last part of their URLs: no request for each of ten thousand.
    const base = /^(.*\/)[^/]+$/.exec(deadLetterQueueUrl)?.[1];
    if (base !== undefined) return Promise.resolve(base + queue);
    let url = this.#urls.get(queue);
    if (url === undefined) {
      this.#count("GetQueueUrl");
      const answer = this.#client.send(new GetQueueUrlCommand({ QueueName: queue }));
      url = answer.then(({ QueueUrl }) => QueueUrl!);
      url.catch(() => this.#urls.delete(queue));
      this.#urls.set(queue, url);
    }
    return url;
  }

  #count(kind: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }
}

/** Waits for a random time, longer with every attempt: who lost a race does not meet the same others again. */
export async function pause(attempt: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * pauseLimit(attempt)));
}

/** How long `pause` may take, in ms. */
export function pauseLimit(attempt: number): number {
  return Math.min(1_000, 5 * 2 ** attempt);
}

/** What becomes of a message in a queue. */
interface Entry {
  readonly type: string;
  readonly encoding: string;
  readonly body: string;
}

function attributesOf(message: Entry): Attributes {
  return { type: attribute(message.type), encoding: attribute(message.encoding) };
}

function isMissingQueue(error: unknown): boolean {
  return error instanceof Error && /QueueDoesNotExist|NonExistentQueue/.test(error.name);
}
