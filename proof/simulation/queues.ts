import { QueueGone } from "../../src/dispatcher/errors.ts";
import { EPOCH, type Ground } from "./process.ts";

/** A message as a queue holds it. */
export interface Stored {
  readonly id: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Milliseconds of virtual time in which something happened. */
  readonly sentAt: number;
  /** When it was sent, in ms since 1970, as the queue says. */
  readonly timestamp: number;
  /** Who sent it, as the queue says. */
  readonly principal: string;
  visibleAt: number;
  receives: number;
  receipt: string;
}

export interface Queue {
  readonly name: string;
  readonly messages: Set<Stored>;
  readonly waiters: Set<() => void>;
  cancelAlarm: (() => void) | undefined;
  alarmAt: number;
}

/**
 * Standard queues with the semantics of SQS: in any order, at least once, invisible while somebody has a message, visible
 * again when it was not deleted in time. Faults: a message comes twice, or late.
 */
export class Queues {
  readonly #ground: Ground;
  readonly #queues = new Map<string, Queue>();
  #messages = 0;
  #receipts = 0;

  /** Queues in which nothing comes twice. */
  readonly #once: (name: string) => boolean;

  constructor(ground: Ground, once: (name: string) => boolean) {
    this.#once = once;
    this.#ground = ground;
  }

  create(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = { name, messages: new Set(), waiters: new Set(), cancelAlarm: undefined, alarmAt: 0 };
      this.#queues.set(name, queue);
    }
    return queue;
  }

  find(name: string): Queue | undefined {
    return this.#queues.get(name);
  }

  /** The queues whose names begin so. */
  namesOf(name: string): string[] {
    return this.#queues.has(name) ? [name] : [];
  }

  remove(name: string): void {
    this.#queues.delete(name);
  }

  /** @throws QueueGone if there is no such queue */
  put(name: string, body: string, attributes: Readonly<Record<string, string>>, principal = ""): void {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new QueueGone(`there is no queue ${name}`);
    const { timeline, faults, dice } = this.#ground;
    const id = `m${++this.#messages}`;
    const store = (delay: number) => {
      const { now } = timeline;
      const about = { id, body, attributes, principal, sentAt: now };
      const receipt = `r${++this.#receipts}`;
      const timestamp = Math.floor(EPOCH + timeline.wall);
      queue.messages.add({ ...about, timestamp, visibleAt: now + delay, receives: 0, receipt });
    };
    const late = faults.happens("delay", 0.02);
    store(late ? dice.between(500, 60_000) : dice.between(1, 20));
    if (faults.happens("duplicate", this.#once(name) ? 0 : 0.03))
      store(dice.chance(0.5) ? dice.between(1, 50) : dice.between(500, 180_000));
    this.#alarm(queue);
  }

  /** Takes up to `most` visible messages, in any order, and hides them for so many ms. */
  take(name: string, most: number, visibility: number): Stored[] {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new QueueGone(`there is no queue ${name}`);
    const { timeline, dice, faults } = this.#ground;
    const visible = [...queue.messages].filter((message) => message.visibleAt <= timeline.now);
    const taken = dice.shuffle(visible).slice(0, most);
    return taken.map((message) => {
      // At least once: it may come again before its time.
      const early = faults.happens("duplicate", this.#once(name) ? 0 : 0.02);
      message.visibleAt = timeline.now + (early ? dice.between(10, 2_000) : visibility);
      message.receives++;
      message.receipt = `r${++this.#receipts}`;
      return { ...message };
    });
  }

  /** Waits until a queue has a visible message, or so many ms. */
  async visible(name: string, ms: number, signal?: AbortSignal): Promise<void> {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new QueueGone(`there is no queue ${name}`);
    const { timeline } = this.#ground;
    for (const message of queue.messages) if (message.visibleAt <= timeline.now) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        queue.waiters.delete(wake);
        cancel();
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const cancel = timeline.after(ms, wake);
      queue.waiters.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
      this.#alarm(queue);
    });
  }

  /** Deletes what was received under a receipt. An old receipt may do nothing, as in SQS. @returns what is gone */
  delete(name: string, receipt: string): Stored | undefined {
    const queue = this.#queues.get(name);
    for (const message of queue?.messages ?? [])
      if (message.receipt === receipt) {
        queue!.messages.delete(message);
        return message;
      }
    return undefined;
  }

  /** Whether there is any message, visible or not. */
  holds(name: string): boolean {
    return (this.#queues.get(name)?.messages.size ?? 0) > 0;
  }

  /** Whether somebody has received a message and not deleted it: it will come again. */
  isOwed(name: string): boolean {
    return [...(this.#queues.get(name)?.messages ?? [])].some((message) => message.receives > 0);
  }

  hide(name: string, receipt: string, ms: number): void {
    for (const message of this.#queues.get(name)?.messages ?? [])
      if (message.receipt === receipt) message.visibleAt = this.#ground.timeline.now + ms;
  }

  /** Wakes who waits for a queue when its next message becomes visible. */
  #alarm(queue: Queue): void {
    if (queue.waiters.size === 0) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { visibleAt } of queue.messages) if (visibleAt < next) next = visibleAt;
    if (next === Number.POSITIVE_INFINITY) return;
    if (queue.cancelAlarm !== undefined) {
      if (queue.alarmAt <= next) return;
      queue.cancelAlarm();
    }
    const { timeline } = this.#ground;
    queue.alarmAt = next;
    queue.cancelAlarm = timeline.after(next - timeline.now, () => {
      queue.cancelAlarm = undefined;
      // One message wakes one who waits, as a rule; whoever finds nothing waits again.
      for (const wake of [...queue.waiters]) wake();
      this.#alarm(queue);
    });
  }
}
