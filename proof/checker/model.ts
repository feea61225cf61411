import { initialState } from "./beginning.ts";
import { quiet, unfinished } from "./ends.ts";
import { Happenings } from "./happenings.ts";
import { type Parts, partsOf } from "./parts.ts";
import { type Faults, NO_FAULTS, type Scenario } from "./scenario.ts";
import { batchOf, sweepOf } from "./starts.ts";
import { type State, without } from "./state.ts";
import { StateDraft } from "./state-draft.ts";
import { Steps } from "./steps.ts";
import type { Successor } from "./successor.ts";

/** All that can happen in a scenario. */
export class Model {
  readonly parts: Parts;
  readonly happenings: Happenings;
  readonly #steps: Steps;

  constructor(scenario: Scenario, faults: Faults) {
    this.parts = partsOf(scenario, faults);
    this.happenings = new Happenings(this.parts);
    this.#steps = new Steps(this.parts, this.happenings);
  }

  /** Whether transitions say what happens. */
  set explain(explain: boolean) {
    this.parts.explain = explain;
  }

  initial(): Promise<State> {
    return initialState(this.parts);
  }

  /** Everything that can happen next. */
  async successors(state: State): Promise<Successor[]> {
    const found: Successor[] = [];
    for (const flight of new Set(state.flights)) await this.#steps.goOn(state, flight, found);
    await this.#steps.begin(state, found);
    this.happenings.dispatchers(state, found);
    return found;
  }

  /** Whether nothing is under way. */
  quiet(state: State): boolean {
    return quiet(this.parts, state);
  }

  /** What is not as it should be in the end, see `ends.ts`. */
  unfinished(state: State, resting: boolean): string[] {
    return unfinished(this.parts, state, resting);
  }

  /** One step of a course without faults, for `liveness.ts`. */
  readonly course = {
    draft: (state: State) => new StateDraft({ ...state, left: NO_FAULTS }, this.parts),
    goOn: async (draft: StateDraft): Promise<Successor> => {
      const [value] = draft.flights;
      const found: Successor[] = [];
      draft.flights = without(draft.flights, value!);
      const flight = this.parts.invocations.get(value! >> 1);
      await this.#steps.operate(draft, flight, (value! & 1) === 1, 0, "fine", found);
      return found.at(-1)!;
    },
    batch: async (draft: StateDraft, entry: number): Promise<Successor> => {
      const found: Successor[] = [];
      const flight = batchOf(draft, [entry], undefined);
      await this.#steps.run(draft, flight, false, found);
      return found.at(-1)!;
    },
    sweep: async (draft: StateDraft): Promise<Successor> => {
      const found: Successor[] = [];
      await this.#steps.run(draft, sweepOf(draft), false, found);
      return found.at(-1)!;
    },
  };
}
