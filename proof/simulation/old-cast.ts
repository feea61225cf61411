import { Dice } from "../../src/chance/dice.ts";
import type { FaultKind, SimulationOptions } from "./options.ts";

/** Who the nodes of a world are. */
export interface Cast {
  /** Old nodes have names that say so (oldnames.ts). */
  readonly names: readonly string[];
  /** Whether old nodes have the gate of their bridge. */
  readonly gated: boolean;
  readonly options: SimulationOptions;
}

/**
 * What may happen where old nodes have no gate: nothing by which an action comes twice, or a repeat while a DONE is under way. For the
 * rest Weir's own rules hold (decisions/0039).
 */
const BARE: readonly FaultKind[] = ["duplicate", "restart", "move", "split", "merge", "leave"];

export function castOf(options: SimulationOptions): Cast {
  const { old, seed, nodes, faults } = options;
  const numbers = Array.from({ length: nodes }, (_, index) => index + 1);
  if (old === "none") return { names: numbers.map((number) => `n${number}`), gated: true, options };
  const dice = new Dice(seed, "old");
  const gated = dice.chance(0.7);
  // Of some, one at least is old and one is not, and each may have the table trigger.
  const order = dice.shuffle([...numbers]);
  const most = old === "all" ? nodes : Math.max(1, Math.min(nodes - 1, 1 + dice.below(nodes)));
  const names = numbers.map((number) => (order.indexOf(number) < most ? `o${number}` : `n${number}`));
  if (gated) return { names, gated, options };
  const possible = new Set(BARE.filter((kind) => faults.has(kind)));
  return { names, gated, options: { ...options, faults: possible } };
}
