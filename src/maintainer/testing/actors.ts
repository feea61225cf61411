/** Dispatchers in a few lines, for tests that look at what a whole changefeed does: wait, obey, report, repeat. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { compareKeys, type EventKey, keyText } from "../../protocol/event-key.ts";
import type { StateSchema } from "../../protocol/messages.ts";
import type { StatusMessage } from "../intake/input.ts";
import type { TestNode, World } from "./world.ts";

export interface ActorEvent {
  readonly key: EventKey;
  /** What WAITING says; undefined: the table trigger reports it as NONE, with `none`. */
  readonly state?: MessageInitShape<typeof StateSchema>;
  readonly none?: MessageInitShape<typeof StateSchema>;
}

export interface Actor {
  readonly id: string;
  node: TestNode;
  life: bigint;
  /** The events of its stream, in order. */
  readonly events: readonly ActorEvent[];
  at: number;
  acked: boolean;
  gone: boolean;
}

/** What somebody did to an event, in the order in which it happened. */
export interface Deed {
  readonly key: string;
  readonly id: string;
  readonly did: "write" | "pass";
}

/** A changefeed's dispatchers, and the messages that they have sent and nobody has handled yet. */
export class Actors {
  readonly world: World;
  readonly actors: Actor[];
  outbox: StatusMessage[] = [];
  readonly deeds: Deed[] = [];

  constructor(world: World, actors: readonly Omit<Actor, "at" | "acked" | "gone">[]) {
    this.world = world;
    this.actors = actors.map((actor) => ({ ...actor, at: 0, acked: false, gone: false }));
  }

  /** Everybody who stands at an event reports it, as at the first time or as a repeat. */
  report(): void {
    for (const actor of this.actors) {
      const event = actor.gone ? undefined : actor.events[actor.at];
      if (event === undefined) continue;
      const named = { id: actor.id, life: actor.life };
      this.outbox.push(
        event.state
          ? this.world.waiting(actor.node, [named], event.key, event.state)
          : this.world.none(actor.node, named, event.key, event.none!),
      );
    }
  }

  /** Takes what came to the queues and does it. */
  obey(): void {
    for (const queue of [...this.world.queues.keys()]) {
      const told = this.world.told(queue);
      for (const one of told) {
        const { key } = parse(one.key);
        for (const [index, id] of one.ids.entries()) {
          const actor = this.actors.find((each) => each.id === id && !each.gone);
          if (!actor || (one.lives[index] !== undefined && one.lives[index] !== actor.life)) continue;
          if (one.kind === "ack") this.#acked(actor, key);
          else if (one.kind === "write" || one.kind === "pass") this.#act(actor, key, one.kind);
        }
      }
    }
  }

  /** Whether everybody is at the end of its stream. */
  get finished(): boolean {
    return this.actors.every((actor) => actor.gone || actor.at >= actor.events.length);
  }

  #acked(actor: Actor, key: EventKey): void {
    const event = actor.events[actor.at];
    if (event?.none && compareKeys(event.key, key) === 0) this.#next(actor);
  }

  #act(actor: Actor, key: EventKey, kind: "write" | "pass"): void {
    const event = actor.events[actor.at];
    const named = { id: actor.id, life: actor.life };
    if (event?.state && compareKeys(event.key, key) === 0) {
      this.deeds.push({ key: keyText(key), id: actor.id, did: kind });
      this.outbox.push(this.world.done(actor.node, [named], key, kind));
      this.#next(actor);
    } else if (event === undefined || compareKeys(event.key, key) > 0)
      // Finished before: DONE again, of the kind that came (protocol.md D6).
      this.outbox.push(this.world.done(actor.node, [named], key, kind));
  }

  #next(actor: Actor): void {
    actor.at++;
    const event = actor.events[actor.at];
    if (event === undefined) return;
    const named = { id: actor.id, life: actor.life };
    this.outbox.push(
      event.state
        ? this.world.waiting(actor.node, [named], event.key, event.state)
        : this.world.none(actor.node, named, event.key, event.none!),
    );
  }
}

function parse(text: string): { key: EventKey } {
  return { key: { commitTs: BigInt(text.slice(0, 20)), isSyncPoint: text.endsWith("-1") } };
}

/** What must hold of all deeds: each event written once, before anybody passes it (invariants.md I2, I3, I4). */
export function faultsOf(deeds: readonly Deed[]): string[] {
  const faults: string[] = [];
  const written = new Set<string>();
  const seen = new Set<string>();
  for (const { key, id, did } of deeds) {
    if (did === "write") {
      if (written.has(key)) faults.push(`${key} was written twice`);
      written.add(key);
    } else if (!written.has(key)) faults.push(`${id} passed ${key} before it was written`);
    if (seen.has(`${key} ${id}`)) faults.push(`${id} met ${key} twice`);
    seen.add(`${key} ${id}`);
  }
  return faults;
}
