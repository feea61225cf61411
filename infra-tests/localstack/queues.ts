import { dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import type { QueueClient } from "../../src/dispatcher/index.ts";
import { decode } from "../../src/protocol/codec.ts";
import { BlockStage } from "../../src/protocol/messages.ts";

/** The real queues, but for what is done otherwise. */
export function between(real: QueueClient, otherwise: Partial<QueueClient>): QueueClient {
  return {
    createQueue: (name) => real.createQueue(name),
    deleteQueue: (url) => real.deleteQueue(url),
    send: (url, message) => real.send(url, message),
    receive: (url, seconds, signal) => real.receive(url, seconds, signal),
    delete: (url, receipts) => real.delete(url, receipts),
    extend: (url, receipts, seconds) => real.extend(url, receipts, seconds),
    ...otherwise,
  };
}

/** The queues of a node that says WAITING once for each dispatcher and not again (in JSON, of one event). */
export function withoutRepeats(real: QueueClient): QueueClient {
  const said = new Set<string>();
  return between(real, {
    async send(url, message) {
      if (message.attributes["type"] === "BlockStatusRequest") {
        const waiting = decode("BlockStatusRequest", "json", message.body)
          .blockStatuses.filter(({ state }) => state?.stage === BlockStage.WAITING)
          .flatMap(({ ID, dispatcherIDs }) => (ID ? [ID, ...dispatcherIDs] : dispatcherIDs))
          .map(dispatcherKey);
        const repeats = waiting.length > 0 && waiting.every((id) => said.has(id));
        for (const id of waiting) said.add(id);
        if (repeats) return;
      }
      await real.send(url, message);
    },
  });
}
