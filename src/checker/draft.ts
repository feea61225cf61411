import { ComponentState } from "../protocol/messages.ts";
import type { Actors, Effects } from "./actors.ts";
import type { Ghosts } from "./ghost.ts";
import type { Invariants } from "./invariants.ts";
import type { CastMember, Change, Faults, From } from "./scenario.ts";
import { added, type State, without } from "./state.ts";
import type { StoreIds } from "./storeparts.ts";
import { keyWords, type Wire } from "./wire.ts";

/** What states of one scenario are made of. */
export interface Parts {
  readonly wire: Wire;
  readonly actors: Actors;
  readonly ghosts: Ghosts;
  readonly invariants: Invariants;
  /** The place of a dispatcher in `State.actors`, by id. */
  readonly places: Map<string, number>;
  readonly nodes: readonly string[];
  readonly slowStreams: boolean;
}

/** One transition in the making: a state that changes, what is wrong with it, and words for a trace if they are wanted. */
export class Draft {
  store: StoreIds;
  queue: readonly number[];
  actions: readonly number[];
  flights: readonly number[];
  idle: readonly number[];
  actors: readonly number[];
  nodes: readonly number[];
  ghost: number;
  changed: number;
  excused: number;
  left: Faults;
  readonly faults: string[] = [];
  readonly lines: string[] | undefined;
  readonly parts: Parts;

  constructor(state: State, parts: Parts, explain: boolean) {
    this.parts = parts;
    this.lines = explain ? [] : undefined;
    this.store = state.store;
    this.queue = state.queue;
    this.actions = state.actions;
    this.flights = state.flights;
    this.idle = state.idle;
    this.actors = state.actors;
    this.nodes = state.nodes;
    this.ghost = state.ghost;
    this.changed = state.changed;
    this.excused = state.excused;
    this.left = state.left;
  }

  state(): State {
    const { store, queue, actions, flights, idle, actors, nodes, ghost, changed, excused, left } = this;
    return { store, queue, actions, flights, idle, actors, nodes, ghost, changed, excused, left };
  }

  say(line: () => string): void {
    this.lines?.push(line());
  }

  /** A dispatcher of the beginning. */
  appears(member: CastMember): void {
    this.#born(this.parts.wire.idOf(member.name), member, member.node, 1n, member.checkpoint ?? 1n);
  }

