import { compareKeys, type EventKey, keyText } from "../protocol/event-key.ts";
import { EarlierFailed, OverlappingCall } from "./errors.ts";
import type { CaptureEvent } from "./event.ts";

/** Where a dispatcher's stream stands: at an event that is handled, at one that could not be written, or at none. */
export class StreamPlace {
  readonly #id: string;
  #event: CaptureEvent | undefined;
  #handled = Promise.withResolvers<void>();
  #failed: EventKey | undefined;

  constructor(id: string) {
    this.#id = id;
  }

  /** The event that is handled, or must be handled again. */
  get standsAt(): EventKey | undefined {
    return this.#event?.key ?? this.#failed;
  }

  isAt(event: CaptureEvent): boolean {
    return this.#event === event;
  }

  /**
   * @param key of the event that the call brings, if it brings one
   * @throws OverlappingCall or EarlierFailed
   */
  refuse(call: string, key?: EventKey): void {
    if (this.#event)
      throw new OverlappingCall(
        `dispatcher ${this.#id}: ${call} was called while event ${keyText(this.#event.key)} is handled: wait for that`,
      );
    if (this.#failed && (key === undefined || compareKeys(this.#failed, key) !== 0))
      throw new EarlierFailed(
        `dispatcher ${this.#id}: event ${keyText(this.#failed)} could not be written: call handle with it again, or close the dispatcher`,
      );
  }

  /** The stream comes to an event. Settles when it leaves it. */
  arrive(event: CaptureEvent): Promise<void> {
    this.#failed = undefined;
    this.#event = event;
    this.#handled = Promise.withResolvers();
    return this.#handled.promise;
  }

  /** The event is behind. */
  leave(event: CaptureEvent): void {
    if (this.#event !== event) return;
    this.#event = undefined;
    this.#handled.resolve();
  }

  /** The event could not be written: the stream must come to it again. */
  fail(event: CaptureEvent, error: unknown): void {
    if (this.#event !== event) return;
    this.#failed = event.key;
    this.#event = undefined;
    this.#handled.reject(error);
  }

  /** The stream comes to its end where it stands. */
  end(reason: Error): void {
    // Who does not wait for it is told by whoever has ended it.
    this.#handled.promise.catch(() => undefined);
    this.#handled.reject(reason);
  }
}
