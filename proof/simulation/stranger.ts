import { create } from "@bufbuild/protobuf";
import { dispatcherId } from "../../src/barrier/dispatcher-id.ts";
import { encode } from "../../src/protocol/codec.ts";
import {
  Action,
  ComponentState,
  HeartBeatRequestSchema,
  HeartBeatResponseSchema,
  InfluenceType,
} from "../../src/protocol/messages.ts";
import { ACTION_PREFIX, STATUS_QUEUE } from "./fixed.ts";

import type { Monitors } from "./monitors.ts";
import type { Nodes } from "./nodes.ts";
import type { Ground } from "./process.ts";
import type { Queues, Stored } from "./queues.ts";
import type { Judge } from "./violation.ts";

/** A node that is away for so long, in ms, may be forgotten, and whose it was. */
const FORGOTTEN_AFTER = 14 * 24 * 3600 * 1000;

/** Somebody with a principal of its own, which no node has. */
const PRINCIPAL = "stranger";

/**
 * Says in a node's name that its dispatchers are gone: nobody may be taken out by that (protocol.md R7). Tells dispatchers in the
 * coordinator's name to go on: none may (protocol.md D12), or the monitors see who executes what was not granted.
 */
export class Stranger {
  readonly #ground: Ground;
  readonly #nodes: Nodes;
  readonly #queues: Queues;
  readonly #monitors: Monitors;
  readonly #judge: Judge;
  readonly #aside = new Set<string>();
  /** A life of each node that was ever seen to stand, and when: the node is bound from then on, over epochs (decisions/0046). */
  readonly #seen = new Map<string, { readonly id: string; readonly life: bigint; readonly at: number }>();
  #said = 0;

  constructor(ground: Ground, parts: { nodes: Nodes; queues: Queues; monitors: Monitors; judge: Judge }) {
    this.#ground = ground;
    this.#nodes = parts.nodes;
    this.#queues = parts.queues;
    this.#monitors = parts.monitors;
    this.#judge = parts.judge;
  }

  /** Only a node that has registered is bound. */
  async run(): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    while (faults.possible("stranger")) {
      await timeline.sleep(dice.between(1_000, 30_000));
      if (dice.chance(0.5)) this.#forge();
      const { root } = this.#monitors;
      if (root === undefined) continue;
      for (const { id, life, node } of this.#monitors.rosterOf(root).lives.values())
        this.#seen.set(node, { id, life, at: timeline.wall });
      const bound = [...this.#seen].filter(
        ([node, { at }]) => this.#nodes.machines.has(node) && timeline.wall - at < FORGOTTEN_AFTER,
      );
      if (bound.length === 0 || !faults.happens("stranger", 0.5)) continue;
      const [node, { id, life }] = dice.pick(bound);
      const [high, low] = [BigInt(`0x${id.slice(0, 16)}`), BigInt(`0x${id.slice(16)}`)];
      const body = encode(
        "HeartBeatRequest",
        "json",
        create(HeartBeatRequestSchema, {
          changefeedID: this.#nodes.changefeed,
          statuses: [
            { ID: { high, low }, life, componentStatus: ComponentState.Removed, mode: this.#nodes.mode },
          ],
        }),
      );
      // A start that no process of the node can have had tells one from the other here.
      const start = String(2 ** 52 - ++this.#said);
      const attributes = { type: "HeartBeatRequest", from: node, encoding: "json", start };
      this.#queues.put(STATUS_QUEUE, body, attributes, PRINCIPAL);
    }
  }

  /** Sends Write or Pass to a dispatcher that waits for it, by the queue that it listens to. */
  #forge(): void {
    const { dice, faults } = this.#ground;
    // Who stood there on a node that has left has no queue any more.
    const waiting = [...this.#nodes.carriers.values()].filter(
      ({ running, node }) =>
        this.#nodes.machines.has(node) && running?.dispatcher?.blockedAt?.stage === "waiting",
    );
    if (waiting.length === 0 || !faults.happens("stranger", 0.5)) return;
    const { id, node, running } = dice.pick(waiting);
    const { commitTs, isSyncPoint } = running!.dispatcher!.blockedAt!.event.key;
    const status = {
      influencedDispatchers: {
        InfluenceType: InfluenceType.Normal,
        DispatcherIDs: [dispatcherId(id)],
      },
      lives: [running!.life],
      action: {
        action: dice.pick([Action.Write, Action.Pass]),
        CommitTs: commitTs,
        IsSyncPoint: isSyncPoint,
      },
    };
    const response = create(HeartBeatResponseSchema, {
      changefeedID: this.#nodes.changefeed,
      mode: this.#nodes.mode,
      maintainerEpoch: this.#nodes.epoch,
      dispatcherStatuses: [status],
    });
    const body = encode("HeartBeatResponse", "json", response);
    const queue = `${ACTION_PREFIX}${this.#nodes.machines.get(node)!.layout === "dispatcher" ? id : node}`;
    if (this.#queues.find(queue) === undefined) return;
    this.#queues.put(queue, body, { type: "HeartBeatResponse", encoding: "json" }, PRINCIPAL);
  }

  isOf({ principal }: Stored): boolean {
    return principal === PRINCIPAL;
  }

  /** @returns whether a dead letter is the stranger's */
  refused(reason: string, attributes: Readonly<Record<string, string>>): boolean {
    if (attributes["sender"] !== PRINCIPAL || !reason.includes("may not speak as node")) return false;
    this.#aside.add(attributes["start"]!);
    return true;
  }

  /** A message is gone: of a stranger's, the reason is kept. */
  handled({ principal, attributes }: Stored): void {
    if (principal !== PRINCIPAL || this.#aside.has(attributes["start"]!)) return;
    if (!this.#isForgotten(attributes["from"]!))
      this.#judge.fail("R7", `what a stranger said in the name of ${attributes["from"]} was taken`);
  }

  /** Who has said goodbye is forgotten, and bound no more: nothing of it is there that could be spoken for (decisions/0046). */
  #isForgotten(node: string): boolean {
    const process = this.#nodes.departed.get(node)?.process;
    const { root } = this.#monitors;
    if (process === undefined || root === undefined || !this.#monitors.hasLeft(process)) return false;
    return !this.#monitors.rosterOf(root).starts.has(node);
  }
}
