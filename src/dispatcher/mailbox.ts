import type { Clock, QueueClient, ReceivedMessage } from "./ports.ts";

export interface MailboxOptions {
  readonly url: string;
  readonly queues: QueueClient;
  readonly clock: Clock;
  /** Whether an answer may come: a queue of a single dispatcher is polled only then (design.md, section 5). */
  readonly wanted: () => boolean;
  /** Resolves when all that a message causes is durable; rejects: it must come again. */
  readonly handle: (message: ReceivedMessage) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const LONG_POLL_SECONDS = 20;
/** A message in work is kept from coming again this long at a time, and this often. */
const EXTEND_SECONDS = 30;
const EXTEND_EVERY_MS = 15_000;
/** How long done messages are collected before they are deleted together. */
const DELETE_AFTER_MS = 5;
const DELETE_BATCH = 10;
const RETRY_MS = 500;

/** Receives a queue's messages and deletes each when it is done with, not before (design.md I7). */
export class Mailbox {
  readonly #options: MailboxOptions;
  readonly #abort = new AbortController();
  #wake: (() => void) | undefined;
  #loop: Promise<void> | undefined;
  #done: string[] = [];

  constructor(options: MailboxOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop ??= this.#poll();
  }

  /** Something is wanted now. */
  wake(): void {
    this.#wake?.();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wake?.();
    await this.#loop;
    await this.#deleteDone();
  }

  async #poll(): Promise<void> {
    const { url, queues, clock, wanted, onError } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      if (!wanted()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        for (const message of await queues.receive(url, LONG_POLL_SECONDS, signal)) void this.#work(message);
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
        await new Promise<void>((resolve) => {
          clock.after(RETRY_MS, resolve);
          this.#wake = resolve;
        });
      }
    }
  }

  async #work(message: ReceivedMessage): Promise<void> {
    const { url, queues, clock, handle, onError } = this.#options;
    let cancel: () => void = () => undefined;
    const extend = () => {
      cancel = clock.after(EXTEND_EVERY_MS, () => {
        queues.extend(url, message.receipt, EXTEND_SECONDS).catch(onError);
        extend();
      });
    };
    extend();
    try {
      await handle(message);
      this.#delete(message.receipt);
    } catch (error) {
      onError(error);
    } finally {
      cancel();
    }
  }

  #delete(receipt: string): void {
    this.#done.push(receipt);
    if (this.#done.length >= DELETE_BATCH) void this.#deleteDone();
    else if (this.#done.length === 1)
      this.#options.clock.after(DELETE_AFTER_MS, () => void this.#deleteDone());
  }

  async #deleteDone(): Promise<void> {
    const receipts = this.#done;
    this.#done = [];
    if (receipts.length === 0) return;
    // What is not deleted comes again and is answered by what was finished already (protocol.md D6).
    await this.#options.queues.delete(this.#options.url, receipts).catch(this.#options.onError);
  }
}
