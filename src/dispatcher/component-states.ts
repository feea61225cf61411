import type { DispatcherKey } from "../barrier/dispatcher-id.ts";
import type { Encoding } from "../protocol/codec.ts";
import type { ComponentState } from "../protocol/messages.ts";
import { type Speaker, statusOf } from "./announcements.ts";
import type { Clock } from "./ports.ts";
import type { Body } from "./status-queue.ts";
import { toFit } from "./to-fit.ts";

export interface ComponentStatesOptions extends Speaker {
  readonly encoding: Encoding;
  readonly clock: Clock;
  /** How long states are collected, in ms. */
  readonly foldMs: number;
  /** Largest body that holds several, in bytes. */
  readonly limit: number;
  /** Sends one message until the status queue has accepted it. */
  readonly send: (body: Body) => Promise<void>;
}

/** What is said of a dispatcher, in the life that it had then. */
export interface ComponentStatus {
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly state: ComponentState;
  readonly checkpointTs: bigint;
}

interface Entry {
  readonly status: ComponentStatus;
  readonly accepted: PromiseWithResolvers<void>;
}

/**
 * Folds what a node says within some ms of what its dispatchers are doing into few messages, in the order in which it is said
 * (protocol.md R2): an event that drops a table of thousands of partitions removes thousands.
 */
export class ComponentStates {
  readonly #options: ComponentStatesOptions;
  #waiting: Entry[] = [];
  #scheduled = false;
  readonly #sending = new Set<Promise<void>>();

  constructor(options: ComponentStatesOptions) {
    this.#options = options;
  }

  /** Says what a dispatcher is doing. Resolves when the status queue has accepted it. */
  tell(status: ComponentStatus): Promise<void> {
    const accepted = Promise.withResolvers<void>();
    this.#waiting.push({ status, accepted });
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#options.clock.after(this.#options.foldMs, () => this.#flush());
    }
    return accepted.promise;
  }

  /** Resolves when all that was told until now is in the status queue, or will not be. */
  async told(): Promise<void> {
    const waiting = this.#waiting.map(({ accepted }) => accepted.promise);
    await Promise.allSettled([...waiting, ...this.#sending]);
  }

  #flush(): void {
    this.#scheduled = false;
    const entries = this.#waiting;
    this.#waiting = [];
    const { encoding, limit } = this.#options;
    const about = { type: "HeartBeatRequest", encoding, limit } as const;
    const request = (some: readonly Entry[]) =>
      statusOf(
        this.#options,
        some.map(({ status }) => status),
      );
    for (const { items, body } of toFit(about, entries, request)) {
      const sending = this.#send(items, body).finally(() => this.#sending.delete(sending));
      this.#sending.add(sending);
    }
  }

  async #send(entries: readonly Entry[], body: () => Body): Promise<void> {
    try {
      await this.#options.send(body());
      for (const { accepted } of entries) accepted.resolve();
    } catch (error) {
      for (const { accepted } of entries) accepted.reject(error);
    }
  }
}
