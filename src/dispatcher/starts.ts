import { WeirError } from "../error/weir-error.ts";
import type { Clock } from "./ports.ts";

/** How long a process waits that was accepted and then replaced by another start of its node; twice as long each time. */
const WAIT_MS = 30_000;
/** How often a process goes above another start of its node. */
const MOST_TURNS = 8;
/** How often of that at once: clocks that went back take one or two. */
const MOST_AT_ONCE = 3;

interface StartsOptions {
  readonly node: string;
  readonly clock: Clock;
  /** From now on this process has a higher start: what it has registered is over (protocol.md R5). */
  readonly onHigher: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * The number of this start of the node (protocol.md R5). The coordinator refuses one that is below another that it knows, because the
 * clock went back between the two. A process that was never accepted goes above that at once. One that was may have been replaced on
 * purpose: it waits, and goes above only if it is still there (protocol.md D14).
 */
export class Starts {
  readonly #options: StartsOptions;
  #start: number;
  #accepted = false;
  #turns = 0;
  #cancel: (() => void) | undefined;

  constructor(options: StartsOptions) {
    this.#options = options;
    this.#start = options.clock.now();
  }

  get present(): number {
    return this.#start;
  }

  /** The coordinator has accepted a dispatcher of this process. */
  accepted(): void {
    this.#accepted = true;
  }

  /** A message with this start was refused, for a higher one is known. */
  refused(start: bigint, known: bigint): void {
    if (start !== BigInt(this.#start) || known <= start || this.#cancel) return;
    const { node, clock, onError } = this.#options;
    if (this.#turns >= MOST_TURNS) return;
    const turn = this.#turns++;
    if (!this.#accepted && turn < MOST_AT_ONCE) {
      this.#goAbove(known);
      return;
    }
    const last = this.#turns === MOST_TURNS ? ", for the last time" : "";
    const ms = WAIT_MS * 2 ** turn;
    onError(
      new WeirError(
        "two-processes",
        `another process speaks as node "${node}", with start ${known}, this one has ${start}: stop one of them; if this one is still there in ${ms / 1_000} s it takes the node back${last}`,
      ),
    );
    this.#cancel = clock.after(ms, () => this.#goAbove(known));
  }

  stop(): void {
    this.#cancel?.();
  }

  #goAbove(known: bigint): void {
    this.#cancel = undefined;
    this.#start = Number(known) + 1;
    this.#options.onHigher();
  }
}
