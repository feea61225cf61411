/**
 * Time that passes only when nothing else is left to do: what runs at the same time is the same in every run, and a
 * barrier over 100,000 dispatchers takes no longer than its work.
 */
export class Clock {
  /** Milliseconds since the start. */
  now = 0;
  readonly #due = new Map<number, (() => void)[]>();
  #scheduled = false;
  #idlers: (() => void)[] = [];

  /** Resolves when nothing is due any more. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idlers.push(resolve);
      this.#schedule();
    });
  }

  /** Resolves when `ms` have passed, after everything that could be done before. */
  after(ms: number): Promise<void> {
    const at = this.now + ms;
    return new Promise((resolve) => {
      const due = this.#due.get(at);
      if (due) due.push(resolve);
      else this.#due.set(at, [resolve]);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Immediates come after all promises that are settled by now: everybody has asked for what they want.
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#due.size === 0) {
        for (const resolve of this.#idlers.splice(0)) resolve();
        return;
      }
      const next = Math.min(...this.#due.keys());
      const due = this.#due.get(next)!;
      this.#due.delete(next);
      this.now = next;
      for (const resolve of due) resolve();
      this.#schedule();
    });
  }
}
