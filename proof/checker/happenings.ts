import { keyText } from "../../src/protocol/event-key.ts";
import { obeys } from "./delivery.ts";
import { eventName } from "./history.ts";
import { actorName, type Parts } from "./parts.ts";
import { happens, possible } from "./roster-change.ts";
import { added, type State, spend, without } from "./state.ts";
import { StateDraft } from "./state-draft.ts";
import type { Successor } from "./successor.ts";
import { type Instruction, isAnswer } from "./wire.ts";
import { changeWords } from "./words.ts";

/** What happens beside the invocations: dispatchers obey and go on, nodes and their dispatchers change. */
export class Happenings {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** What dispatchers and their nodes do. */
  dispatchers(state: State, found: Successor[]): void {
    for (const instruction of new Set(state.actions)) {
      const draft = new StateDraft(state, this.#parts);
      this.deliver(draft, instruction);
      found.push(this.finish(draft));
      if (state.left.repeatedActions > 0) {
        const twice = new StateDraft(state, this.#parts);
        twice.left = spend(twice.left, "repeatedActions");
        this.deliver(twice, instruction);
        const one = this.#parts.wire.instructions.value(instruction);
        const actor = isAnswer(one) ? twice.actors[this.#parts.places.get(one.id) ?? -1] : undefined;
        if (!isAnswer(one) || (actor && !this.#parts.actors.never(actor, one)))
          twice.actions = added(twice.actions, instruction);
        twice.say(() => "    a copy of it stays in the queue");
        found.push(this.finish(twice));
      }
    }
    for (const [place, one] of state.actors.entries()) {
      if (one === 0) continue;
      if (this.#parts.scenario.slowStreams && this.#parts.actors.mayArrive(one)) {
        const draft = new StateDraft(state, this.#parts);
        draft.say(() => `the next event comes to ${actorName(this.#parts, one)}`);
        draft.did(place, this.#parts.actors.arrive(one));
        found.push(this.finish(draft));
      }
      if (this.#parts.actors.actors.value(one).doing !== undefined) {
        const draft = new StateDraft(state, this.#parts);
        draft.say(() => `the sink of ${actorName(this.#parts, one)} is done`);
        draft.did(place, this.#parts.actors.complete(one));
        found.push(this.finish(draft));
      }
      if (state.left.repeats > 0 && this.#parts.actors.mayRepeat(one)) {
        const draft = new StateDraft(state, this.#parts);
        draft.left = spend(draft.left, "repeats");
        draft.say(() => `${actorName(this.#parts, one)} repeats its report`);
        draft.did(place, this.#parts.actors.repeat(one));
        found.push(this.finish(draft));
      }
    }
    if (state.left.changes === 0) return;
    for (const [index, change] of (this.#parts.scenario.changes ?? []).entries()) {
      const draft = new StateDraft(state, this.#parts);
      if ((state.changed & (1 << index)) !== 0 || !possible(draft, change)) continue;
      draft.left = spend(draft.left, "changes");
      draft.changed |= 1 << index;
      draft.say(() => changeWords(change));
      happens(draft, change);
      found.push(this.finish(draft));
    }
  }

  deliver(draft: StateDraft, instruction: number): void {
    draft.actions = without(draft.actions, instruction);
    draft.say(
      () => `${this.#parts.wire.instructionWords(this.#parts.wire.instructions.value(instruction))} arrives`,
    );
    obeys(draft, instruction);
  }

  /**
   * A transition with what follows from it for certain. A dispatcher to which no further event comes, that repeats nothing
   * and to which nothing happens, only takes instructions: for the event that it stands at, or for one that is behind it.
   * Their order makes no difference, and no invocation sees when it does so, only the DONE in the queue, which may be
   * delivered as late as one likes: so it does so at once. But a Write of what somebody has written already may come when
   * others have passed it, which would be wrong: when it comes is told.
   */
  finish(draft: StateDraft): Successor {
    if (this.#certain(draft))
      for (let again = true; again; ) {
        again = false;
        for (const instruction of new Set(draft.actions)) {
          const one = this.#parts.wire.instructions.value(instruction);
          const actor = isAnswer(one) ? draft.actors[this.#parts.places.get(one.id) ?? -1] : undefined;
          if (!actor || this.#parts.actors.hasMore(actor) || this.#mayComeLate(draft, one)) continue;
          this.deliver(draft, instruction);
          again = true;
        }
      }
    return { state: draft.state(), faults: draft.faults, lines: draft.lines ?? [] };
  }

  /** Whether somebody is told to write what has been written, and this is for him. */
  #mayComeLate({ ghost, actions }: StateDraft, one: Instruction): boolean {
    const { ghosts, wire } = this.#parts;
    const { wrote } = ghosts.get(ghost);
    return actions.some((other) => {
      const told = wire.instructions.value(other);
      if (told.kind !== "write" || !isAnswer(one) || told.id !== one.id) return false;
      const name = eventName(keyText(told.key), told.mode === 1n);
      return wrote.some((who) => who.startsWith(`${name} `));
    });
  }

  #certain({ left, changed, actions }: StateDraft): boolean {
    const { changes, slowSinks, slowStreams } = this.#parts.scenario;
    const quiet = left.changes === 0 || changed === (1 << (changes?.length ?? 0)) - 1;
    const follows = actions.some((one) => this.#parts.wire.instructions.value(one).kind === "follow");
    return (
      quiet && !follows && !slowSinks && !slowStreams && left.repeats === 0 && left.repeatedActions === 0
    );
  }

  /** Lets one dispatcher go on with what takes time, if one is at something. */
  work(draft: StateDraft): boolean {
    for (const [place, one] of draft.actors.entries()) {
      if (one === 0) continue;
      const doing = this.#parts.actors.actors.value(one).doing !== undefined;
      if (!doing && !(this.#parts.scenario.slowStreams && this.#parts.actors.mayArrive(one))) continue;
      draft.say(() => `${actorName(this.#parts, one)} goes on`);
      draft.did(place, doing ? this.#parts.actors.complete(one) : this.#parts.actors.arrive(one));
      return true;
    }
    return false;
  }
}
