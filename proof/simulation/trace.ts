import { createHash, type Hash } from "node:crypto";
import type { Timeline } from "./timeline.ts";

/** Lines that are kept for people; the digest is over all of them. */
const KEPT = 20_000;

/** All that happens in a run, as text: its digest says whether two runs are the same, its end what led to a fault. */
export class Trace {
  readonly #timeline: Timeline;
  readonly #hash = createHash("sha256");
  readonly #last: string[] = [];
  /** What is not in the hash yet: it takes long pieces faster. */
  #text = "";
  lines = 0;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  note(who: string, what: string): void {
    const line = `${(this.#timeline.now / 1000).toFixed(4).padStart(9)}  ${who.padEnd(9)} ${what}`;
    this.#text += `${line}\n`;
    if (this.#text.length > 100_000) this.#digested();
    this.#last[this.lines++ % KEPT] = line;
  }

  /** The last lines, oldest first. */
  last(count: number): string[] {
    const from = Math.max(0, this.lines - Math.min(count, KEPT));
    return Array.from({ length: this.lines - from }, (_, index) => this.#last[(from + index) % KEPT]!);
  }

  digest(): string {
    return this.#digested().copy().digest("hex").slice(0, 32);
  }

  #digested(): Hash {
    this.#hash.update(this.#text);
    this.#text = "";
    return this.#hash;
  }
}
