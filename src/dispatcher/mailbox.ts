import { backOffMs, sleep } from "./backoff.ts";
import { isOver, NoAnswer, QueueGone } from "./errors.ts";
import type { Clock, QueueClient, ReceivedMessage } from "./ports.ts";

export interface MailboxOptions {
  readonly url: string;
  readonly queues: QueueClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly pollSeconds: number;
  /** Whether an answer may come: a queue of a single dispatcher is polled only then (invariants.md Q3). */
  readonly wanted: () => boolean;
  /** Resolves when all that a message causes is durable; rejects: it must come again. */
  readonly handle: (message: ReceivedMessage) => Promise<void>;
  /** The queue is gone. Resolves when there is one of its name and URL again. */
  readonly onGone: (signal: AbortSignal) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** A message in work is kept from coming again this long at a time: after half that time at the latest, and after a quarter at the earliest. */
const EXTEND_SECONDS = 30;
const EXTEND_LOOK_MS = 7_500;
/** How long done messages are collected before they are deleted together. */
const DELETE_AFTER_MS = 5;
/** Messages of one request, at most. */
const BATCH = 10;

/** Messages of one answer, at most. */
const FULL = 10;
/** Polls beside the first, at most. A short poll of SQS may find nothing where there is something, so each waits a little. */
const HELPERS = 7;
const HELPER_SECONDS = 1;

/** Receives a queue's messages and deletes each when it is done with, not before (invariants.md I7). */
export class Mailbox {
  readonly #options: MailboxOptions;
  readonly #abort = new AbortController();
  readonly #working = new Set<Promise<void>>();
  #wake: (() => void) | undefined;
  #loop: Promise<void> | undefined;
  #done: string[] = [];
  /** Receipts of messages in work: received or extended since the last look, and before it. */
  #fresh = new Set<string>();
  #older = new Set<string>();
  #looking = false;
  readonly #helpers = new Set<Promise<void>>();

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

  /** Receives nothing more. Resolves when what it has received is done with, or will come again. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wake?.();
    await this.#loop;
    await Promise.all(this.#helpers);
    while (this.#working.size > 0) await Promise.allSettled(this.#working);
    await this.#deleteDone();
  }

  async #poll(): Promise<void> {
    const { clock, random, pollSeconds, wanted, onError, onGone } = this.#options;
    const { signal } = this.#abort;
    let failures = 0;
    let gone = false;
    while (!signal.aborted) {
      if (!wanted()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        // Before it is created, another of its name is nobody's to read: whose it is, only creating it tells.
        if (gone) await onGone(signal);
        gone = false;
        await this.#receive(pollSeconds);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
        // Who has waited for an answer that long need not wait longer.
        if (!(error instanceof NoAnswer)) await sleep(clock, backOffMs(++failures, random), signal);
        if (error instanceof QueueGone) gone = true;
      }
    }
  }

  /** Receives once, and begins with what has come. @returns whether there may be more */
  async #receive(seconds: number): Promise<boolean> {
    const { url, queues } = this.#options;
    const { signal } = this.#abort;
    const messages = await queues.receive(url, seconds, signal);
    for (const message of messages) this.#begin(message);
    const more = messages.length >= FULL;
    if (more && this.#helpers.size < HELPERS && !signal.aborted) {
      const helper = this.#help().finally(() => this.#helpers.delete(helper));
      this.#helpers.add(helper);
    }
    return more;
  }

  /** Polls beside the first as long as answers are full: an event over thousands of tables brings thousands of messages. */
  async #help(): Promise<void> {
    const { signal } = this.#abort;
    try {
      while (!signal.aborted && (await this.#receive(HELPER_SECONDS)));
    } catch (error) {
      // The first poll goes on, and finds out what there is to do about it.
      if (!signal.aborted) this.#options.onError(error);
    }
  }

  #begin(message: ReceivedMessage): void {
    const work = this.#work(message).finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  async #work(message: ReceivedMessage): Promise<void> {
    const { handle, onError } = this.#options;
    const { receipt } = message;
    this.#fresh.add(receipt);
    this.#lookSoon();
    try {
      await handle(message);
      this.#delete(receipt);
    } catch (error) {
      // A node that stops leaves in the queue what it has not begun, or not ended.
      if (!isOver(error)) onError(error);
    } finally {
      this.#fresh.delete(receipt);
      this.#older.delete(receipt);
    }
  }

  /** Looks again as long as anything is in work. */
  #lookSoon(): void {
    if (this.#looking || this.#fresh.size + this.#older.size === 0) return;
    this.#looking = true;
    this.#options.clock.after(EXTEND_LOOK_MS, () => {
      this.#looking = false;
      this.#extendOlder();
      this.#lookSoon();
    });
  }

  /** Extends what was in work at the last look already, ten with a request: thousands of messages may be in work. */
  #extendOlder(): void {
    const { url, queues, onError } = this.#options;
    const due = [...this.#older];
    this.#older = this.#fresh;
    this.#fresh = new Set(due);
    for (let from = 0; from < due.length; from += BATCH)
      queues.extend(url, due.slice(from, from + BATCH), EXTEND_SECONDS).catch(onError);
  }

  #delete(receipt: string): void {
    this.#done.push(receipt);
    if (this.#done.length >= BATCH) void this.#deleteDone();
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
