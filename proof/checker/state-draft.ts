import { compareKeys, keyText } from "../../src/protocol/event-key.ts";
import { ComponentState } from "../../src/protocol/messages.ts";
import { type Actor, type Effects, past, reaches } from "./actors.ts";
import { eventName } from "./history.ts";
import type { Parts } from "./parts.ts";
import { registrations } from "./registration.ts";
import type { CastMember, Faults } from "./scenario.ts";
import { added, type State, without } from "./state.ts";
import type { StoreIds } from "./store-parts.ts";
import { type Instruction, isAnswer, keyWords } from "./wire.ts";

/** One transition in the making: a state that changes, what is wrong with it, and words for a trace if they are wanted. */
export class StateDraft {
  store: StoreIds;
  queue: readonly number[];
  actions: readonly number[];
  flights: readonly number[];
  idle: readonly number[];
  actors: readonly number[];
  nodes: readonly number[];
  epochs: readonly number[];
  ghost: number;
  changed: number;
  excused: number;
  left: Faults;
  readonly faults: string[] = [];
  readonly lines: string[] | undefined;
  readonly parts: Parts;

  constructor(state: State, parts: Parts) {
    this.parts = parts;
    this.lines = parts.explain ? [] : undefined;
    this.store = state.store;
    this.queue = state.queue;
    this.actions = state.actions;
    this.flights = state.flights;
    this.idle = state.idle;
    this.actors = state.actors;
    this.nodes = state.nodes;
    this.epochs = state.epochs;
    this.ghost = state.ghost;
    this.changed = state.changed;
    this.excused = state.excused;
    this.left = state.left;
  }

  state(): State {
    const { store, queue, actions, flights, idle, actors, nodes, epochs, ghost, changed, excused, left } =
      this;
    return { store, queue, actions, flights, idle, actors, nodes, epochs, ghost, changed, excused, left };
  }

  /** Another one that goes on from here. */
  copy(): StateDraft {
    const copy = new StateDraft(this.state(), this.parts);
    copy.lines?.push(...this.lines!);
    copy.faults.push(...this.faults);
    return copy;
  }

  say(line: () => string): void {
    this.lines?.push(line());
  }

  /** A dispatcher of the beginning. */
  appears(member: CastMember): void {
    const { wire } = this.parts;
    const life = wire.isOld(member.node) ? wire.oldLife : 1n;
    this.born(wire.idOf(member.name), member, member.node, life, member.checkpoint ?? 1n);
  }

  /** The first events come to everybody. */
  begins(): void {
    this.starts(this.actors.map((one) => this.parts.actors.actors.value(one).id));
  }

  /** Puts a status message into its queue. */
  sends(content: number): void {
    this.queue = added(this.queue, content * 2);
    this.say(() => `    sends ${this.parts.wire.words(content)}`);
  }

  sendsMaybe(content: number | undefined): void {
    if (content !== undefined && !this.queue.includes(content * 2)) this.sends(content);
  }

  /** Puts what is told to a dispatcher into its queue, unless it can never mean anything to it. */
  tells(instruction: number): void {
    const { wire, actors, places, invariants } = this.parts;
    const one = wire.instructions.value(instruction);
    this.faults.push(...invariants.told(one, this.ghost), ...this.#startsTooLate(one));
    this.say(() => `    sends ${wire.instructionWords(one)}`);
    if (one.kind === "create" && this.parts.scenario.impatient)
      this.ghost = this.parts.ghosts.with(this.ghost, "asked", `${one.id}@${one.given}`);
    if (isAnswer(one)) {
      const actor = this.actors[places.get(one.id) ?? -1];
      if (!actor || actors.never(actor, one)) return;
    }
    this.instructs(instruction);
  }

  /** Puts an instruction into its queue. */
  instructs(instruction: number): void {
    this.actions = added(this.actions, instruction);
  }

  /** Who was lost must not be started behind what it had not done: rows would be lost (decision 11). */
  #startsTooLate(one: Instruction): string[] {
    if (one.kind !== "create" || !one.lost) return [];
    const { ghosts, scenario, wire, places } = this.parts;
    const { wrote, passed } = ghosts.get(this.ghost);
    const { member, checkpoint } = this.actorAt(places.get(one.id)!);
    const did = (name: string) => [...wrote, ...passed].some((who) => who.startsWith(`${name} ${one.id}@`));
    return scenario.events
      .filter(
        (event) =>
          reaches(event, member) &&
          compareKeys(event.key, past(checkpoint)) > 0 &&
          compareKeys(event.key, past(one.startTs)) <= 0 &&
          !did(eventName(keyText(event.key), member.redo ?? false)),
      )
      .map(
        ({ key }) =>
          `decision 11: ${wire.nameOf(one.id)} is to start from ${one.startTs}, and ${keyWords(key)} was not behind it`,
      );
  }

