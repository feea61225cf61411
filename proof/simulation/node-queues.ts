import type { QueueClient } from "../../src/dispatcher/ports.ts";
import type { Process } from "./process.ts";
import type { Queues, Stored } from "./queues.ts";

/** How long a received message stays invisible, in ms, as a queue has it by default. */
const VISIBILITY = 30_000;

export interface QueueWatcher {
  /** A message is in the status queue. */
  reported(process: Process, body: string, attributes: Readonly<Record<string, string>>): void;
  /** A node's process is given a message. */
  delivered(message: Stored): void;
  /** A message of an action queue is gone for good. */
  obeyed(message: Stored): void;
}

/** The queues as a node's process sees them. A queue's URL is its name. */
export function queuesFor(
  process: Process,
  queues: Queues,
  watcher: QueueWatcher,
  principal: string,
): QueueClient {
  return {
    createQueue: (name) =>
      process.request(10, () => {
        queues.create(name);
        return name;
      }),
    deleteQueue: (url) => process.request(10, () => queues.remove(url)),
    send: (url, { body, attributes }) =>
      process.request(10, () => {
        queues.put(url, body, attributes, principal);
        watcher.reported(process, body, attributes);
      }),
    receive: async (url, waitSeconds, signal) => {
      if (signal.aborted) return [];
      await process.request(5, () => queues.visible(url, waitSeconds * 1_000, signal), false);
      // Somebody else may have been faster: an empty answer is no error. What is lost here comes again later.
      const messages = await process.request(5, () => queues.take(url, 10, VISIBILITY));
      for (const message of messages) watcher.delivered(message);
      return messages.map((message) => ({ ...message, sender: message.principal }));
    },
    delete: (url, receipts) =>
      process.request(5, () => {
        for (const receipt of receipts) {
          const gone = queues.delete(url, receipt);
          if (gone) watcher.obeyed(gone);
        }
      }),
    extend: (url, receipts, seconds) =>
      process.request(5, () => {
        for (const receipt of receipts) queues.hide(url, receipt, seconds * 1_000);
      }),
  };
}
