import type { ActionMessage, DeadLetter } from "../../src/maintainer/base/port.ts";
import type { Slice } from "../../src/maintainer/base/slice.ts";
import type { Happenings } from "./happenings.ts";
import type { Flight, WantedOperation } from "./invocations.ts";
import type { Parts } from "./parts.ts";
import type { Faults } from "./scenario.ts";
import { batchOf, flightName, sweepOf } from "./starts.ts";
import { added, type State, spend, without } from "./state.ts";
import { StateDraft } from "./state-draft.ts";
import type { Answer } from "./store-parts.ts";
import type { Successor } from "./successor.ts";
import { answerWords, operationWords } from "./words.ts";

/** How an operation's answer goes: to the program, or it is lost after or before the operation took effect. */
type Way = "fine" | "lost" | "never";

/** Invocations as they begin, take their steps, die and end. */
export class Steps {
  readonly #parts: Parts;
  readonly #happenings: Happenings;
  readonly #follows: ReadonlySet<string>;
  readonly #cold: number;

  constructor(parts: Parts, happenings: Happenings) {
    const { environments, slowReads } = parts.scenario;
    this.#parts = parts;
    this.#happenings = happenings;
    this.#follows = new Set([
      "putChunks",
      "expireChunks",
      "handOver",
      "send",
      ...(slowReads ? [] : ["readChunks"]),
    ]);
    this.#cold = environments.filter((one) => one === "cold").length;
  }

  /** Steps and deaths of one invocation. */
  async goOn(state: State, value: number, found: Successor[]): Promise<void> {
    const flight = this.#parts.invocations.get(value >> 1);
    for (const choice of flight.operations.keys())
      for (const way of this.#ways(state.left)) {
        const draft = new StateDraft(state, this.#parts);
        draft.flights = without(draft.flights, value);
        await this.operate(draft, flight, (value & 1) === 1, choice, way, found);
      }
    if (state.left.crashes > 0) {
      const draft = new StateDraft(state, this.#parts);
      draft.flights = without(draft.flights, value);
      this.#die(draft, flight, (value & 1) === 1);
      found.push(this.#happenings.finish(draft));
    }
  }

  /** One operation of an invocation, and what follows from it without being a step of its own. */
  async operate(
    draft: StateDraft,
    from: Flight,
    warm: boolean,
    choice: number,
    way: Way,
    found: Successor[],
  ): Promise<void> {
    await this.#follow(draft, await this.#perform(draft, from, choice, way), warm, found);
  }

  async #perform(draft: StateDraft, from: Flight, choice: number, way: Way): Promise<Flight> {
    if (way !== "fine") draft.left = spend(draft.left, "lostAnswers");
    const operation = from.operations[choice]!;
    draft.say(() => `  ${flightName(this.#parts, from)}: ${operationWords(operation.request)}`);
    const answer = way === "never" ? undefined : await this.#effect(draft, operation);
    if (way !== "fine")
      draft.say(() => `    the answer is lost, and it took ${way === "lost" ? "" : "no "}effect`);
    return this.#parts.invocations.step(from, choice, way === "fine" ? answer : undefined);
  }

  /**
   * Goes on through operations that need no step of their own, because whoever else acts before them might as well have
   * acted after them:
   *
   * - `putChunks`: under new names, which nobody knows before the root names them.
   * - `expireChunks`: of names that the root has given up. Who still wants them has read the root before, and might have
   *   read them then: reading changes nothing.
   * - `send`, `handOver`: what is sent may be delivered as late as one likes; sending it later is the same. Only an invocation
   *   that dies before it has sent is another story, so it is told.
   * - `readChunks`: what is read never changes, and was there when the root was read. If it has gone since, the root is
   *   read again, as if it had been read later in the first place. Where `slowReads` is set it is a step, to see that done.
   *
   * That an invocation is at its end is no step either: its messages leave the queue, where nobody sees them anyway.
   */
  async #follow(draft: StateDraft, from: Flight, warm: boolean, found: Successor[]): Promise<void> {
    let flight = from;
    for (;;) {
      const choice = flight.operations.findIndex(({ request: { method } }) => this.#follows.has(method));
      if (choice < 0) break;
      const { method } = flight.operations[choice]!.request;
      if ((method === "send" || method === "handOver") && draft.left.crashes > 0) {
        const dies = draft.copy();
        this.#die(dies, flight, warm);
        found.push(this.#happenings.finish(dies));
      }
      for (const way of this.#ways(draft.left))
        if (way !== "fine") {
          const other = draft.copy();
          await this.#follow(other, await this.#perform(other, flight, choice, way), warm, found);
        }
      flight = await this.#perform(draft, flight, choice, "fine");
    }
    if (flight.ended === undefined) {
      draft.flights = added(draft.flights, flight.id * 2 + Number(warm));
      found.push(this.#happenings.finish(draft));
      return;
    }
    if (draft.left.crashes > 0) {
      const dies = draft.copy();
      this.#die(dies, flight, warm);
      found.push(this.#happenings.finish(dies));
    }
    this.#end(draft, flight, warm);
    found.push(this.#happenings.finish(draft));
  }

  #end(draft: StateDraft, flight: Flight, warm: boolean): void {
    const { start, ended, hurt } = flight;
    const { failed, memory, threw } = ended!;
    if (threw !== undefined) draft.faults.push(`I10: an invocation throws: ${threw}`);
    if (warm) draft.idle = added(draft.idle, memory);
    if (start.work === "sweep" && hurt) draft.excused = 1;
    for (const { messageId, reason } of failed) {
      if (!hurt) draft.faults.push(`I6: an invocation fails, and nothing was wrong: ${reason}`);
      const message = start.messages.find((one) => one.messageId === messageId);
      if (message) this.#comesAgain(draft, message.messageId);
    }
    draft.say(() => {
      const what =
        failed.length > 0 ? `has failed: ${failed[0]!.reason}; its messages come again` : "is done";
      return `    ${flightName(this.#parts, flight)} ${what}`;
    });
  }

  #die(draft: StateDraft, flight: Flight, warm: boolean): void {
    draft.left = spend(draft.left, "crashes");
    if (flight.start.work === "sweep") draft.excused = 1;
    draft.say(() => `  ${flightName(this.#parts, flight)} dies; its messages come again`);
    if (warm) draft.idle = added(draft.idle, this.#parts.invocations.nothing);
    for (const message of flight.start.messages) this.#comesAgain(draft, message.messageId);
  }

  #comesAgain(draft: StateDraft, messageId: string): void {
    draft.queue = added(draft.queue, Number(messageId.slice(1)) * 2 + 1);
  }

  /** What an operation does outside, and what it gives. */
  async #effect(draft: StateDraft, { request, id }: WantedOperation): Promise<Answer> {
    if (request.method === "send") {
      const [messages] = request.args as [readonly ActionMessage[]];
      for (const message of messages) for (const one of this.#parts.wire.parse(message)) draft.tells(one);
      return this.#parts.stores.answer(messages.map(() => "sent"));
    }
    if (request.method === "handOver") {
      const [slices] = request.args as [readonly Slice[]];
      for (const slice of slices) draft.sends(this.#parts.wire.slice(slice));
      return this.#parts.stores.answer(undefined);
    }
    if (request.method === "deadLetter") {
      const [letter] = request.args as [DeadLetter];
      const judged = this.#parts.invariants.aside(letter.body, letter.reason, draft.ghost);
      draft.ghost = judged.ghost;
      draft.faults.push(...judged.faults);
      return this.#parts.stores.answer(undefined);
    }
    const before = draft.store;
    const [answer, after] = await this.#parts.stores.perform(before, request, id);
    draft.store = after;
    const judged = this.#parts.invariants.operation(before, request, id, after, draft.ghost);
    draft.ghost = judged.ghost;
    draft.faults.push(...judged.faults);
    draft.say(() => `      ${answerWords(answer.value)}`);
    return answer;
  }

  /** Invocations that start, each with its first operation: until then it is as if it had not started. */
  async begin(state: State, found: Successor[]): Promise<void> {
    if (state.flights.length > 0 && state.left.overlaps === 0) return;
    const cold = state.flights.reduce((count, value) => count + 1 - (value & 1), 0);
    const environments: (number | undefined)[] = [...new Set(state.idle)];
    if (cold < this.#cold) environments.push(undefined);
    if (environments.length === 0) return;
    const contents = [...new Set(state.queue)];
    for (const environment of environments) {
      for (const [at, one] of contents.entries()) {
        await this.#start(state, [one], environment, [], found);
        if (state.left.duplicates > 0)
          for (const again of [0, 1])
            await this.#start(state, [one], environment, [(one & ~1) + again], found);
        if ((this.#parts.scenario.batch ?? 1) > 1)
          for (const other of contents.slice(at + 1))
            if (other >> 1 !== one >> 1) await this.#start(state, [one, other], environment, [], found);
      }
      if (state.left.sweeps > 0 && environment === undefined) {
        const draft = new StateDraft(state, this.#parts);
        if (state.flights.length > 0) draft.left = spend(draft.left, "overlaps");
        draft.left = spend(draft.left, "sweeps");
        await this.run(draft, sweepOf(draft), false, found);
      }
    }
  }

  async #start(
    state: State,
    entries: readonly number[],
    environment: number | undefined,
    copies: readonly number[],
    found: Successor[],
  ): Promise<void> {
    const draft = new StateDraft(state, this.#parts);
    if (state.flights.length > 0) draft.left = spend(draft.left, "overlaps");
    if (environment !== undefined) draft.idle = without(draft.idle, environment);
    const flight = batchOf(draft, entries, environment);
    if (copies.length > 0) {
      draft.left = spend(draft.left, "duplicates");
      for (const copy of copies) draft.queue = added(draft.queue, copy);
      draft.say(() => "    a copy stays in the queue");
    }
    await this.run(draft, flight, environment !== undefined, found);
  }

  async run(draft: StateDraft, flight: Flight, warm: boolean, found: Successor[]): Promise<void> {
    if (flight.ended !== undefined) {
      this.#end(draft, flight, warm);
      found.push(this.#happenings.finish(draft));
      return;
    }
    const ways = this.#ways(draft.left);
    for (const choice of flight.operations.keys())
      for (const way of ways) await this.operate(draft.copy(), flight, warm, choice, way, found);
  }

  #ways(left: Faults): readonly Way[] {
    return left.lostAnswers > 0 ? ["fine", "lost", "never"] : ["fine"];
  }
}
