import { NoAnswer } from "./errors.ts";
import type { Clock, QueueClient } from "./ports.ts";

/**
 * Queues of which each request ends by itself, answered or not: a connection that stays open and silent holds nobody.
 * @param answerMs for an answer; a long poll has its waiting time more
 */
export function withDeadlines(queues: QueueClient, clock: Clock, answerMs: number): QueueClient {
  const within = async <T>(
    ms: number,
    what: string,
    ask: (signal: AbortSignal) => Promise<T>,
    outer?: AbortSignal,
  ): Promise<T> => {
    const deadline = new AbortController();
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(ms, () => {
      const error = new NoAnswer(`${what} had no answer in ${ms} ms`);
      deadline.abort(error);
      late.reject(error);
    });
    const signal = outer ? AbortSignal.any([outer, deadline.signal]) : deadline.signal;
    const asked = ask(signal);
    // What comes after the deadline is heard by nobody.
    asked.catch(() => undefined);
    try {
      return await Promise.race([asked, late.promise]);
    } finally {
      cancel();
    }
  };
  return {
    // Creating may have to wait for a name: it ends by itself.
    createQueue: (name, signal) => queues.createQueue(name, signal),
    deleteQueue: (url) =>
      within(answerMs, `deleting queue ${url}`, (signal) => queues.deleteQueue(url, signal)),
    send: (url, message) =>
      within(answerMs, `a message to queue ${url}`, (signal) => queues.send(url, message, signal)),
    receive: (url, seconds, outer) =>
      within(
        seconds * 1_000 + answerMs,
        `the poll of queue ${url}`,
        (signal) => queues.receive(url, seconds, signal),
        outer,
      ),
    delete: (url, receipts) =>
      within(answerMs, `deleting from queue ${url}`, (signal) => queues.delete(url, receipts, signal)),
    extend: (url, receipts, seconds) =>
      within(answerMs, `extending messages of queue ${url}`, (signal) =>
        queues.extend(url, receipts, seconds, signal),
      ),
  };
}
