import type { Dice } from "../../src/chance/dice.ts";
import type { Clock } from "../../src/dispatcher/ports.ts";
import type { Faults } from "./faults.ts";
import type { Timeline } from "./timeline.ts";
import { Untold } from "./untold.ts";

/** Milliseconds since 1970 at which a simulation begins, by a clock that is right. */
export const EPOCH = 1_763_942_400_000;

/** The parts of a world that everything stands on. */
export interface Ground {
  readonly timeline: Timeline;
  readonly faults: Faults;
  readonly dice: Dice;
}

/** A clock that may be wrong by a constant and by a rate. */
export interface Wrongness {
  /** Milliseconds. It changes when the clock is set. */
  offset: number;
  readonly rate: number;
}

/**
 * A process. When it has ended nothing of it goes on: its timers do not fire, its requests have no answers. A request
 * that was under way may still have its effect.
 */
export class Process {
  readonly #ground: Ground;
  readonly #wrong: Wrongness;
  alive = true;
  /** Of an invocation: what it had to tell and could not send. */
  readonly untold = new Untold();
  /** Of an invocation: bodies of messages that came back as they were, and that it has put aside once more. */
  readonly aside = new Set<string>();

  constructor(ground: Ground, wrong: Wrongness) {
    this.#ground = ground;
    this.#wrong = wrong;
  }

  get clock(): Clock {
    return {
      now: () => this.now(),
      after: (ms, work) =>
        this.#ground.timeline.after(ms / this.#wrong.rate, () => {
          if (this.alive) work();
        }),
    };
  }

  /** Milliseconds since 1970, by this process's clock. */
  now(): number {
    const { now, skipped } = this.#ground.timeline;
    return Math.floor(EPOCH + this.#wrong.offset + now * this.#wrong.rate + skipped);
  }

  end(): void {
    this.alive = false;
  }

  /**
   * A request to something outside: `effect` happens at one moment, its result comes back at a later one. Faults: it is
   * refused, or its answer is lost.
   * @param ms the longest that each way takes, as a rule
   */
  request<T>(ms: number, effect: () => T | Promise<T>, mayFail = true): Promise<T> {
    const { timeline, faults, dice } = this.#ground;
    return new Promise<T>((resolve, reject) => {
      if (!this.alive) return;
      timeline.after(dice.between(0.2, ms), () => {
        if (!this.alive && dice.chance(0.5)) return;
        if (mayFail && faults.happens("refuse", 0.004)) {
          this.#answer(dice.between(0.2, ms), () => reject(new Error("the request was refused")));
          return;
        }
        const result = (async () => effect())();
        const lost = mayFail && faults.happens("lost", 0.004);
        this.#answer(lost ? 3_000 : dice.between(0.2, ms), () =>
          lost ? reject(new Error("no answer")) : result.then(resolve, reject),
        );
        result.catch(() => undefined);
      });
    });
  }

  #answer(ms: number, work: () => void): void {
    this.#ground.timeline.after(ms, () => {
      if (this.alive) work();
    });
  }
}
