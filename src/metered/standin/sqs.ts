/** SQS as the shipped sender sees it: requests are answered from memory, and counted as SQS bills them. */
import {
  GetQueueUrlCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { type Attributes, sizeOf } from "../../messaging/limits.ts";
import type { Clock } from "./clock.ts";
import { count, type Usage } from "./meter.ts";

/** A request is billed for each 64 KB that it carries. */
export const BILLED_CHUNK = 64 * 1024;

export interface QueuedMessage {
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly bytes: number;
  /** When it came, by the clock. */
  readonly at: number;
}

export interface StandInQueuesOptions {
  readonly clock: Clock;
  readonly usage: Usage;
  /** Milliseconds of one request. */
  readonly latency: number;
  /** Told of every message that came to a queue. */
  readonly onMessage: (queue: string) => void;
}

const HOST = "https://sqs.us-east-1.amazonaws.com/123456789012/";

/** The URL that a queue of this name has. */
export function queueUrl(name: string): string {
  return HOST + name;
}

export class StandInQueues {
  readonly queues = new Map<string, QueuedMessage[]>();
  readonly #options: StandInQueuesOptions;

  constructor(options: StandInQueuesOptions) {
    this.#options = options;
  }

  /** A client for the sender: it uses nothing but `send`. */
  get client(): SQSClient {
    const send = async (command: object) => {
      await this.#options.clock.after(this.#options.latency);
      if (command instanceof GetQueueUrlCommand) {
        this.bill("GetQueueUrl", 0);
        return { QueueUrl: queueUrl(command.input.QueueName!) };
      }
      if (command instanceof SendMessageCommand) {
        const { QueueUrl, MessageBody, MessageAttributes } = command.input;
        this.bill("SendMessage", this.#put(QueueUrl!, MessageBody!, MessageAttributes ?? {}));
        return {};
      }
      if (command instanceof SendMessageBatchCommand) {
        const { QueueUrl, Entries = [] } = command.input;
        let bytes = 0;
        for (const { MessageBody, MessageAttributes } of Entries)
          bytes += this.#put(QueueUrl!, MessageBody!, MessageAttributes ?? {});
        this.bill("SendMessageBatch", bytes);
        return { Successful: Entries.map(({ Id }) => ({ Id })), Failed: [] };
      }
      throw new Error(`the stand-in knows no ${command.constructor.name}`);
    };
    return { send, destroy: () => undefined } as unknown as SQSClient;
  }

  /** Counts a request that carries so many bytes. */
  bill(kind: string, bytes: number): void {
    count(this.#options.usage.sqs, kind);
    this.#options.usage.sqsBilled += Math.max(1, Math.ceil(bytes / BILLED_CHUNK));
  }

  /** Takes all messages of a queue. */
  take(name: string): QueuedMessage[] {
    const all = this.queues.get(name) ?? [];
    this.queues.delete(name);
    return all;
  }

  #put(url: string, body: string, attributes: Attributes): number {
    const name = url.slice(url.lastIndexOf("/") + 1);
    const bytes = sizeOf(body, attributes);
    const { usage, clock } = this.#options;
    usage.messages++;
    usage.messageBytes += bytes;
    const queue = this.queues.get(name) ?? [];
    this.queues.set(name, queue);
    const plain = Object.entries(attributes).map(([key, value]) => [key, value.StringValue ?? ""] as const);
    queue.push({ body, attributes: Object.fromEntries(plain), bytes, at: clock.now });
    this.#options.onMessage(name);
    return bytes;
  }
}