  /** A dispatcher did something. */
  did(place: number, { actor, sent, deeds }: Effects): void {
    const { wire, ghosts, actors } = this.parts;
    this.actors = this.actors.with(place, actor);
    const living = (who: string) =>
      this.actors.some((one) => {
        const { id, life, machine } = actors.actors.value(one);
        return machine !== undefined && who === `${id}@${life}`;
      });
    for (const deed of deeds) {
      const judged = ghosts.did(this.ghost, deed, living);
      this.ghost = judged.ghost;
      const name = `${wire.nameOf(deed.id)}@${deed.life}`;
      const what = DEEDS[deed.did];
      if (what !== "") this.say(() => `    ${name} ${what} ${keyWords(deed.key)}`);
      this.faults.push(...judged.faults.map((fault) => `${fault} (${name})`));
    }
    for (const content of sent) this.sends(content);
  }

  /** The place of a dispatcher in `actors`, by its name; -1: it has none. */
  placeOf(name: string): number {
    const { places, wire } = this.parts;
    return places.get(wire.idOf(name)) ?? -1;
  }

  actorAt(place: number): Actor {
    return this.parts.actors.actors.value(this.actors[place]!);
  }

  /** The ids of the dispatchers that live on a node. */
  on(node: string): string[] {
    return [...this.actors.keys()]
      .filter((place) => this.living(place) && this.actorAt(place).node === node)
      .map((place) => this.actorAt(place).id);
  }

  /** Lets the first events come to new dispatchers. */
  starts(ids: readonly string[]): void {
    const { actors, places, scenario } = this.parts;
    if (scenario.slowStreams) return;
    for (const id of ids) {
      const place = places.get(id)!;
      const one = this.actors[place]!;
      if (actors.mayArrive(one)) this.did(place, actors.arrive(one));
    }
  }

  living(place: number): boolean {
    const one = this.actors[place];
    return one !== undefined && one !== 0 && this.parts.actors.actors.value(one).machine !== undefined;
  }

  born(id: string, member: CastMember, node: string, life: bigint, checkpoint: bigint): void {
    const { places, actors, nodes } = this.parts;
    let place = places.get(id);
    if (place === undefined) {
      place = places.size;
      places.set(id, place);
    }
    const at = nodes.indexOf(node);
    const nodeStart = this.nodes[at]!;
    const epoch = BigInt(this.epochs[at]!);
    const list = [...this.actors];
    while (list.length <= place) list.push(0);
    list[place] = actors.born({ id, member, node, nodeStart, epoch, life, checkpoint });
    this.actors = list;
  }

  /** A life ends: what is on its way to it means nothing any more. */
  ends(place: number, tells: boolean): void {
    const { actors, wire } = this.parts;
    const { id, life, node, nodeStart, member } = actors.actors.value(this.actors[place]!);
    this.actors = this.actors.with(place, actors.dead(this.actors[place]!));
    this.say(() => `    ${wire.nameOf(id)}@${life} ends`);
    for (const instruction of this.actions) {
      const one = wire.instructions.value(instruction);
      if (isAnswer(one) && one.id === id) this.actions = without(this.actions, instruction);
    }
    if (!tells) return;
    const from = wire.node(node, nodeStart);
    const status = wire.world.status(from, id, life, ComponentState.Removed, 0n, member.redo ? 1n : 0n);
    this.sends(wire.message(status, `Removed ${wire.nameOf(id)}@${life}`));
  }

  /** A node registers dispatchers, as they are. */
  registers(node: string, ids: readonly string[]): void {
    const epoch = BigInt(this.epochs[this.parts.nodes.indexOf(node)]!);
    for (const content of registrations(this.parts, this.actors, node, epoch, ids)) this.sends(content);
  }
}

const DEEDS = { write: "writes", pass: "passes", local: "writes, without asking,", flush: "" } as const;
