import type { RosterDraft } from "./draft.ts";
import type { NodeEntry } from "./roster.ts";

/** Which node gets the next dispatcher: the one with the fewest, of those that can be told; ties go by name. */
export class Placement {
  readonly #draft: RosterDraft;
  #load: Map<string, number> | undefined;

  constructor(draft: RosterDraft) {
    this.#draft = draft;
  }

  /** The node, which then counts as having one more; undefined: none can be told. */
  next(): NodeEntry | undefined {
    this.#load ??= this.#count();
    let best: string | undefined;
    for (const [node, count] of this.#load) {
      const least = best === undefined ? Number.POSITIVE_INFINITY : this.#load.get(best)!;
      if (count < least || (count === least && node < best!)) best = node;
    }
    if (best === undefined) return undefined;
    this.#load.set(best, this.#load.get(best)! + 1);
    return this.#draft.node(best);
  }

  #count(): Map<string, number> {
    const load = new Map<string, number>();
    for (const node of this.#draft.nodes()) if (node.nodeQueue !== "") load.set(node.id, 0);
    for (const life of this.#draft.lives())
      if (load.has(life.node)) load.set(life.node, load.get(life.node)! + 1);
    return load;
  }
}
