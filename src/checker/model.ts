import { handleBatch, newMemory } from "../maintainer/batch.ts";
import type { ActionMessage, DeadLetter } from "../maintainer/port.ts";
import { run } from "../maintainer/program.ts";
import { DEFAULT_SETTINGS, type Settings } from "../maintainer/session.ts";
import { spaceOf } from "../maintainer/space.ts";
import { CHANGEFEED, PREFIX, World } from "../maintainer/testing/world.ts";
import { ComponentState } from "../protocol/messages.ts";
import { Actors } from "./actors.ts";
import { Draft, type Parts, registration } from "./draft.ts";
import { Ghosts } from "./ghost.ts";
import { Invariants } from "./invariants.ts";
import { type Flight, Invocations, type WantedOperation } from "./invocations.ts";
import { type Faults, NO_FAULTS, type Scenario } from "./scenario.ts";
import { added, type State, spend, without } from "./state.ts";
import { type Answer, StoreParts } from "./storeparts.ts";
import { keyWords, Wire } from "./wire.ts";
import { answerWords, changeWords, operationWords } from "./words.ts";

export interface Successor {
  readonly state: State;
  readonly faults: readonly string[];
  /** What happened, if words are wanted. */
  readonly lines: readonly string[];
}

/** How an operation's answer goes: to the program, or it is lost after or before the operation took effect. */
type Way = "fine" | "lost" | "never";

/** All that can happen in a scenario. */
export class Model {
  readonly scenario: Scenario;
  readonly faults: Faults;
  readonly wire = new Wire();
  readonly actors: Actors;
  readonly ghosts = new Ghosts();
  readonly stores = new StoreParts();
  readonly invocations: Invocations;
  readonly invariants: Invariants;
  readonly parts: Parts;
  readonly #space = spaceOf(CHANGEFEED, 0n);
  readonly #nodes: readonly string[];
  readonly #malformed: ReadonlySet<string>;
  readonly #settings: Settings;
  readonly #late: Settings;
  readonly #warm: number;
  readonly #follows: ReadonlySet<string>;
  readonly #cold: number;
  /** Whether transitions say what happens. */
  explain = false;

