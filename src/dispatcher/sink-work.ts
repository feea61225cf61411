import { EarlierFailed } from "./errors.ts";

/**
 * A sink's work, one piece after the other. Rows that could not be written are remembered: until they are, nothing else is done, or
 * something behind them would become durable, and reported, without them.
 */
export class SinkWork {
  readonly #who: string;
  readonly #write: (rows: readonly unknown[]) => Promise<void>;
  #tail: Promise<void> = Promise.resolve();
  /** What was taken and is not written, in order: the first failed, the others waited behind it. */
  readonly #lost: (readonly unknown[])[] = [];
  #retrying: Promise<void> | undefined;
  readonly #open = new Set<PromiseWithResolvers<void>>();
  #ended: Error | undefined;

  /** @param write hands rows to the sink */
  constructor(who: string, write: (rows: readonly unknown[]) => Promise<void>) {
    this.#who = who;
    this.#write = write;
  }

  /** What was begun last: it changes as long as something is begun. */
  get tail(): Promise<void> {
    return this.#tail;
  }

  /** Whether rows failed and were not written since. */
  get failed(): boolean {
    return this.#lost.length > 0;
  }

  /** @throws EarlierFailed if rows failed before these: nothing of these was taken then */
  write(rows: readonly unknown[]): Promise<void> {
    if (this.failed && rows === this.#lost[0] && !this.#retrying) return this.#writeFirst();
    if (this.failed) return Promise.reject(this.#refusal());
    return this.#add(async () => {
      if (this.failed) {
        this.#lost.push(rows);
        throw this.#refusal();
      }
      try {
        await this.#write(rows);
      } catch (error) {
        this.#lost.push(rows);
        throw error;
      }
    });
  }

  /** Writes what failed once more, and what waited behind it. */
  retry(): Promise<void> {
    this.#retrying ??= this.#writeAll().finally(() => {
      this.#retrying = undefined;
    });
    return this.#retrying;
  }

  /** @throws EarlierFailed if rows failed before it: it is not begun then */
  run(work: () => Promise<void>): Promise<void> {
    return this.#add(async () => {
      if (this.failed) throw this.#refusal();
      await work();
    });
  }

  /** Begins nothing more. What has not ended rejects with this; what runs in the sink is let run. */
  end(reason: Error): void {
    this.#ended ??= reason;
    for (const { promise, reject } of this.#open) {
      // Who does not wait for it is told by whoever has ended it.
      promise.catch(() => undefined);
      reject(this.#ended);
    }
    this.#open.clear();
  }

  async #writeAll(): Promise<void> {
    while (this.failed) await this.#writeFirst();
  }

  #writeFirst(): Promise<void> {
    const [rows] = this.#lost;
    return this.#add(async () => {
      // Somebody else has written it meanwhile.
      if (rows === undefined || this.#lost[0] !== rows) return;
      await this.#write(rows);
      this.#lost.shift();
    });
  }

  #refusal(): EarlierFailed {
    return new EarlierFailed(
      `dispatcher ${this.#who}: an earlier write failed. Call write with the same array again, or retry, or close it: ` +
        `until then nothing is written, flushed or reported`,
    );
  }

  #add(work: () => Promise<void>): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended);
    const settled = Promise.withResolvers<void>();
    this.#open.add(settled);
    const result = this.#tail.then(() => {
      if (this.#ended) throw this.#ended;
      return work();
    });
    this.#tail = result.catch(() => undefined);
    result.then(settled.resolve, settled.reject).finally(() => this.#open.delete(settled));
    return settled.promise;
  }
}
