/** Capture nodes as TiCDC's (`old-node.ts`) with the coordinator between them: messages of both ways come in any order. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import type { Dice } from "../../chance/dice.ts";
import { decode } from "../../protocol/codec.ts";
import type { StateSchema } from "../../protocol/messages.ts";
import { tableRange } from "../../protocol/span.ts";
import type { ActionMessage } from "../base/port.ts";
import type { StatusMessage } from "../intake/input.ts";
import { type Effect, OldDispatcherManager } from "./old-node.ts";
import { again, CHANGEFEED, d, oldNode, type TestNode, World } from "./world.ts";

export interface OldTable {
  readonly table: bigint;
  readonly schema: bigint;
  readonly node: string;
}

/** The table trigger's dispatcher; that of table t is `d(t)`. */
export const TRIGGER = d(1);

/** A hook for an invocation that dies before its operation of this number, or after it. */
function diesAt(number: number): Parameters<World["handleHooked"]>[0] {
  let dead = false;
  return (when, _, index) => {
    dead ||= index === number >> 1 && when === (number % 2 === 0 ? "before" : "after");
    if (dead) throw new Error("it dies");
  };
}

export class OldWorld {
  readonly world = new World();
  /** What all nodes did, in order. */
  readonly effects: Effect[] = [];
  readonly managers = new Map<string, OldDispatcherManager>();
  /** The status queue. */
  readonly queue: StatusMessage[] = [];
  readonly #nodes = new Map<string, TestNode>();
  readonly #triggerNode: string;
  /** How many messages a batch has at most, and how likely an invocation dies at one of its first operations. */
  batchSize = 3;
  killed = 0;

  /** The table trigger is on the first node. All start at commitTs 1. */
  constructor(nodes: readonly string[], tables: readonly OldTable[]) {
    this.#triggerNode = nodes[0]!;
    for (const id of nodes) this.addNode(id);
    this.manager(this.#triggerNode).create({
      id: dispatcherId(TRIGGER),
      tableId: 0n,
      schemaId: 0n,
      start: new Uint8Array(),
      end: new Uint8Array(),
      startTs: 1n,
    });
    for (const { table, schema, node } of tables)
      this.manager(node).create({
        id: dispatcherId(d(Number(table))),
        tableId: table,
        schemaId: schema,
        ...tableRange(table),
        startTs: 1n,
      });
    this.queue.push(
      this.world.opening(
        this.#nodes.get(this.#triggerNode)!,
        TRIGGER,
        tables.map(({ table, schema }) => ({ id: table, schema })),
        { epoch: 1n },
      ),
    );
    for (const id of nodes) this.register(id);
  }

  manager(node: string): OldDispatcherManager {
    return this.managers.get(node)!;
  }

  addNode(id: string): void {
    this.#nodes.set(id, oldNode(id));
    this.managers.set(id, new OldDispatcherManager(CHANGEFEED, this.effects));
  }

  /** A node's answer to a bootstrap request goes to the coordinator. */
  register(id: string): void {
    const node = this.#nodes.get(id)!;
    const body = { ...this.manager(id).bootstrap(), maintainerEpoch: 1n };
    this.queue.push(
      this.world.message(node, "MaintainerBootstrapResponse", body, { replyQueue: node.queue }),
    );
  }

  /** An event, to whom it comes; a syncpoint comes to everybody. */
  event(state: MessageInitShape<typeof StateSchema>, tables?: readonly bigint[]): void {
    for (const manager of this.managers.values()) manager.stream({ kind: "event", state }, tables);
    this.collect();
  }

  resolved(ts: bigint): void {
    for (const manager of this.managers.values()) manager.stream({ kind: "resolved", ts });
    this.collect();
  }

  /** Puts what nodes say into the status queue. */
  collect(): void {
    for (const [id, manager] of this.managers)
      for (const { type, body } of manager.take())
        this.queue.push(this.world.message(this.#nodes.get(id)!, type, body));
  }

  /** Hands a node one message of its queue. */
  obey(id: string, { type, encoding, body }: ActionMessage): void {
    const manager = this.manager(id);
    if (type === "HeartBeatResponse") manager.respond(decode(type, encoding, body));
    else if (type === "ScheduleDispatcherRequest") manager.schedule(decode(type, encoding, body));
    this.collect();
  }

  actions(id: string): ActionMessage[] {
    return this.world.queues.get(this.#nodes.get(id)!.queue) ?? [];
  }

  /**
   * Until nothing is under way: any message that is, in any order, one or several status messages in a batch, some of them twice.
   * Without dice all in their order, each once.
   */
  async settle(dice?: Dice): Promise<void> {
    for (let step = 0; step < 20_000; step++) {
      this.world.now += 10;
      const told = [...this.managers.keys()].filter((id) => this.actions(id).length > 0);
      if (this.queue.length === 0 && told.length === 0) return;
      const listens = told.length > 0 && (this.queue.length === 0 || (dice?.chance(0.5) ?? false));
      if (listens) {
        const id = dice ? dice.pick(told) : told[0]!;
        const actions = this.actions(id);
        const [message] = actions.splice(dice ? dice.below(actions.length) : 0, 1);
        this.obey(id, message!);
      } else {
        const batch: StatusMessage[] = [];
        const size = dice ? 1 + dice.below(this.batchSize) : 1;
        while (batch.length < size && this.queue.length > 0) {
          const [message] = this.queue.splice(dice ? dice.below(this.queue.length) : 0, 1);
          batch.push(message!);
          if (dice?.chance(0.15)) this.queue.push(message!);
        }
        if (dice?.chance(this.killed)) {
          await this.world.handleHooked(diesAt(dice.below(12)), ...batch);
          this.queue.push(...batch.map(again));
          continue;
        }
        const { failed } = dice?.chance(0.3)
          ? await this.world.handleCold(...batch)
          : await this.world.handle(...batch);
        if (failed.length > 0) throw new Error(`a message failed: ${failed[0]!.reason}`);
      }
      if (this.world.deadLetters.length > 0) throw new Error(this.world.deadLetters[0]!.reason);
    }
    throw new Error("messages without end");
  }

  /** Time goes on in which repeats are due on both sides, and all is quiet again. */
  async pass(ms: number, dice?: Dice): Promise<void> {
    this.world.now += ms;
    for (const manager of this.managers.values()) manager.tick(this.world.now);
    this.collect();
    await this.settle(dice);
    await this.world.sweep();
    await this.settle(dice);
  }

  /** What was done with an event, in order: `write pass pass`. */
  outcome(ts: bigint, isSyncPoint: boolean): string {
    return this.effects
      .filter((one) => one.ts === ts && one.isSyncPoint === isSyncPoint)
      .map((one) => one.did)
      .join(" ");
  }
}