  constructor(scenario: Scenario, faults: Faults) {
    this.scenario = scenario;
    this.faults = faults;
    this.actors = new Actors(scenario, this.wire);
    this.invocations = new Invocations(this.#space);
    this.#malformed = new Set(scenario.malformed?.map((one) => one.body));
    this.invariants = new Invariants(
      this.stores,
      this.ghosts,
      this.wire,
      (body) => !this.#malformed.has(body),
    );
    const replaced = scenario.changes?.flatMap((one) => (one.does === "replace" ? one.by : [])) ?? [];
    const moved = scenario.changes?.flatMap((one) => (one.does === "move" ? [one.to] : [])) ?? [];
    this.#nodes = [...new Set([...[...scenario.cast, ...replaced].map((one) => one.node), ...moved])];
    this.parts = {
      wire: this.wire,
      actors: this.actors,
      ghosts: this.ghosts,
      invariants: this.invariants,
      places: new Map(),
      nodes: this.#nodes,
      slowStreams: scenario.slowStreams ?? false,
    };
    // The clock stands still: memory is as old as it may be used. A repeat is due where reports are repeated.
    const settings = { ...DEFAULT_SETTINGS, actionQueuePrefix: PREFIX };
    this.#late = { ...settings, repeatAfter: 0 };
    this.#settings = faults.repeats > 0 ? this.#late : { ...settings, repeatAfter: 1e9 };
    this.#follows = new Set([
      "putChunks",
      "expireChunks",
      "send",
      ...(scenario.slowReads ? [] : ["readChunks"]),
    ]);
    this.#warm = scenario.environments.filter((one) => one === "warm").length;
    this.#cold = scenario.environments.length - this.#warm;
  }

  async initial(): Promise<State> {
    const { scenario, wire } = this;
    const draft = new Draft(
      {
        store: [],
        queue: [],
        actions: [],
        flights: [],
        idle: new Array(this.#warm).fill(this.invocations.nothing),
        actors: [],
        nodes: this.#nodes.map(() => 1),
        ghost: this.ghosts.empty,
        changed: 0,
        excused: 0,
        left: this.faults,
      },
      this.parts,
      true,
    );
    for (const member of scenario.cast) draft.appears(member);
    const opener = scenario.cast.find((one) => one.table === 0n)!;
    const tables = scenario.tables.map(({ id, schema }) => ({ id, schema }));
    const opening = wire.message(
      wire.world.opening(wire.node(opener.node, 1), wire.idOf(opener.name), tables),
      "the opening",
    );
    const registrations = new Map(
      this.#nodes
        .map((node) => [node, scenario.cast.filter((one) => one.node === node)] as const)
        .filter(([, members]) => members.length > 0)
        .map(([node, members]) => {
          const ids = members.map((one) => wire.idOf(one.name));
          return [node, registration(this.parts, draft.actors, node, ids)] as const;
        }),
    );
    const first = [opening, ...registrations.values()];
    if (scenario.unregistered) for (const content of first) draft.sends(content);
    else draft.store = this.stores.taken(await this.#registered(first));
    for (const late of scenario.late ?? [])
      draft.sends(late === "opening" ? opening : registrations.get(late.registration)!);
    for (const name of scenario.starting ?? []) {
      const { node } = scenario.cast.find((one) => one.name === name)!;
      const status = wire.world.status(wire.node(node, 1), wire.idOf(name), 1n, ComponentState.Working);
      draft.sends(wire.message(status, `Working ${name}@1`));
    }
    for (const name of scenario.stray ?? []) {
      const { node } = scenario.cast.find((one) => one.name === name)!;
      const { key } = scenario.events[0]!;
      const done = wire.world.done(wire.node(node, 1), [wire.idOf(name)], key, "write");
      draft.sends(wire.message(done, `a stray DONE of Write ${keyWords(key)} of ${name}@1`));
    }
    for (const { type, from, body } of scenario.malformed ?? []) {
      const message = wire.world.message(wire.node(from, 1), type as "BlockStatusRequest", body);
      draft.sends(wire.message(message, "a message that nobody understands"));
    }
    draft.begins();
    return draft.state();
  }

  async #registered(first: readonly number[]) {
    const world = new World();
    const invocation = { now: world.now, nonce: "first", settings: this.#settings, memory: newMemory() };
    await run(
      handleBatch(
        first.map((one) => this.wire.delivered(one, false)),
        invocation,
      ),
      world.port,
    );
    return world.store;
  }

  /** Everything that can happen next. */
  async successors(state: State): Promise<Successor[]> {
    const found: Successor[] = [];
    for (const flight of new Set(state.flights)) await this.#goOn(state, flight, found);
    await this.#begin(state, found);
    this.#dispatchers(state, found);
    return found;
  }

  /** Steps and deaths of one invocation. */
  async #goOn(state: State, value: number, found: Successor[]): Promise<void> {
    const flight = this.invocations.get(value >> 1);
    for (const choice of flight.operations.keys())
      for (const way of this.#ways(state.left)) {
        const draft = this.#draft(state);
        draft.flights = without(draft.flights, value);
        await this.#operate(draft, flight, (value & 1) === 1, choice, way, found);
      }
    if (state.left.crashes > 0) {
      const draft = this.#draft(state);
      draft.flights = without(draft.flights, value);
      this.#die(draft, flight, (value & 1) === 1);
      found.push(this.#done(draft));
    }
  }

  /** One operation of an invocation, and what follows from it without being a step of its own. */
  async #operate(
    draft: Draft,
    from: Flight,
    warm: boolean,
    choice: number,
    way: Way,
    found: Successor[],
  ): Promise<void> {
    await this.#follow(draft, await this.#perform(draft, from, choice, way), warm, found);
  }

  async #perform(draft: Draft, from: Flight, choice: number, way: Way): Promise<Flight> {
    if (way !== "fine") draft.left = spend(draft.left, "lostAnswers");
    const operation = from.operations[choice]!;
    draft.say(() => `  ${this.#name(from)}: ${operationWords(operation.request)}`);
    const answer = way === "never" ? undefined : await this.#effect(draft, operation);
    if (way !== "fine")
      draft.say(() => `    the answer is lost, and it took ${way === "lost" ? "" : "no "}effect`);
    return this.invocations.step(from, choice, way === "fine" ? answer : undefined);
  }

  /**
   * Goes on through operations that need no step of their own, because whoever else acts before them might as well have
   * acted after them:
   *
   * - `putChunks`: under new names, which nobody knows before the root names them.
   * - `expireChunks`: of names that the root has given up. Who still wants them has read the root before, and might have
   *   read them then: reading changes nothing.
   * - `send`: what is sent may be delivered as late as one likes; sending it later is the same. Only an invocation that
   *   dies before it has sent is another story, so it is told.
   * - `readChunks`: what is read never changes, and was there when the root was read. If it has gone since, the root is
   *   read again, as if it had been read later in the first place. Where `slowReads` is set it is a step, to see that done.
   *
   * That an invocation is at its end is no step either: its messages leave the queue, where nobody sees them anyway.
   */
  async #follow(draft: Draft, from: Flight, warm: boolean, found: Successor[]): Promise<void> {
    let flight = from;
    for (;;) {
      const choice = flight.operations.findIndex(({ request: { method } }) => this.#follows.has(method));
      if (choice < 0) break;
      if (flight.operations[choice]!.request.method === "send" && draft.left.crashes > 0) {
        const dies = this.#copy(draft);
        this.#die(dies, flight, warm);
        found.push(this.#done(dies));
      }
      for (const way of this.#ways(draft.left))
        if (way !== "fine") {
          const other = this.#copy(draft);
          await this.#follow(other, await this.#perform(other, flight, choice, way), warm, found);
        }
      flight = await this.#perform(draft, flight, choice, "fine");
    }
    if (flight.ended === undefined) {
      draft.flights = added(draft.flights, flight.id * 2 + Number(warm));
      found.push(this.#done(draft));
      return;
    }
    if (draft.left.crashes > 0) {
      const dies = this.#copy(draft);
      this.#die(dies, flight, warm);
      found.push(this.#done(dies));
    }
    this.#end(draft, flight, warm);
    found.push(this.#done(draft));
  }

  #end(draft: Draft, { start, ended, hurt }: Flight, warm: boolean): void {
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
      return `    ${this.#nameOf(start.work, start.messages)} ${what}`;
    });
  }

  #die(draft: Draft, flight: Flight, warm: boolean): void {
    draft.left = spend(draft.left, "crashes");
    if (flight.start.work === "sweep") draft.excused = 1;
    draft.say(() => `  ${this.#name(flight)} dies; its messages come again`);
    if (warm) draft.idle = added(draft.idle, this.invocations.nothing);
    for (const message of flight.start.messages) this.#comesAgain(draft, message.messageId);
  }

  #comesAgain(draft: Draft, messageId: string): void {
    draft.queue = added(draft.queue, Number(messageId.slice(1)) * 2 + 1);
  }

  /** What an operation does outside, and what it gives. */
  async #effect(draft: Draft, { request, id }: WantedOperation): Promise<Answer> {
    if (request.method === "send") {
      const [messages] = request.args as [readonly ActionMessage[]];
      for (const message of messages) for (const one of this.wire.parse(message)) draft.tells(one);
      return this.stores.answer(messages.map(() => "sent"));
    }
    if (request.method === "deadLetter") {
      const [letter] = request.args as [DeadLetter];
      const judged = this.invariants.aside(letter.body, letter.reason, draft.ghost);
      draft.ghost = judged.ghost;
      draft.faults.push(...judged.faults);
      return this.stores.answer(undefined);
    }
    const before = draft.store;
    const [answer, after] = await this.stores.perform(before, request, id);
    draft.store = after;
    const judged = this.invariants.operation(before, request, id, after, draft.ghost);
    draft.ghost = judged.ghost;
    draft.faults.push(...judged.faults);
    draft.say(() => `      ${answerWords(answer.value)}`);
    return answer;
  }

  /** Invocations that start, each with its first operation: until then it is as if it had not started. */
  async #begin(state: State, found: Successor[]): Promise<void> {
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
        if ((this.scenario.batch ?? 1) > 1)
          for (const other of contents.slice(at + 1))
            if (other >> 1 !== one >> 1) await this.#start(state, [one, other], environment, [], found);
      }
      if (state.left.sweeps > 0 && environment === undefined) {
        const draft = this.#draft(state);
        if (state.flights.length > 0) draft.left = spend(draft.left, "overlaps");
        draft.left = spend(draft.left, "sweeps");
        await this.#run(draft, this.#sweep(draft), false, found);
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
    const draft = this.#draft(state);
    if (state.flights.length > 0) draft.left = spend(draft.left, "overlaps");
    if (environment !== undefined) draft.idle = without(draft.idle, environment);
    const flight = this.#batch(draft, entries, environment, this.#settings);
    if (copies.length > 0) {
      draft.left = spend(draft.left, "duplicates");
      for (const copy of copies) draft.queue = added(draft.queue, copy);
      draft.say(() => "    a copy stays in the queue");
    }
    await this.#run(draft, flight, environment !== undefined, found);
  }

  async #run(draft: Draft, flight: Flight, warm: boolean, found: Successor[]): Promise<void> {
    if (flight.ended !== undefined) {
      this.#end(draft, flight, warm);
      found.push(this.#done(draft));
      return;
    }
    const ways = this.#ways(draft.left);
    for (const choice of flight.operations.keys())
      for (const way of ways) await this.#operate(this.#copy(draft), flight, warm, choice, way, found);
  }

  #ways(left: Faults): readonly Way[] {
    return left.lostAnswers > 0 ? ["fine", "lost", "never"] : ["fine"];
  }

  #batch(draft: Draft, entries: readonly number[], memory: number | undefined, settings: Settings): Flight {
    for (const entry of entries) draft.queue = without(draft.queue, entry);
    const messages = entries.map((entry) => this.wire.delivered(entry >> 1, (entry & 1) === 1));
    draft.say(() => {
      const where = memory === undefined ? "a cold environment" : "the warm environment";
      return `${this.#nameOf("batch", messages)} begins, in ${where}`;
    });
    return this.invocations.begin({
      work: "batch",
      messages,
      memory: memory ?? this.invocations.nothing,
      nonce: this.#nonce(draft, entries[0]! >> 1),
      settings,
    });
  }

  #sweep(draft: Draft): Flight {
    draft.say(() => "the sweeper begins");
    const { nothing } = this.invocations;
    const nonce = this.#nonce(draft, 0);
    return this.invocations.begin({
      work: "sweep",
      messages: [],
      memory: nothing,
      nonce,
      settings: this.#late,
    });
  }

  /** A name for an invocation that nothing which is still there was named by; made of its message, so that order does not count. */
  #nonce(draft: Draft, content: number): string {
    const taken = new Set(this.stores.nonces(draft.store));
    for (const memory of draft.idle)
      for (const one of this.invocations.noncesOfMemory(memory)) taken.add(one);
    for (const value of draft.flights)
      for (const one of this.invocations.get(value >> 1).nonces) taken.add(one);
    for (let count = 0; ; count++) {
      const nonce = `i${content}x${count}`;
      if (!taken.has(nonce)) return nonce;
    }
  }

  /** What dispatchers and their nodes do. */
  #dispatchers(state: State, found: Successor[]): void {
    for (const instruction of new Set(state.actions)) {
      const draft = this.#draft(state);
      this.deliver(draft, instruction);
      found.push(this.#done(draft));
      if (state.left.repeatedActions > 0) {
        const twice = this.#draft(state);
        twice.left = spend(twice.left, "repeatedActions");
        this.deliver(twice, instruction);
        const one = this.wire.instructions.value(instruction);
        const place = this.parts.places.get(one.id) ?? -1;
        const actor = twice.actors[place];
        if (one.kind === "create" || one.kind === "remove" || (actor && !this.actors.never(actor, one)))
          twice.actions = added(twice.actions, instruction);
        twice.say(() => "    a copy of it stays in the queue");
        found.push(this.#done(twice));
      }
    }
    for (const [place, one] of state.actors.entries()) {
      if (one === 0) continue;
      if (this.parts.slowStreams && this.actors.mayArrive(one)) {
        const draft = this.#draft(state);
        draft.say(() => `the next event comes to ${this.#actorName(one)}`);
        draft.did(place, this.actors.arrive(one));
        found.push(this.#done(draft));
      }
      if (this.actors.actors.value(one).doing !== undefined) {
        const draft = this.#draft(state);
        draft.say(() => `the sink of ${this.#actorName(one)} is done`);
        draft.did(place, this.actors.complete(one));
        found.push(this.#done(draft));
      }
      if (state.left.repeats > 0 && this.actors.mayRepeat(one)) {
        const draft = this.#draft(state);
        draft.left = spend(draft.left, "repeats");
        draft.say(() => `${this.#actorName(one)} repeats its report`);
        draft.did(place, this.actors.repeat(one));
        found.push(this.#done(draft));
      }
    }
    if (state.left.changes === 0) return;
    for (const [index, change] of (this.scenario.changes ?? []).entries()) {
      const draft = this.#draft(state);
      if ((state.changed & (1 << index)) !== 0 || !draft.possible(change)) continue;
      draft.left = spend(draft.left, "changes");
      draft.changed |= 1 << index;
      draft.say(() => changeWords(change));
      draft.happens(change);
      found.push(this.#done(draft));
    }
  }

  deliver(draft: Draft, instruction: number): void {
    draft.actions = without(draft.actions, instruction);
    draft.say(() => `${this.wire.instructionWords(this.wire.instructions.value(instruction))} arrives`);
    draft.obeys(instruction);
  }

  /**
   * A transition with what follows from it for certain. A dispatcher to which no further event comes, that repeats nothing
   * and to which nothing happens, only takes instructions: for the event that it stands at, or for one that is behind it.
   * Their order makes no difference, and no invocation sees when it does so, only the DONE in the queue, which may be
   * delivered as late as one likes: so it does so at once.
   */
  #done(draft: Draft): Successor {
    if (this.#certain(draft))
      for (let again = true; again; ) {
        again = false;
        for (const instruction of new Set(draft.actions)) {
          const one = this.wire.instructions.value(instruction);
          const actor = draft.actors[this.parts.places.get(one.id) ?? -1];
          if (one.kind === "create" || one.kind === "remove" || !actor || this.actors.hasMore(actor))
            continue;
          this.deliver(draft, instruction);
          again = true;
        }
      }
    return { state: draft.state(), faults: draft.faults, lines: draft.lines ?? [] };
  }

  #certain({ left, changed }: Draft): boolean {
    const { changes, slowSinks, slowStreams } = this.scenario;
    const quiet = left.changes === 0 || changed === (1 << (changes?.length ?? 0)) - 1;
    return quiet && !slowSinks && !slowStreams && left.repeats === 0 && left.repeatedActions === 0;
  }

  /** Lets one dispatcher go on with what takes time, if one is at something. */
  work(draft: Draft): boolean {
    for (const [place, one] of draft.actors.entries()) {
      if (one === 0) continue;
      const doing = this.actors.actors.value(one).doing !== undefined;
      if (!doing && !(this.parts.slowStreams && this.actors.mayArrive(one))) continue;
      draft.say(() => `${this.#actorName(one)} goes on`);
      draft.did(place, doing ? this.actors.complete(one) : this.actors.arrive(one));
      return true;
    }
    return false;
  }

  /** Whether nothing is under way: no invocation, no message, nobody at work. */
  quiet(state: State): boolean {
    return (
      state.flights.length === 0 &&
      state.queue.length === 0 &&
      state.actions.length === 0 &&
      state.actors.every(
        (one) =>
          one === 0 ||
          (this.actors.actors.value(one).doing === undefined &&
            !(this.parts.slowStreams && this.actors.mayArrive(one))),
      )
    );
  }

  /**
   * What is not as it should be in the end; empty: all barriers are closed and all dispatchers at their end.
   * @param resting whether nothing is under way, and time has still to pass. Then some may rest: a closed barrier in the
   *   root is left to the sweeper; and if an invocation died, a dispatcher whose table was dropped meanwhile, or that lacks
   *   only the ACK of a NONE, asks again (protocol.md D4)
   */
  unfinished(state: State, resting: boolean): string[] {
    const missing: string[] = [];
    const root = this.invariants.rootOf(state.store);
    if (root === undefined) missing.push("the changefeed is not open");
    for (const [key, step] of root?.steps ?? [])
      if (!resting || step.phase !== "closed")
        missing.push(`event ${keyWords(key)} is open, in phase ${step.phase}`);
    for (const key of root?.pending ?? [])
      missing.push(`event ${keyWords(key)} has still to change the roster`);
    const { left } = state;
    const died = left.crashes < this.faults.crashes || left.lostAnswers < this.faults.lostAnswers;
    for (const one of state.actors)
      if (one !== 0 && !this.actors.finished(one) && !(resting && died && this.#asksAgain(state, one)))
        missing.push(`${this.#actorName(one)} is not at its end`);
    const { aside } = this.ghosts.get(state.ghost);
    for (const body of this.#malformed)
      if (!aside.includes(body)) missing.push(`I10: the message ${body} was not put aside`);
    return missing;
  }

  #asksAgain(state: State, one: number): boolean {
    const { id, life, machine } = this.actors.actors.value(one);
    return machine!.unacked.length > 0 || !this.invariants.stands(state.store, id, life);
  }

  /** One step of a course without faults, for `liveness.ts`. */
  readonly course = {
    draft: (state: State) => new Draft({ ...state, left: NO_FAULTS }, this.parts, this.explain),
    finish: (draft: Draft) => this.#done(draft),
    goOn: async (draft: Draft): Promise<Successor> => {
      const [value] = draft.flights;
      const found: Successor[] = [];
      draft.flights = without(draft.flights, value!);
      await this.#operate(draft, this.invocations.get(value! >> 1), (value! & 1) === 1, 0, "fine", found);
      return found.at(-1)!;
    },
    batch: async (draft: Draft, entry: number): Promise<Successor> => {
      const found: Successor[] = [];
      await this.#run(draft, this.#batch(draft, [entry], undefined, this.#settings), false, found);
      return found.at(-1)!;
    },
    sweep: async (draft: Draft): Promise<Successor> => {
      const found: Successor[] = [];
      await this.#run(draft, this.#sweep(draft), false, found);
      return found.at(-1)!;
    },
  };

  #draft(state: State): Draft {
    return new Draft(state, this.parts, this.explain);
  }

  #copy(draft: Draft): Draft {
    const copy = this.#draft(draft.state());
    copy.lines?.push(...draft.lines!);
    copy.faults.push(...draft.faults);
    return copy;
  }

  #name({ start }: Flight): string {
    return this.#nameOf(start.work, start.messages);
  }

  #nameOf(work: "batch" | "sweep", messages: readonly { messageId: string; receiveCount: number }[]): string {
    if (work === "sweep") return "the sweeper";
    const words = messages.map(
      (one) => this.wire.words(Number(one.messageId.slice(1))) + (one.receiveCount > 1 ? ", again" : ""),
    );
    return `[${words.join("; ")}]`;
  }

  #actorName(one: number): string {
    const { id, life } = this.actors.actors.value(one);
    return `${this.wire.nameOf(id)}@${life}`;
  }
}
