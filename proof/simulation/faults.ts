import { Dice } from "../../src/chance/dice.ts";
import type { FaultKind, SimulationOptions } from "./options.ts";

/** Decides what goes wrong, and counts it. */
export class Faults {
  readonly counts: Partial<Record<FaultKind, number>> = {};
  readonly #options: SimulationOptions;
  readonly #dice = new Map<FaultKind, Dice>();
  #total = 0;
  /** From now on nothing goes wrong any more. */
  over = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
  }

  get total(): number {
    return this.#total;
  }

  /** Whether faults of a kind can happen at all. */
  possible(kind: FaultKind): boolean {
    return this.#options.faults.has(kind) && !this.over && this.#total < this.#options.maxFaults;
  }

  /** Throws dice: whether a fault of this kind happens now. */
  happens(kind: FaultKind, probability: number): boolean {
    let dice = this.#dice.get(kind);
    if (dice === undefined) {
      dice = new Dice(this.#options.seed, `fault ${kind}`);
      this.#dice.set(kind, dice);
    }
    // The throw is made whether the fault is possible or not, so that the others stay as they are.
    const due = dice.chance(probability);
    if (!due || !this.possible(kind)) return false;
    this.#total++;
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    return true;
  }
}
