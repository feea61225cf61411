import { type Encoding, encode, type MessageOf, type MessageType } from "../protocol/codec.ts";
import type { Clock, QueueClient } from "./ports.ts";

export interface StatusQueueOptions {
  readonly url: string;
  /** The node's id and present start, which every message carries. */
  readonly from: string;
  readonly start: () => number;
  readonly encoding: Encoding;
  readonly queues: QueueClient;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

const RETRY_SEND_MS = 1_000;

/** The way to the coordinator: sends until the status queue has accepted a message, which must not be lost (protocol.md D4). */
export class StatusQueue {
  readonly #options: StatusQueueOptions;
  #stopped = false;

  constructor(options: StatusQueueOptions) {
    this.#options = options;
  }

  /** Sends one message. Resolves when it is durable; rejects only when this is stopped. */
  send<T extends MessageType>(
    type: T,
    message: MessageOf<T>,
    more: Record<string, string> = {},
  ): Promise<void> {
    return this.sendBody(type, encode(type, this.#options.encoding, message), more);
  }

  async sendBody(type: MessageType, body: string, more: Record<string, string> = {}): Promise<void> {
    const { url, from, start, encoding, queues, clock, onError } = this.#options;
    const attributes = { type, from, start: String(start()), encoding, ...more };
    for (;;) {
      try {
        return await queues.send(url, { body, attributes });
      } catch (error) {
        if (this.#stopped) throw error;
        onError(error);
        await new Promise<void>((resolve) => {
          clock.after(RETRY_SEND_MS, resolve);
        });
      }
    }
  }

  /** Nothing is tried again from here on. */
  stop(): void {
    this.#stopped = true;
  }
}
