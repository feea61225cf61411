import { type CaptureEvent, doneState, reportState } from "../dispatcher/event.ts";
import {
  type ActionKind,
  type Command,
  DispatcherMachine,
  type SavedMachine,
} from "../dispatcher/machine.ts";
import { compareKeys, type EventKey } from "../protocol/eventkey.ts";
import { ComponentState, DoneAction, InfluenceType } from "../protocol/messages.ts";
import { Interner } from "./intern.ts";
import type { CastMember, Scenario } from "./scenario.ts";
import { type Instruction, keyWords, type Wire } from "./wire.ts";

/** One life of a dispatcher: the shipped machine, its place in the stream, what it carries. */
export interface Actor {
  readonly id: string;
  readonly member: CastMember;
  readonly node: string;
  /** The `start` of its node when it was created. */
  readonly nodeStart: number;
  readonly life: bigint;
  readonly checkpoint: bigint;
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
  born(from: Pick<Actor, "id" | "member" | "node" | "nodeStart" | "life" | "checkpoint">): number {
    const machine = tidied(new DispatcherMachine(identityOf(from.member), from.checkpoint).save());
    return this.actors.id({ ...from, at: 0, machine, doing: undefined });
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
    const { machine, life } = this.actors.value(id);
    if (one.kind === "create" || one.kind === "remove") return false;
    if (machine === undefined || one.life !== life) return true;
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
    const { id: who, life, node, nodeStart, machine } = this.actors.value(id);
    if (machine === undefined || machine.unacked.length > 0) return undefined;
    const { pending, held, finished } = machine;
    const stands = pending?.event ?? held;
    const checkpoint = stands ? stands.key.commitTs - 1n : finished.commitTs + 1n;
    const status = this.#wire.world.status(this.#wire.node(node, nodeStart), who, life, WORKING, checkpoint);
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
    if (one.kind === "create" || one.kind === "remove") throw new Error("a node's business");
    return this.#remembered(id, `${instruction}`, (machine, run) => {
      if (one.kind === "ack") return run.commands(machine.ack(one.key, 0));
      if (one.kind === "ignored") return run.commands(machine.ignored(one.key));
      return run.commands(machine.act(one.kind, one.key));
    });
  }

  #remembered(id: number, input: string, work: (machine: DispatcherMachine, run: Run) => void): Effects {
    const name = `${id} ${input}`;
    let effects = this.#done.get(name);
    if (effects === undefined) {
      const actor = this.actors.value(id);
      const machine = DispatcherMachine.restore(identityOf(actor.member), actor.machine!);
      const run = new Run(machine, actor, this.#stream(id), this.#wire, this.#scenario);
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

/** A run of the machine with its commands carried out, flushes at once. */
class Run {
  readonly sent: number[] = [];
  readonly deeds: Deed[] = [];
  at: number;
  doing: ActionKind | undefined;
  readonly #machine: DispatcherMachine;
  readonly #actor: Actor;
  readonly #stream: readonly CaptureEvent[];
  readonly #wire: Wire;
  readonly #scenario: Scenario;

  constructor(
    machine: DispatcherMachine,
    actor: Actor,
    stream: readonly CaptureEvent[],
    wire: Wire,
    scenario: Scenario,
  ) {
    this.#machine = machine;
    this.#actor = actor;
    this.#stream = stream;
    this.#wire = wire;
    this.#scenario = scenario;
    this.at = actor.at;
    this.doing = actor.doing;
  }

  finish(): void {
    this.doing = undefined;
  }

  deed(did: Deed["did"], key: EventKey): void {
    this.deeds.push({ did, key, id: this.#actor.id, life: this.#actor.life });
  }

  commands(first: readonly Command[], at = this.at): void {
    this.at = at;
    const queue = [...first];
    for (let command = queue.shift(); command !== undefined; command = queue.shift()) {
      switch (command.do) {
        case "flush":
          this.deed("flush", command.event.key);
          queue.push(...this.#machine.flushed(0));
          break;
        case "write-locally":
          this.deed("local", command.event.key);
          queue.push(...this.#machine.wroteLocally(command.event, 0));
          break;
        case "execute":
          if (this.#scenario.slowSinks) this.doing = command.action;
          else {
            this.deed(command.action, command.event.key);
            queue.push(...this.#machine.executed(command.action));
          }
          break;
        case "report":
          this.#report(command.stage, command.event);
          break;
        case "done":
          this.#done(command.key, command.action);
          break;
        case "resume": {
          // The stream goes on at once, unless the scenario lets it take its time.
          const next = this.#stream[this.at];
          if (next !== undefined && !this.#scenario.slowStreams) {
            this.at++;
            queue.push(...this.#machine.arrive(next));
          }
          break;
        }
      }
    }
  }

  #report(stage: "waiting" | "none", event: CaptureEvent): void {
    const { world } = this.#wire;
    const { id, life } = this.#actor;
    const state = reportState(event, stage === "waiting", identityOf(this.#actor.member));
    const message = world.report(this.#node, [{ id, life }], state);
    const what = stage === "waiting" ? "WAITING" : "NONE";
    this.sent.push(this.#wire.message(message, `${what} ${keyWords(event.key)} of ${this.#name}`));
  }

  #done(key: EventKey, action: ActionKind): void {
    const { world } = this.#wire;
    const { id, life } = this.#actor;
    const done = action === "write" ? DoneAction.WRITE_DONE : DoneAction.PASS_DONE;
    const message = world.report(this.#node, [{ id, life }], doneState(key, done));
    const what = `DONE of ${action === "write" ? "Write" : "Pass"}`;
    this.sent.push(this.#wire.message(message, `${what} ${keyWords(key)} of ${this.#name}`));
  }

  get #name(): string {
    return `${this.#wire.nameOf(this.#actor.id)}@${this.#actor.life}`;
  }

  get #node() {
    return this.#wire.node(this.#actor.node, this.#actor.nodeStart);
  }
}

const WORKING = ComponentState.Working;

function identityOf(member: CastMember) {
  return { tableId: member.table, whole: (member.start ?? "") === "" && (member.end ?? "") === "" };
}

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
function past(checkpoint: bigint): EventKey {
  return { commitTs: checkpoint, isSyncPoint: false };
}

/** Whether an event of the changefeed comes to a dispatcher. */
function reaches(event: CaptureEvent, { table, schema }: CastMember): boolean {
  if (event.key.isSyncPoint) return true;
  const tables = event.blockTables;
  if (tables === undefined) return table === 0n;
  if (tables.InfluenceType === InfluenceType.Normal) return tables.TableIDs?.includes(table) ?? false;
  if (tables.InfluenceType === InfluenceType.DB) return table === 0n || (schema ?? 1n) === tables.SchemaID;
  return true;
}
