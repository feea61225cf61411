import { type Encoding, encode, type MessageOf, type MessageType } from "../protocol/codec.ts";
import { backOffMs, sleep } from "./backoff.ts";
import { MessageRefused } from "./errors.ts";
import type { Clock, QueueClient } from "./ports.ts";

export interface StatusQueueOptions {
  readonly url: string;
  /** The node's id and present start, which every message carries. */
  readonly from: string;
  readonly start: () => number;
  readonly encoding: Encoding;
  readonly queues: QueueClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
}

/** A body, and how it is encoded. */
export interface Body {
  readonly body: string;
  readonly encoding: Encoding;
}

/** The way to the coordinator: sends until the status queue has accepted a message, which must not be lost (protocol.md D4). */
export class StatusQueue {
  readonly #options: StatusQueueOptions;
  readonly #abort = new AbortController();

  constructor(options: StatusQueueOptions) {
    this.#options = options;
  }

  /**
   * Sends one message. Resolves when it is durable.
   * @throws MessageRefused if it never will be, or what `stop` was told
   */
  send<T extends MessageType>(
    type: T,
    message: MessageOf<T>,
    more: Record<string, string> = {},
  ): Promise<void> {
    const { encoding } = this.#options;
    return this.sendBody(type, { body: encode(type, encoding, message), encoding }, more);
  }

  async sendBody(
    type: MessageType,
    { body, encoding }: Body,
    more: Record<string, string> = {},
  ): Promise<void> {
    const { url, from, start, queues, clock, random, onError } = this.#options;
    const { signal } = this.#abort;
    const attributes = { type, from, start: String(start()), encoding, ...more };
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await queues.send(url, { body, attributes });
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof MessageRefused) throw error;
        onError(error);
        await sleep(clock, backOffMs(attempt, random), signal);
      }
    }
  }

  /** Nothing is sent from here on, and what was not accepted rejects with this. */
  stop(reason: Error): void {
    this.#abort.abort(reason);
  }
}
