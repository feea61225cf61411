import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import { type ActionKind, DispatcherMachine, type SavedMachine } from "../../src/dispatcher/machine.ts";
import { compareKeys, type EventKey } from "../../src/protocol/event-key.ts";
import { ComponentState } from "../../src/protocol/messages.ts";
import { ActorRun, identityOf } from "./actor-run.ts";
import { Interner } from "./intern.ts";
import type { CastMember, Scenario } from "./scenario.ts";
import { type Instruction, isAnswer, type Wire } from "./wire.ts";

/** One life of a dispatcher: the shipped machine, its place in the stream, what it carries. */
export interface Actor {
  readonly id: string;
  readonly member: CastMember;
  readonly node: string;
  /** The `start` of its node when it was created. */
  readonly nodeStart: number;
  readonly life: bigint;
  readonly checkpoint: bigint;
  /** Which epoch its node follows: actions of lower ones mean nothing to it (protocol.md D11, decision 14). */
  readonly epoch: bigint;
  /** How many of its events it has met. */
  readonly at: number;
  /** undefined: this life is over. */
  readonly machine: SavedMachine | undefined;
  /** What its sink is doing, if that takes time. */
  readonly doing: ActionKind | undefined;
}

/** What a dispatcher did: what the monitor watches. */
export interface Deed {
  readonly did: "flush" | ActionKind | "local";
  readonly key: EventKey;
  readonly id: string;
  readonly life: bigint;
  readonly redo: boolean;
}

export interface Effects {
  readonly actor: number;
  /** Status messages that it has sent. */
  readonly sent: readonly number[];
  readonly deeds: readonly Deed[];
}

/** The dispatchers of a scenario as values: what one does with an input is found out once. */
export class Actors {
  readonly actors = new Interner<Actor>();
  readonly #scenario: Scenario;
  readonly #wire: Wire;
  readonly #done = new Map<string, Effects>();
  readonly #streams = new Map<string, readonly CaptureEvent[]>();

  constructor(scenario: Scenario, wire: Wire) {
    this.#scenario = scenario;
    this.#wire = wire;
  }

  /** A new life, before it has met any event. */
  born(from: Pick<Actor, "id" | "member" | "node" | "nodeStart" | "life" | "checkpoint" | "epoch">): number {
    const machine = tidied(new DispatcherMachine(identityOf(from.member), from.checkpoint).save());
    return this.actors.id({ ...from, at: 0, machine, doing: undefined });
  }

  /** Its node follows a higher epoch. */
  follows(id: number, epoch: bigint): number {
    return this.actors.id({ ...this.actors.value(id), epoch });
  }

  dead(id: number): number {
    return this.actors.id({ ...this.actors.value(id), machine: undefined, doing: undefined });
  }

  /** Whether it has got to the end of its stream and nothing is outstanding. */
  finished(id: number): boolean {
    const { machine, at } = this.actors.value(id);
    if (machine === undefined) return true;
    return (
      machine.pending === undefined &&
      machine.held === undefined &&
      machine.unacked.length === 0 &&
      at >= this.#stream(id).length
    );
  }

  /** Whether the next event may come to it. */
  mayArrive(id: number): boolean {
    const { machine, at } = this.actors.value(id);
    return (
      machine !== undefined &&
      machine.pending === undefined &&
      machine.held === undefined &&
      at < this.#stream(id).length
    );
  }

  /** Whether an event is still to come behind the one that it stands at. */
  hasMore(id: number): boolean {
    const { machine, at } = this.actors.value(id);
    return machine !== undefined && (machine.held !== undefined || at < this.#stream(id).length);
  }

  mayRepeat(id: number): boolean {
    const { machine } = this.actors.value(id);
    return machine !== undefined && (machine.pending?.stage === "waiting" || machine.unacked.length > 0);
  }

  /** Whether an instruction is nothing to this actor, now and for ever. */
  never(id: number, one: Instruction): boolean {
    const { machine, life, epoch, member } = this.actors.value(id);
    if (!isAnswer(one)) return false;
    if (machine === undefined || one.life !== life || one.epoch < epoch) return true;
    if (one.mode !== (member.redo ? 1n : 0n)) return true;
    // An ACK of a WAITING only makes its repeats slower, and time is no part of this world.
    return (
      one.kind === "ack" && !machine.unacked.some((unacked) => compareKeys(unacked.event.key, one.key) === 0)
    );
  }

  arrive(id: number): Effects {
    return this.#remembered(id, "arrive", (machine, run) => {
      const { at } = this.actors.value(id);
      return run.commands(machine.arrive(this.#stream(id)[at]!), at + 1);
    });
  }

  repeat(id: number): Effects {
    return this.#remembered(id, "repeat", (machine, run) =>
      run.commands(machine.tick(Number.MAX_SAFE_INTEGER)),
    );
  }