  /** The first events come to everybody. */
  begins(): void {
    this.#begins(this.actors.map((one) => this.parts.actors.actors.value(one).id));
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
    this.faults.push(...invariants.told(one, this.ghost));
    this.say(() => `    sends ${wire.instructionWords(one)}`);
    if (one.kind !== "create" && one.kind !== "remove") {
      const actor = this.actors[places.get(one.id) ?? -1];
      if (!actor || actors.never(actor, one)) return;
    }
    this.actions = added(this.actions, instruction);
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

  /** A dispatcher obeys, or a node does what it is told of its dispatchers. */
  obeys(instruction: number): void {
    const { wire, actors, places } = this.parts;
    const one = wire.instructions.value(instruction);
    if (one.kind === "create") {
      if (places.has(one.id) && this.actors[places.get(one.id)!]) return;
      const member = { name: wire.nameOf(one.id), node: one.node, table: one.table, schema: one.schema };
      this.#born(one.id, member, one.node, 1n, one.startTs);
      this.#registers(one.node, [one.id]);
      this.#begins([one.id]);
    } else if (one.kind === "remove") {
      const place = places.get(one.id) ?? -1;
      if (this.#living(place)) this.#ends(place, true);
    } else {
      const place = places.get(one.id)!;
      if (!actors.never(this.actors[place]!, one))
        this.did(place, actors.obey(this.actors[place]!, instruction));
    }
  }

  /** A change of the roster, as it happens to the dispatchers. */
  happens(change: Change): void {
    const { wire, places, actors, nodes } = this.parts;
    const placeOf = (name: string) => places.get(wire.idOf(name)) ?? -1;
    switch (change.does) {
      case "move": {
        const place = placeOf(change.who);
        const { id, life, member } = actors.actors.value(this.actors[place]!);
        const from = this.#from(place, change.from);
        this.#ends(place, change.tells);
        this.#born(id, member, change.to, life + 1n, from);
        this.#registers(change.to, [id]);
        this.#begins([id]);
        break;
      }
      case "restart": {
        const at = nodes.indexOf(change.node);
        this.nodes = this.nodes.with(at, this.nodes[at]! + 1);
        const reborn: string[] = [];
        for (const [place, one] of this.actors.entries()) {
          if (!this.#living(place)) continue;
          const { id, node, life, member } = actors.actors.value(one);
          if (node !== change.node) continue;
          const from = this.#from(place, change.from);
          this.#ends(place, false);
          this.#born(id, member, node, life + 1n, from);
          reborn.push(id);
        }
        this.#registers(change.node, reborn);
        this.#begins(reborn);
        break;
      }
      case "replace": {
        const gone = change.who.map(placeOf);
        const from = gone.map((place) => this.#from(place, change.from)).reduce((a, b) => (a < b ? a : b));
        for (const place of gone) this.#ends(place, true);
        for (const member of change.by) {
          const id = wire.idOf(member.name);
          this.#born(id, member, member.node, 1n, from);
          this.#registers(member.node, [id]);
        }
        this.#begins(change.by.map((member) => wire.idOf(member.name)));
        break;
      }
      case "leave":
        this.#ends(placeOf(change.who), true);
        break;
    }
  }

  /** Whether a change can happen: those whom it is about are there. */
  possible(change: Change): boolean {
    const { wire, places, actors } = this.parts;
    const there = (name: string) => this.#living(places.get(wire.idOf(name)) ?? -1);
    switch (change.does) {
      case "move":
      case "leave":
        return there(change.who);
      case "replace":
        return change.who.every(there);
      case "restart":
        return this.actors.some(
          (one, place) => this.#living(place) && actors.actors.value(one).node === change.node,
        );
    }
  }

  /** Lets the first events come to new dispatchers. */
  #begins(ids: readonly string[]): void {
    const { actors, places, slowStreams } = this.parts;
    if (slowStreams) return;
    for (const id of ids) {
      const place = places.get(id)!;
      const one = this.actors[place]!;
      if (actors.mayArrive(one)) this.did(place, actors.arrive(one));
    }
  }

  #living(place: number): boolean {
    const one = this.actors[place];
    return one !== undefined && one !== 0 && this.parts.actors.actors.value(one).machine !== undefined;
  }

  #born(id: string, member: CastMember, node: string, life: bigint, checkpoint: bigint): void {
    const { places, actors, nodes } = this.parts;
    let place = places.get(id);
    if (place === undefined) {
      place = places.size;
      places.set(id, place);
    }
    const nodeStart = this.nodes[nodes.indexOf(node)]!;
    const list = [...this.actors];
    while (list.length <= place) list.push(0);
    list[place] = actors.born({ id, member, node, nodeStart, life, checkpoint });
    this.actors = list;
  }

  /** A life ends: what is on its way to it means nothing any more. */
  #ends(place: number, tells: boolean): void {
    const { actors, wire } = this.parts;
    const { id, life, node, nodeStart } = actors.actors.value(this.actors[place]!);
    this.actors = this.actors.with(place, actors.dead(this.actors[place]!));
    this.say(() => `    ${wire.nameOf(id)}@${life} ends`);
    for (const instruction of this.actions) {
      const one = wire.instructions.value(instruction);
      if (one.kind !== "create" && one.kind !== "remove" && one.id === id)
        this.actions = without(this.actions, instruction);
    }
    if (!tells) return;
    const status = wire.world.status(wire.node(node, nodeStart), id, life, ComponentState.Removed);
    this.sends(wire.message(status, `Removed ${wire.nameOf(id)}@${life}`));
  }

  #from(place: number, from: From): bigint {
    const { machine, checkpoint } = this.parts.actors.actors.value(this.actors[place]!);
    if (from === "start") return checkpoint;
    const { finished, unacked } = machine!;
    // The checkpoint does not pass what is not acknowledged yet (protocol.md D10).
    const cap = unacked.reduce(
      (low, { event }) => (event.key.commitTs - 1n < low ? event.key.commitTs - 1n : low),
      finished.commitTs,
    );
    return cap < finished.commitTs || !finished.isSyncPoint ? cap : cap + 1n;
  }

  #registers(node: string, ids: readonly string[]): void {
    this.sends(registration(this.parts, this.actors, node, ids));
  }
}

const DEEDS = { write: "writes", pass: "passes", local: "writes, without asking,", flush: "" } as const;

/** The registration of dispatchers of one node, as they are. */
export function registration(
  { wire, actors, places }: Parts,
  present: readonly number[],
  node: string,
  ids: readonly string[],
): number {
  const found = ids.map((id) => actors.actors.value(present[places.get(id)!]!));
  const from = wire.node(node, found[0]!.nodeStart);
  const spans = found.map(({ id, member, life, checkpoint }) => ({
    id,
    table: member.table,
    schema: member.schema ?? (member.table === 0n ? 0n : 1n),
    life,
    checkpoint,
    ...(member.start !== undefined && { start: member.start }),
    ...(member.end !== undefined && { end: member.end }),
    ...(member.state !== undefined && life === 1n && { state: member.state }),
  }));
  const names = found.map(({ id, life }) => `${wire.nameOf(id)}@${life}`).join(", ");
  const made = wire.world.registration(from, spans);
  // A node names its queue for requests to create dispatchers, however few it has.
  const message = { ...made, attributes: { ...made.attributes, nodeQueue: from.queue } };
  return wire.message(message, `registration of ${names} on ${node}`);
}
