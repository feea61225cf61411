import { ComponentState, type HeartBeatRequest } from "../protocol/messages.ts";
import { type Speaker, statusOf } from "./announcements.ts";
import type { HostedDispatcher } from "./dispatcher.ts";
import type { Clock } from "./ports.ts";

export interface PositionsOptions extends Speaker {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** About how often, in ms; 0: never. */
  readonly everyMs: number;
  /** Who replicates, in a life that the coordinator has accepted. */
  readonly replicating: () => Iterable<HostedDispatcher>;
  /** Resolves when the message is durable. */
  readonly send: (request: HeartBeatRequest) => Promise<void>;
}

/** Statuses of one message: 160 bytes each as JSON, far below the message limit. */
const STATUSES_PER_MESSAGE = 1_000;

/**
 * Tells the coordinator now and then how far each dispatcher is, so that one that is lost is created again from there and not from
 * where it once began (protocol.md R2, M15). Nothing rests on it: it may be late, and only what has changed is told.
 */
export class Positions {
  readonly #options: PositionsOptions;
  /** What was told of a dispatcher, or what it registered with. */
  #told = new WeakMap<HostedDispatcher, bigint>();
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: PositionsOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, everyMs, random } = this.#options;
    if (everyMs <= 0 || this.#stopped) return;
    // Nodes that started together do not speak together.
    const ms = everyMs * (0.75 + random() / 2);
    this.#cancel = clock.after(ms, () => {
      // The next is told only when this one is through: an outage piles nothing up.
      void this.#tell().finally(() => this.start());
    });
  }

  /** All is told again that is further than it once began: in a higher epoch the coordinator knows only what registers. */
  startOver(): void {
    this.#told = new WeakMap();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  async #tell(): Promise<void> {
    const { replicating, send } = this.#options;
    const news = [];
    for (const dispatcher of replicating()) {
      const checkpointTs = dispatcher.checkpointTs;
      if (checkpointTs <= (this.#told.get(dispatcher) ?? dispatcher.config.checkpointTs)) continue;
      news.push({ dispatcher, state: ComponentState.Working, checkpointTs });
    }
    for (let from = 0; from < news.length; from += STATUSES_PER_MESSAGE) {
      const part = news.slice(from, from + STATUSES_PER_MESSAGE);
      const statuses = part.map(({ dispatcher, state, checkpointTs }) => {
        const { life, config } = dispatcher;
        return { id: config.id, life, state, checkpointTs };
      });
      const sent = send(statusOf(this.#options, statuses));
      // Whose sending fails is told again.
      const told = await sent.then(
        () => true,
        () => false,
      );
      if (told) for (const { dispatcher, checkpointTs } of part) this.#told.set(dispatcher, checkpointTs);
    }
  }
}
