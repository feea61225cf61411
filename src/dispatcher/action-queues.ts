import type { DispatcherKey } from "../barrier/dispatcher-id.ts";
import { Mailbox } from "./mailbox.ts";
import type { Clock, QueueClient, ReceivedMessage } from "./ports.ts";

export interface ActionQueuesOptions {
  readonly queues: QueueClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly pollSeconds: number;
  readonly prefix: string;
  /** One queue for the node, or one more for each dispatcher. */
  readonly layout: "node" | "dispatcher";
  /** Whether an answer may come for a dispatcher: its own queue is polled only then (invariants.md Q3). */
  readonly wanted: (id: DispatcherKey) => boolean;
  /** Whether a dispatcher is there: then it keeps its queue. */
  readonly isThere: (id: DispatcherKey) => boolean;
  /** Resolves when all that a message causes is durable. */
  readonly receive: (message: ReceivedMessage) => Promise<void>;
  /** A queue was gone and is there again: that of a dispatcher, or the node's. What was in it is lost. */
  readonly onRecreated: (id: DispatcherKey | undefined) => void;
  readonly onError: (error: unknown) => void;
}

export interface ActionQueue {
  readonly name: string;
  readonly url: string;
}

/** The queues that a node listens to: its own, and those of its dispatchers if each has one. */
export class ActionQueues {
  readonly #options: ActionQueuesOptions;
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #queueOf = new Map<DispatcherKey, ActionQueue>();
  /** The queue of the node. */
  node: ActionQueue = { name: "", url: "" };
  #stopped: Error | undefined;

  constructor(options: ActionQueuesOptions) {
    this.#options = options;
  }

  /** Creates the node's queue and listens to it. */
  async open(name: string): Promise<void> {
    const { prefix, queues } = this.#options;
    this.node = { name: prefix + name, url: await queues.createQueue(prefix + name) };
    this.#listen(this.node, undefined);
  }

  /** The queue that answers for a dispatcher, created if it is its own and not there yet. */
  async of(id: DispatcherKey): Promise<ActionQueue> {
    const { layout, prefix, queues } = this.#options;
    if (layout === "node") return this.node;
    const known = this.#queueOf.get(id);
    if (known) return known;
    const name = prefix + id;
    const queue = { name, url: await queues.createQueue(name) };
    this.#queueOf.set(id, queue);
    this.#listen(queue, id);
    return queue;
  }

  /** Whether a dispatcher has the queue that answers for it. */
  has(id: DispatcherKey): boolean {
    return this.#urlFor(id) !== "";
  }

  /** An answer may come for a dispatcher now. */
  wake(id: DispatcherKey): void {
    this.#mailboxes.get(this.#urlFor(id))?.wake();
  }

  /** A dispatcher's own queue goes with it, unless another of its id has come. */
  async drop(id: DispatcherKey): Promise<void> {
    const { layout, queues, isThere } = this.#options;
    const queue = this.#queueOf.get(id);
    if (queue === undefined || layout === "node" || isThere(id)) return;
    this.#queueOf.delete(id);
    await this.#mailboxes.get(queue.url)?.stop();
    this.#mailboxes.delete(queue.url);
    await queues.deleteQueue(queue.url);
  }

  /** Receives nothing more. Resolves when what was received is done with, or will come again. */
  async stop(reason: Error): Promise<void> {
    this.#stopped = reason;
    await Promise.all([...this.#mailboxes.values()].map((mailbox) => mailbox.stop()));
  }

  /** Takes all its queues away. */
  async deleteAll(): Promise<void> {
    const urls = [...this.#mailboxes.keys()];
    this.#mailboxes.clear();
    await Promise.all(urls.map((url) => this.#options.queues.deleteQueue(url)));
  }

  /** The URL of the queue that answers for a dispatcher; empty: not yet. */
  #urlFor(id: DispatcherKey): string {
    return this.#options.layout === "node" ? this.node.url : (this.#queueOf.get(id)?.url ?? "");
  }

  /** @param id of the dispatcher whose own queue it is; undefined: the node's */
  #listen({ name, url }: ActionQueue, id: DispatcherKey | undefined): void {
    // It was created while the node stopped.
    if (this.#stopped) throw this.#stopped;
    const { queues, clock, random, pollSeconds, wanted, receive, onError, onRecreated } = this.#options;
    const mailbox = new Mailbox({
      url,
      queues,
      clock,
      random,
      pollSeconds,
      wanted: () => id === undefined || wanted(id),
      handle: receive,
      onGone: async (signal) => {
        await queues.createQueue(name, signal);
        if (!signal.aborted) onRecreated(id);
      },
      onError,
    });
    this.#mailboxes.set(url, mailbox);
    mailbox.start();
  }
}
