import { keyText } from "../protocol/event-key.ts";
import type { Plan, ReplayEvent } from "./plan.ts";

/** One barrier as the capture nodes met it. Times in ms. */
export interface BarrierTiming {
  readonly key: string;
  readonly statement: string;
  readonly influence: string;
  /** Dispatchers that stopped at it. */
  readonly dispatchers: number;
  readonly waitingMs: number;
  readonly writingMs: number;
  readonly passingMs: number;
}

interface Times {
  readonly event: ReplayEvent;
  readonly dispatchers: Set<string>;
  firstArrival: number;
  writeStart: number;
  writeEnd: number;
  lastGone: number;
  gone: number;
}

const INFLUENCES = { all: "All", schema: "DB", tables: "Normal" } as const;

/** Follows what the dispatchers do, for the live view, the table at the end, and the line that says who is missing. */
export class Timings {
  readonly #plan: Plan;
  readonly #now: () => number;
  readonly #times = new Map<string, Times>();
  rows = 0;
  /** Grows with everything that goes on. */
  progress = 0;

  constructor(plan: Plan, now: () => number) {
    this.#plan = plan;
    this.#now = now;
  }

  wroteRows(count: number): void {
    this.rows += count;
    this.progress++;
  }

  arrived(event: ReplayEvent, dispatcher: string): void {
    const times = this.#of(event);
    times.firstArrival ||= this.#now();
    times.dispatchers.add(dispatcher);
    this.progress++;
  }

  writeStarts(event: ReplayEvent): void {
    this.#of(event).writeStart = this.#now();
    this.progress++;
  }

  writeEnds(event: ReplayEvent): void {
    this.#of(event).writeEnd = this.#now();
    this.progress++;
  }

  gone(event: ReplayEvent): void {
    const times = this.#of(event);
    times.gone++;
    times.lastGone = this.#now();
    this.progress++;
  }

  get closed(): number {
    return [...this.#times.values()].filter((one) => one.gone === one.dispatchers.size).length;
  }

  /** Events at which somebody stands, the first in order first. */
  get open(): {
    event: ReplayEvent;
    key: string;
    phase: string;
    statement: string;
    arrived: readonly string[];
  }[] {
    return [...this.#times]
      .filter(([, one]) => one.gone < one.dispatchers.size)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => ({
        event: one.event,
        key,
        phase: one.writeEnd ? "passing" : one.writeStart ? "writing" : "waiting",
        statement: this.#plan.about.get(one.event) ?? "",
        arrived: [...one.dispatchers],
      }));
  }

  /** All events that more than their writer stopped at, in order. */
  barriers(): BarrierTiming[] {
    return [...this.#times]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .filter(([, one]) => one.dispatchers.size > 1)
      .map(([key, one]) => ({
        key,
        statement: this.#plan.about.get(one.event) ?? "",
        influence: INFLUENCES[one.event.blockTables?.type ?? "all"],
        dispatchers: one.dispatchers.size,
        waitingMs: one.writeStart - one.firstArrival,
        writingMs: one.writeEnd - one.writeStart,
        passingMs: one.lastGone - one.writeEnd,
      }));
  }

  #of(event: ReplayEvent): Times {
    const key = keyText(event.key);
    const known = this.#times.get(key) ?? {
      event,
      dispatchers: new Set<string>(),
      firstArrival: 0,
      writeStart: 0,
      writeEnd: 0,
      lastGone: 0,
      gone: 0,
    };
    this.#times.set(key, known);
    return known;
  }
}
