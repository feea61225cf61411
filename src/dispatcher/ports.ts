/** What a capture node needs from outside, so that it runs on SQS, in memory, and under a simulation's clock. */

/** A message as it is sent: both are text, and no larger than a queue takes (1 MiB). */
export interface QueueMessage {
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A message as it was received. */
export interface ReceivedMessage extends QueueMessage {
  readonly receipt: string;
  /** Who sent it, as the queue says (`SenderId` of SQS); of a role, what stands before the colon. Absent: it does not say. */
  readonly sender?: string;
}

/**
 * Queues as a node needs them. A request that is aborted by its signal is given up, and with it the connection: the signal's
 * reason says why. A client that has no use for the signal is asked again all the same.
 */
export interface QueueClient {
  /**
   * Creates a queue, or finds it.
   * @returns its URL
   * @throws UnsafeQueue if the one that is there is open to others
   */
  createQueue(name: string, signal?: AbortSignal): Promise<string>;
  deleteQueue(url: string, signal?: AbortSignal): Promise<void>;
  /**
   * Resolves when the queue has accepted the message: from then on it is durable.
   * @throws MessageRefused if it never will; anything else is tried again
   */
  send(url: string, message: QueueMessage, signal?: AbortSignal): Promise<void>;
  /**
   * Long-polls; an empty answer is no error.
   * @throws QueueGone if there is no such queue: it is created again
   */
  receive(url: string, waitSeconds: number, signal: AbortSignal): Promise<ReceivedMessage[]>;
  delete(url: string, receipts: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Keeps received messages, ten at most, from being delivered again for so long. */
  extend(url: string, receipts: readonly string[], seconds: number, signal?: AbortSignal): Promise<void>;
}

/** What a node takes for the time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `work` once, after so many ms. @returns what cancels it */
  after(ms: number, work: () => void): () => void;
}

/** The clock of the machine. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
