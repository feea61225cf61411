import { Hasher, HashSet64 } from "./hash-set.ts";
import { Liveness } from "./liveness.ts";
import { Model } from "./model.ts";
import type { Faults, Scenario } from "./scenario.ts";
import { hashState, type State } from "./state.ts";
import type { Successor } from "./successor.ts";

export interface Violation {
  /** What is wrong, each beginning with the invariant that it breaks. */
  readonly faults: readonly string[];
  /** The shortest way there, one line for each thing that happens. */
  readonly trace: readonly string[];
}

export interface Explored {
  readonly scenario: string;
  readonly states: number;
  readonly transitions: number;
  /** Steps from the start to the farthest state. */
  readonly depth: number;
  /** States in which nothing is under way and everything is done. */
  readonly ends: number;
  readonly ms: number;
  readonly violation: Violation | undefined;
}

export interface ExploreOptions {
  /** Called from time to time. */
  readonly onProgress?: (states: number, depth: number, waiting: number) => void;
  /** States after which it gives up: for measuring only, the search is then not exhaustive. */
  readonly atMost?: number;
}

/** Visits every reachable state of a scenario, nearest first, and stops at the first violation. */
export async function explore(
  scenario: Scenario,
  faults: Faults,
  options: ExploreOptions = {},
): Promise<Explored> {
  return new Search(scenario, faults, options).run();
}

class Search {
  readonly #model: Model;
  readonly #scenario: Scenario;
  readonly #options: ExploreOptions;
  readonly #liveness: Liveness;
  readonly #seen = new HashSet64();
  readonly #hasher = new Hasher();
  /** The state by which each state was reached first. */
  #parents = new Int32Array(1 << 12);
  #transitions = 0;
  #ends = 0;

  constructor(scenario: Scenario, faults: Faults, options: ExploreOptions) {
    this.#scenario = scenario;
    this.#options = options;
    this.#model = new Model(scenario, faults);
    this.#liveness = new Liveness(this.#model);
  }

  async run(): Promise<Explored> {
    const began = performance.now();
    const first = await this.#model.initial();
    this.#add(first, -1);
    let depth = 0;
    let level: State[] = [first];
    let index = 0;
    let violation = await this.#atState(first, 0);
    while (level.length > 0 && !violation && this.#seen.size < (this.#options.atMost ?? Infinity)) {
      const next: State[] = [];
      for (const state of level) {
        const from = index++;
        for (const one of await this.#model.successors(state)) {
          this.#transitions++;
          if (one.faults.length > 0) {
            violation = await this.#explained(from, one.state, one.faults);
            break;
          }
          if (!this.#add(one.state, from)) continue;
          next.push(one.state);
          violation = await this.#atState(one.state, this.#seen.size - 1);
          if (violation) break;
          if (this.#seen.size % 4096 === 0) this.#options.onProgress?.(this.#seen.size, depth, level.length);
        }
        if (violation) break;
      }
      level = next;
      if (level.length > 0) depth++;
    }
    return {
      scenario: this.#scenario.name,
      states: this.#seen.size,
      transitions: this.#transitions,
      depth,
      ends: this.#ends,
      ms: performance.now() - began,
      violation,
    };
  }

  #add(state: State, parent: number): boolean {
    hashState(this.#hasher, state, true);
    if (!this.#seen.add(this.#hasher.low, this.#hasher.high)) return false;
    if (this.#seen.size > this.#parents.length) {
      const larger = new Int32Array(this.#parents.length * 2);
      larger.set(this.#parents);
      this.#parents = larger;
    }
    this.#parents[this.#seen.size - 1] = parent;
    return true;
  }

  /** What must hold in each state, beside what each transition is judged on. */
  async #atState(state: State, index: number): Promise<Violation | undefined> {
    const model = this.#model;
    if (model.quiet(state)) {
      const missing = model.unfinished(state, true);
      if (missing.length > 0 && state.excused === 0 && !this.#scenario.rests) {
        const fault = `I7: nothing is under way any more, and ${missing.join("; ")}`;
        return { faults: [fault], trace: await this.#trace(index) };
      }
      if (missing.length === 0) this.#ends++;
    }
    const stuck = await this.#liveness.fault(state);
    if (stuck === undefined) return undefined;
    const trace = await this.#trace(index);
    model.explain = true;
    const course: string[] = [];
    await this.#liveness.fault(state, course);
    model.explain = false;
    return { faults: [stuck], trace: [...trace, "from here on without faults:", ...course] };
  }

  async #explained(from: number, to: State, faults: readonly string[]): Promise<Violation> {
    const trace = await this.#trace(from, to);
    return { faults, trace };
  }

  /** The way to a state, told by going it again. */
  async #trace(index: number, last?: State): Promise<string[]> {
    const path: number[] = [];
    for (let at = index; at >= 0; at = this.#parents[at]!) path.push(at);
    path.reverse();
    this.#model.explain = true;
    const lines: string[] = [];
    let state = await this.#model.initial();
    for (const at of path.slice(1)) {
      const low = this.#seen.low(at);
      const high = this.#seen.high(at);
      const step = (await this.#model.successors(state)).find((one) => this.#is(one, low, high));
      if (step === undefined) throw new Error("the way cannot be gone again");
      lines.push(...step.lines);
      state = step.state;
    }
    if (last) {
      hashState(this.#hasher, last, true);
      const { low, high } = this.#hasher;
      const steps = (await this.#model.successors(state)).filter((one) => this.#is(one, low, high));
      const step = steps.find((one) => one.faults.length > 0) ?? steps[0];
      lines.push(...(step?.lines ?? []));
    }
    this.#model.explain = false;
    return lines;
  }

  #is(one: Successor, low: number, high: number): boolean {
    hashState(this.#hasher, one.state, true);
    return this.#hasher.low === low && this.#hasher.high === high;
  }
}