  /** The status that its node sends from time to time: how far it has got (protocol.md M15). */
  heartbeat(id: number): number | undefined {
    const { id: who, life, node, nodeStart, machine, member } = this.actors.value(id);
    if (machine === undefined || machine.unacked.length > 0) return undefined;
    const { pending, held, finished } = machine;
    const stands = pending?.event ?? held;
    const checkpoint = stands ? stands.key.commitTs - 1n : finished.commitTs + 1n;
    const mode = member.redo ? 1n : 0n;
    const from = this.#wire.node(node, nodeStart);
    const status = this.#wire.world.status(from, who, life, WORKING, checkpoint, mode);
    const name = `${this.#wire.nameOf(who)}@${life}`;
    return this.#wire.message(status, `checkpoint ${checkpoint} of ${name}`);
  }

  /** Its sink has done what it was at. */
  complete(id: number): Effects {
    return this.#remembered(id, "complete", (machine, run) => {
      const { doing } = this.actors.value(id);
      const { event } = machine.save().pending!;
      run.finish();
      run.deed(doing!, event.key);
      return run.commands(machine.executed(doing!));
    });
  }

  obey(id: number, instruction: number): Effects {
    const one = this.#wire.instructions.value(instruction);
    if (!isAnswer(one)) throw new Error("a node's business");
    return this.#remembered(id, `${instruction}`, (machine, run) => {
      if (one.kind === "ack") return run.commands(machine.ack(one.key, 0));
      if (one.kind === "ignored") return run.commands(machine.ignored(one.key));
      const { pending } = machine.save();
      // An old node compares the commitTs alone (ticdc.md T-A5): what it is told of the DDL it may take for the syncpoint's.
      const taken =
        this.#wire.isOld(this.actors.value(id).node) &&
        pending?.stage === "waiting" &&
        pending.event.key.commitTs === one.key.commitTs;
      if (taken && compareKeys(pending.event.key, one.key) !== 0) {
        run.says(one.key);
        return run.commands(machine.act(one.kind, pending.event.key));
      }
      return run.commands(machine.act(one.kind, one.key));
    });
  }

  #remembered(id: number, input: string, work: (machine: DispatcherMachine, run: ActorRun) => void): Effects {
    const name = `${id} ${input}`;
    let effects = this.#done.get(name);
    if (effects === undefined) {
      const actor = this.actors.value(id);
      const machine = DispatcherMachine.restore(identityOf(actor.member), actor.machine!);
      const run = new ActorRun(machine, actor, this.#stream(id), this.#wire, this.#scenario);
      work(machine, run);
      const { at, doing } = run;
      const after = { ...actor, at, doing, machine: tidied(machine.save()) };
      effects = { actor: this.actors.id(after), sent: run.sent, deeds: run.deeds };
      this.#done.set(name, effects);
    }
    return effects;
  }

  #stream(id: number): readonly CaptureEvent[] {
    const { member, checkpoint } = this.actors.value(id);
    const name = `${member.name} ${checkpoint}`;
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = this.#scenario.events.filter(
        (event) => reaches(event, member) && compareKeys(event.key, past(checkpoint)) > 0,
      );
      this.#streams.set(name, stream);
    }
    return stream;
  }
}

const WORKING = ComponentState.Working;

/** Times of repeats are no part of this world: whoever may repeat does so at any time. */
function tidied(saved: SavedMachine): SavedMachine {
  return {
    ...saved,
    pending: saved.pending && { ...saved.pending, repeatAt: 0, acked: false },
    unacked: saved.unacked.map((one) => ({
      ...one,
      repeatAt: one.repeatAt === Number.POSITIVE_INFINITY ? one.repeatAt : 0,
    })),
  };
}

/** What is behind a checkpoint: the DDL at it, not the syncpoint (protocol.md R10). */
export function past(checkpoint: bigint): EventKey {
  return { commitTs: checkpoint, isSyncPoint: false };
}

/** Whether an event of the changefeed comes to a dispatcher. */
export function reaches(event: CaptureEvent, { table, schema, redo }: CastMember): boolean {
  // Redo has no syncpoints (protocol.md M17).
  if (event.key.isSyncPoint) return !redo;
  const tables = event.blockTables;
  if (tables === undefined) return table === 0n;
  if (tables.type === "tables") return tables.tableIds.includes(table);
  if (tables.type === "schema") return table === 0n || (schema ?? 1n) === tables.schemaId;
  return true;
}
