/** Queues in memory for tests of the capture side: at least once, no order promised, visible again when not deleted. */
import { QueueGone } from "../errors.ts";
import type { QueueClient, QueueMessage, ReceivedMessage } from "../ports.ts";

interface Stored {
  readonly message: QueueMessage & Pick<ReceivedMessage, "sender">;
  readonly receipt: string;
  invisibleUntil: number;
}

export class MemoryQueues implements QueueClient {
  readonly queues = new Map<string, Stored[]>();
  readonly receives = new Map<string, number>();
  /** Receives that are under way. */
  readonly polls = new Map<string, number>();
  /** Sends to it fail while this is set. */
  broken: string | undefined;
  /** Who sends, from here on. */
  sender: string | undefined;
  /** Sends that were tried. */
  sends = 0;
  /** The receipts of each request that extended messages. */
  readonly extensions: (readonly string[])[] = [];
  #receipts = 0;
  readonly #waiting = new Map<string, Set<() => void>>();

  async createQueue(name: string): Promise<string> {
    if (!this.queues.has(name)) this.queues.set(name, []);
    return name;
  }

  async deleteQueue(url: string): Promise<void> {
    this.queues.delete(url);
    for (const wake of this.#waiting.get(url) ?? []) wake();
  }

  async send(url: string, message: QueueMessage): Promise<void> {
    this.sends++;
    if (this.broken === url) throw new Error(`queue ${url} does not answer`);
    const queue = this.queues.get(url) ?? [];
    this.queues.set(url, queue);
    const { sender } = this;
    queue.push({
      message: { ...message, ...(sender !== undefined && { sender }) },
      receipt: String(this.#receipts++),
      invisibleUntil: 0,
    });
    for (const wake of this.#waiting.get(url) ?? []) wake();
  }

  async receive(url: string, _waitSeconds: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
    this.receives.set(url, (this.receives.get(url) ?? 0) + 1);
    this.polls.set(url, (this.polls.get(url) ?? 0) + 1);
    try {
      return await this.#receive(url, signal);
    } finally {
      this.polls.set(url, this.polls.get(url)! - 1);
    }
  }

  async #receive(url: string, signal: AbortSignal): Promise<ReceivedMessage[]> {
    for (;;) {
      if (!this.queues.has(url)) throw new QueueGone(`there is no queue ${url}`);
      const found = (this.queues.get(url) ?? []).filter((one) => one.invisibleUntil < Date.now());
      if (found.length > 0 || signal.aborted)
        return found.slice(0, 10).map((one) => {
          one.invisibleUntil = Date.now() + 30_000;
          return { ...one.message, receipt: one.receipt };
        });
      await new Promise<void>((resolve) => {
        const wakers = this.#waiting.get(url) ?? new Set();
        this.#waiting.set(url, wakers.add(resolve));
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  async delete(url: string, receipts: readonly string[]): Promise<void> {
    this.queues.set(
      url,
      (this.queues.get(url) ?? []).filter((one) => !receipts.includes(one.receipt)),
    );
  }

  async extend(url: string, receipts: readonly string[], seconds: number): Promise<void> {
    this.extensions.push(receipts);
    for (const one of this.queues.get(url) ?? [])
      if (receipts.includes(one.receipt)) one.invisibleUntil = Date.now() + seconds * 1_000;
  }

  /** What waits in a queue, whether somebody has received it or not. */
  waiting(url: string): QueueMessage[] {
    return (this.queues.get(url) ?? []).map((one) => one.message);
  }

  /** Takes what waits in a queue. */
  take(url: string): QueueMessage[] {
    const messages = this.waiting(url);
    this.queues.set(url, []);
    return messages;
  }
}

/** Whom an event touches, in short. */
export const normal = (...tableIds: bigint[]) => ({ type: "tables" as const, tableIds });
export const schema = (schemaId: bigint) => ({ type: "schema" as const, schemaId });
export const everybody = { type: "all" as const };
