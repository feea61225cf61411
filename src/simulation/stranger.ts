import { create } from "@bufbuild/protobuf";
import { encode } from "../protocol/codec.ts";
import { ComponentState, HeartBeatRequestSchema } from "../protocol/messages.ts";
import { STATUS_QUEUE } from "./functions.ts";
import type { Monitors } from "./monitors.ts";
import type { Nodes } from "./nodes.ts";
import type { Ground } from "./process.ts";
import type { Queues, Stored } from "./queues.ts";
import type { Judge } from "./violation.ts";

/** Somebody with a principal of its own, which no node has. */
const PRINCIPAL = "stranger";

/** Says in a node's name that its dispatchers are gone: nobody may be taken out by that (protocol.md R7). */
export class Stranger {
  readonly #ground: Ground;
  readonly #nodes: Nodes;
  readonly #queues: Queues;
  readonly #monitors: Monitors;
  readonly #judge: Judge;
  readonly #aside = new Set<string>();
  #said = 0;

  constructor(ground: Ground, parts: { nodes: Nodes; queues: Queues; monitors: Monitors; judge: Judge }) {
    this.#ground = ground;
    this.#nodes = parts.nodes;
    this.#queues = parts.queues;
    this.#monitors = parts.monitors;
    this.#judge = parts.judge;
  }

  /** Only a node that has registered in an epoch is bound in it: it begins when no other epoch will. */
  async run(): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    while (faults.possible("stranger")) {
      await timeline.sleep(dice.between(1_000, 30_000));
      const { root } = this.#monitors;
      if (root === undefined || root.epoch !== this.#nodes.epoch) continue;
      const lives = [...this.#monitors.rosterOf(root).lives.values()];
      if (lives.length === 0 || !faults.happens("stranger", 0.5)) continue;
      const { id, life, node } = dice.pick(lives);
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

  /** @returns whether a dead letter is the stranger's */
  refused(reason: string, attributes: Readonly<Record<string, string>>): boolean {
    if (attributes["sender"] !== PRINCIPAL || !reason.includes("may not speak as node")) return false;
    this.#aside.add(attributes["start"]!);
    return true;
  }

  /** A message is gone: of a stranger's, the reason is kept. */
  handled({ principal, attributes }: Stored): void {
    if (principal === PRINCIPAL && !this.#aside.has(attributes["start"]!))
      this.#judge.fail("R7", `what a stranger said in the name of ${attributes["from"]} was taken`);
  }
}
