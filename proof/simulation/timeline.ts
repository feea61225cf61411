/**
 * Virtual time. Nothing in a simulation waits for anything else: what happens later is put here, and one thing happens
 * after the other. Between two of them every promise that can go on has gone on, so that the same seed gives the same run.
 */
interface Entry {
  readonly at: number;
  readonly order: number;
  work: (() => void) | undefined;
}

export class Timeline {
  /** Milliseconds since the simulation began. */
  now = 0;
  /** Milliseconds in which nothing happened, beside them. */
  #skipped = 0;
  /** How many things have happened. */
  happened = 0;
  #order = 0;
  readonly #heap: Entry[] = [];

  /** Milliseconds that have passed in all, by a clock that is right. */
  get wall(): number {
    return this.now + this.#skipped;
  }

  get skipped(): number {
    return this.#skipped;
  }

  /** Time passes in which nothing happens: what was to happen later happens as much later. */
  skip(ms: number): void {
    this.#skipped += ms;
  }

  /** Does something so many ms from now. @returns what cancels it */
  after(ms: number, work: () => void): () => void {
    const entry: Entry = { at: this.now + Math.max(0, ms), order: this.#order++, work };
    this.#push(entry);
    return () => {
      entry.work = undefined;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** Lets things happen until `stop` says so, or nothing is left. */
  async run(stop: () => boolean): Promise<void> {
    await settled();
    while (!stop()) {
      const next = this.#pop();
      if (next === undefined) return;
      if (next.work === undefined) continue;
      this.now = next.at;
      this.happened++;
      next.work();
      await settled();
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at !== b.at ? a.at < b.at : a.order < b.order;
}

/** Resolves when no promise can go on any more: a tick runs when the microtask queue is empty. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
