import type { Clock } from "./ports.ts";

const FIRST_MS = 250;
const LONGEST_MS = 5_000;

/**
 * How long to wait before a further attempt: longer with each, to a limit, and never as long as others do, so that an outage is
 * not followed by everything at once.
 * @param attempt from 1
 */
export function backOffMs(attempt: number, random: () => number): number {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 10));
  return most * (0.5 + random() / 2);
}

/** Waits so many ms, or until a signal is aborted. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const wake = () => {
      cancel();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const cancel = clock.after(ms, wake);
    signal.addEventListener("abort", wake, { once: true });
  });
}
