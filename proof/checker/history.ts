import { keyText } from "../../src/protocol/event-key.ts";
import type { Deed } from "./actors.ts";
import { Interner } from "./intern.ts";

/**
 * What the monitor remembers of the past, as a part of the state. Lists are sorted; `key id@life` names what one life
 * did to one event.
 */
export interface Ghost {
  /** Lives that have flushed and stand at the event. */
  readonly waited: readonly string[];
  readonly wrote: readonly string[];
  readonly passed: readonly string[];
  /** Who was ever granted Write, and in which epoch: `key id@life in 1`. */
  readonly granted: readonly string[];
  /** What was closed, and in which epoch: `key in 1`. */
  readonly closed: readonly string[];
  /** Bodies that were put aside. */
  readonly aside: readonly string[];
  /** The lives in which somebody was asked for a dispatcher, where others are asked as well: `id@life`. */
  readonly asked: readonly string[];
}

const EMPTY: Ghost = { waited: [], wrote: [], passed: [], granted: [], closed: [], aside: [], asked: [] };

export function named(key: string, id: string, life: bigint): string {
  return `${key} ${id}@${life}`;
}

/** An event as it is named here: what is done in redo mode says nothing of the default mode (protocol.md M17). */
export function eventName(key: string, redo: boolean): string {
  return redo ? `redo-${key}` : key;
}

/** All pasts that were met. */
export class Ghosts {
  readonly #ghosts = new Interner<Ghost>();
  readonly empty = this.#ghosts.id(EMPTY);

  get(id: number): Ghost {
    return this.#ghosts.value(id);
  }

  with(id: number, what: keyof Ghost, entry: string): number {
    const ghost = this.get(id);
    if (ghost[what].includes(entry)) return id;
    return this.#ghosts.id({ ...ghost, [what]: [...ghost[what], entry].sort() });
  }

  /**
   * Takes down what a dispatcher did.
   * @param alive whether a life is still there: `id@life`
   * @returns the new past, and what is wrong with it
   */
  did(id: number, deed: Deed, alive: (who: string) => boolean): { ghost: number; faults: string[] } {
    const ghost = this.get(id);
    const key = eventName(keyText(deed.key), deed.redo);
    const who = named(key, deed.id, deed.life);
    const faults: string[] = [];
    const has = (list: readonly string[]) => list.some((one) => one.startsWith(`${key} `));
    switch (deed.did) {
      case "flush":
        if (ghost.waited.includes(who)) faults.push("I4: it flushed twice for one event");
        return { ghost: this.with(id, "waited", who), faults };
      case "local":
      case "write": {
        // What blocks nobody is written without asking (protocol.md D1).
        if (deed.did === "write" && !ghost.granted.some((one) => one.startsWith(`${who} `)))
          faults.push("I2: it wrote without a grant");
        if (ghost.wrote.includes(who) || ghost.passed.includes(who))
          faults.push("I4: it applied the event twice");
        const others = ghost.wrote.filter((one) => one.startsWith(`${key} `) && one !== who);
        if (others.some((one) => alive(one.slice(key.length + 1))))
          faults.push("I2: two who live wrote the same event");
        if (has(ghost.passed)) faults.push("I3: it wrote what others have passed already");
        return { ghost: this.with(id, "wrote", who), faults };
      }
      case "pass":
        if (ghost.wrote.includes(who) || ghost.passed.includes(who))
          faults.push("I4: it applied the event twice");
        if (!has(ghost.wrote)) faults.push("I3: it passed what nobody has written");
        return { ghost: this.with(id, "passed", who), faults };
    }
  }
}
