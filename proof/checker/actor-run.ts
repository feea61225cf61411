import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { ActionKind, Command, DispatcherMachine } from "../../src/dispatcher/machine.ts";
import { doneState, reportState } from "../../src/dispatcher/states.ts";
import type { EventKey } from "../../src/protocol/event-key.ts";
import { DoneAction } from "../../src/protocol/messages.ts";
import type { Actor, Deed } from "./actors.ts";
import type { CastMember, Scenario } from "./scenario.ts";
import { keyWords, type Wire } from "./wire.ts";

/** A run of the machine with its commands carried out, flushes at once. */
export class ActorRun {
  readonly sent: number[] = [];
  readonly deeds: Deed[] = [];
  at: number;
  doing: ActionKind | undefined;
  #said: EventKey | undefined;
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

  /** Its next DONE says what the action said (ticdc.md T-A5). */
  says(key: EventKey): void {
    this.#said = key;
  }

  finish(): void {
    this.doing = undefined;
  }

  deed(did: Deed["did"], key: EventKey): void {
    const { id, life, member } = this.#actor;
    this.deeds.push({ did, key, id, life, redo: member.redo ?? false });
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
          this.#done(this.#said ?? command.key, command.action);
          this.#said = undefined;
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
    const message = world.report(this.#node, [{ id, life }], state, this.#mode);
    const what = stage === "waiting" ? "WAITING" : "NONE";
    this.sent.push(this.#wire.message(message, `${what} ${keyWords(event.key)} of ${this.#name}`));
  }

  #done(key: EventKey, action: ActionKind): void {
    const { world } = this.#wire;
    const { id, life } = this.#actor;
    // An old node does not say what it did (protocol.md M8).
    const told = action === "write" ? DoneAction.WRITE_DONE : DoneAction.PASS_DONE;
    const done = this.#wire.isOld(this.#actor.node) ? DoneAction.UNSPECIFIED : told;
    const message = world.report(this.#node, [{ id, life }], doneState(key, done), this.#mode);
    const what = `DONE of ${action === "write" ? "Write" : "Pass"}`;
    this.sent.push(this.#wire.message(message, `${what} ${keyWords(key)} of ${this.#name}`));
  }

  get #name(): string {
    return `${this.#wire.nameOf(this.#actor.id)}@${this.#actor.life}`;
  }

  get #mode() {
    return this.#actor.member.redo ? 1n : 0n;
  }

  get #node() {
    return this.#wire.node(this.#actor.node, this.#actor.nodeStart);
  }
}

export function identityOf(member: CastMember) {
  return { tableId: member.table, whole: (member.start ?? "") === "" && (member.end ?? "") === "" };
}
