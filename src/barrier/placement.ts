import type { RosterDraft } from "./draft.ts";
import type { Assignment, EndedLife, NodeEntry } from "./roster.ts";

/** Which node gets the next dispatcher: the one with the fewest, of those that can be told; ties go by name. */
export class Placement {
  readonly #draft: RosterDraft;
  #load: Map<string, number> | undefined;

  constructor(draft: RosterDraft) {
    this.#draft = draft;
  }

  /**
   * The node, which then counts as having one more; undefined: none can be told.
   * @param over the highest life that the dispatcher had; 0: none
   */
  next(over = 0n): NodeEntry | undefined {
    return this.#take(this.#takers(over));
  }

  /**
   * Another node than the one that was asked in vain: one that hosts dispatchers, if there is any. Of a node without any
   * nobody knows whether it is there, and there may be many that are not.
   */
  insteadOf(asked: string, over = 0n): NodeEntry | undefined {
    const others = this.#takers(over).filter(([node]) => node !== asked);
    return this.#take(others.filter(([, count]) => count > 0)) ?? this.#take(others);
  }

  /** How many dispatchers a node has that can be told; undefined: it cannot. */
  loadOf(node: string): number | undefined {
    return this.#loads().get(node);
  }

  /**
   * Who can be told. A life on an old node is the time at which it says that it works (protocol.md R6): where a new node's clock was
   * ahead of that, its dispatcher would go on there and not be known until then.
   */
  #takers(over: bigint): [string, number][] {
    const all = [...this.#loads()];
    if (over < BigInt(this.#draft.now)) return all;
    return all.filter(([node]) => this.#draft.node(node)!.start > 0n);
  }

  #take(from: readonly (readonly [string, number])[]): NodeEntry | undefined {
    let best: readonly [string, number] | undefined;
    for (const one of from)
      if (best === undefined || one[1] < best[1] || (one[1] === best[1] && one[0] < best[0])) best = one;
    if (best === undefined) return undefined;
    this.#loads().set(best[0], best[1] + 1);
    return this.#draft.node(best[0]);
  }

  #loads(): Map<string, number> {
    if (this.#load === undefined) {
      this.#load = new Map();
      for (const node of this.#draft.nodes()) if (node.nodeQueue !== "") this.#load.set(node.id, 0);
      for (const life of this.#draft.lives()) {
        const count = this.#load.get(life.node);
        if (count !== undefined) this.#load.set(life.node, count + 1);
      }
    }
    return this.#load;
  }
}

/**
 * The life for who is asked next: above all that the dispatcher had, above that of whoever was asked before (protocol.md R11),
 * and above what was forgotten. Milliseconds since 1970, as nodes number them (protocol.md R4), where that is high enough.
 */
export function nextAssignedLife(
  { now, meta: { forgotten } }: RosterDraft,
  ended: Pick<EndedLife, "life"> | undefined,
  before: Assignment | undefined,
): bigint {
  return [ended?.life ?? 0n, before?.life ?? 0n, forgotten?.lives ?? 0n].reduce(
    (highest, one) => (one >= highest ? one + 1n : highest),
    BigInt(now),
  );
}

/** Whether so many ms are over since then. A clock that was far ahead and was put back is not waited for. */
export function isOver(since: number, ms: number, now: number): boolean {
  return now - since >= ms || since - now >= ms;
}
