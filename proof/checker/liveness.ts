import { Hasher, HashSet64 } from "./hash-set.ts";
import type { Model } from "./model.ts";
import type { State } from "./state.ts";
import { hashState } from "./state.ts";
import type { StateDraft } from "./state-draft.ts";
import type { Successor } from "./successor.ts";

/** Rounds of repeats and sweeps after which a barrier that is still open counts as stuck. */
const ROUNDS = 6;
/** Steps of one course: far more than any takes that gets on. */
const STEPS = 3_000;

/**
 * I6: from every state a fair course without further faults leads to the end: what is in the queues is delivered in
 * turn, invocations finish, and when nothing is under way reports are repeated and a sweep looks at everything.
 */
export class Liveness {
  readonly #model: Model;
  /** States from which such a course is known. */
  readonly #good = new HashSet64();
  readonly #hasher = new Hasher();
  steps = 0;

  constructor(model: Model) {
    this.#model = model;
  }

  /** @returns what is wrong, if no course leads to the end; `course` gets the words of the course */
  async fault(from: State, course?: string[]): Promise<string | undefined> {
    const model = this.#model;
    const met: [number, number][] = [];
    const turn: Turn = { actions: [], entries: [], rounds: 0 };
    let state = from;
    for (let count = 0; count < STEPS; count++) {
      hashState(this.#hasher, state, false);
      const { low, high } = this.#hasher;
      if (course === undefined && this.#good.has(low, high)) return this.#lead(met);
      met.push([low, high]);
      const quiet = model.quiet(state);
      if (quiet && model.unfinished(state, false).length === 0) return this.#lead(met);
      if (quiet && turn.rounds >= ROUNDS)
        return `I6: it never ends: ${model.unfinished(state, false).join("; ")}`;
      this.steps++;
      const { state: next, faults, lines } = await this.#next(state, turn, quiet);
      course?.push(...lines);
      if (faults.length > 0) return faults.join("; ");
      state = next;
    }
    return `I6: it goes round and round: ${model.unfinished(state, false).join("; ")}`;
  }

  #lead(met: readonly [number, number][]): undefined {
    for (const [low, high] of met) this.#good.add(low, high);
    return undefined;
  }

  async #next(state: State, turn: Turn, quiet: boolean): Promise<Successor> {
    const { course, happenings } = this.#model;
    const draft = course.draft(state);
    if (state.flights.length > 0) return course.goOn(draft);
    const busy = happenings.work(draft);
    if (busy) return happenings.finish(draft);
    if (quiet) return this.#help(draft, turn);
    // What is there now comes before what it leads to: first come, first served.
    for (;;) {
      const action = turn.actions.pop();
      if (action !== undefined && state.actions.includes(action)) {
        happenings.deliver(draft, action);
        return happenings.finish(draft);
      }
      if (action !== undefined) continue;
      const entry = turn.entries.pop();
      if (entry !== undefined && state.queue.includes(entry)) return course.batch(draft, entry);
      if (entry !== undefined) continue;
      turn.actions = [...state.actions].reverse();
      turn.entries = [...state.queue].reverse();
    }
  }

  /** Time passes: reports are repeated, then a sweep comes. */
  async #help(draft: StateDraft, turn: Turn): Promise<Successor> {
    turn.rounds++;
    draft.say(() => "time passes");
    const { course, happenings, parts } = this.#model;
    const { actors } = parts;
    if (turn.rounds % 2 === 0) return course.sweep(draft);
    for (const [place, one] of draft.actors.entries())
      if (one !== 0 && actors.mayRepeat(one)) draft.did(place, actors.repeat(one));
    for (const one of draft.actors) if (one !== 0) draft.sendsMaybe(actors.heartbeat(one));
    return happenings.finish(draft);
  }
}

interface Turn {
  actions: number[];
  entries: number[];
  rounds: number;
}
