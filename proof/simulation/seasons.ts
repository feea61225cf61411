import type { Where } from "../../src/storage/ledger.ts";
import type { MemoryStore } from "../../src/storage/memory.ts";
import type { DeadQueue } from "./dead-queue.ts";
import { STATUS_QUEUE } from "./fixed.ts";
import type { Functions } from "./functions.ts";

import type { Nodes } from "./nodes.ts";
import { EPOCH, type Ground, type Wrongness } from "./process.ts";
import type { Queues } from "./queues.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Quiet stretches of a run, at most. */
const STRETCHES = 3;
/** How long each may be: shorter and longer than what the store and the queues keep. */
const SPANS = [2 * HOUR, 30 * HOUR, 16 * DAY, 45 * DAY];
/** How often the table deletes what is over, in ms of the time in which something happens. */
const TTL_EVERY = 20_000;

/**
 * Long times (docs/proof.md). In a quiet stretch nothing happens for hours or weeks: the clocks go on, what is over expires, and
 * what is done again and again meanwhile (polls, sweeps, heartbeats) is done once.
 */
export class Seasons {
  readonly #ground: Ground;
  readonly #store: MemoryStore;
  readonly #queues: Queues;
  readonly #dead: DeadQueue;
  readonly #functions: Functions;
  readonly #nodes: Nodes;
  readonly #note: (what: string) => void;
  /** An item is gone before its time. */
  readonly #lost: (item: Where) => void;
  /** The chance of an item to be deleted, each time when its time is over: on time, or up to weeks late. */
  readonly #promptness: number;

  constructor(
    ground: Ground,
    parts: { store: MemoryStore; queues: Queues; dead: DeadQueue; functions: Functions; nodes: Nodes },
    promptness: number,
    note: (what: string) => void,
    lost: (item: Where) => void,
  ) {
    this.#lost = lost;
    this.#ground = ground;
    this.#store = parts.store;
    this.#queues = parts.queues;
    this.#dead = parts.dead;
    this.#functions = parts.functions;
    this.#nodes = parts.nodes;
    this.#promptness = promptness;
    this.#note = note;
  }

  /** Deletes what is over, again and again. */
  async expire(): Promise<void> {
    for (;;) {
      await this.#ground.timeline.sleep(TTL_EVERY);
      this.#expireNow();
      this.#expireEarly();
    }
  }

  /** Some go before their time, by a clock that was wrong when they were written: nothing correct rests on a TTL. */
  #expireEarly(): void {
    const { dice, timeline, faults } = this.#ground;
    if (!faults.happens("early", 0.3)) return;
    const gone = this.#store.expire(EPOCH + timeline.wall + 400 * DAY, () => dice.chance(0.2));
    for (const item of gone) this.#lost(item);
    if (gone.length > 0) this.#note(`${gone.length} items expire before their time`);
  }

  #expireNow(): void {
    const { timeline, dice } = this.#ground;
    const gone = this.#store.expire(EPOCH + timeline.wall, () => dice.chance(this.#promptness));
    if (gone.length > 0) this.#note(`${gone.length} items expire`);
  }

  /** Quiet stretches, now and then. A node may be away meanwhile, and come back with what it knew long ago. */
  async run(): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    for (let count = 0; count < STRETCHES && faults.possible("quiet"); count++) {
      await timeline.sleep(dice.between(2_000, 25_000));
      const span = dice.pick(SPANS) * dice.between(1, 1.2);
      if (!faults.happens("quiet", 0.5)) continue;
      const away = faults.happens("away", 0.6) ? dice.pick(this.#nodes.up) : undefined;
      const ran = away ? this.#nodes.acceptedOn(away) : [];
      const { epoch } = this.#nodes;
      if (away) {
        this.#nodes.crash(away);
        // The others go on without it for a while.
        await timeline.sleep(dice.between(0, 15_000));
      }
      if (await this.#calm(span)) {
        timeline.skip(span);
        this.#note(`${(span / DAY).toFixed(1)} days pass`);
        if (span > DAY) this.#functions.recycle();
        this.#expireNow();
        this.#dead.redriveCopies();
      }
      if (away === undefined) continue;
      if (this.#nodes.epoch === epoch && dice.chance(0.7))
        for (const carrier of this.#nodes.carriers.values())
          if (carrier.node === away.name && !this.#nodes.busy.has(carrier.id) && carrier.past.length > 0)
            carrier.reported = dice.pick(carrier.past);
      // Somebody else may have seen to it meanwhile.
      if (away.process?.alive) continue;
      if (this.#nodes.epoch === epoch) this.#nodes.lose(away, ran);
      await this.#nodes.start(away);
    }
  }

  /**
   * A queue keeps nothing for weeks, and functions that stand still for so long lose what was said: that is another fault. In
   * hours anything may stand still. @returns false if it does not come to rest
   */
  async #calm(span: number): Promise<boolean> {
    if (span < DAY) return true;
    for (let tries = 0; tries < 400; tries++) {
      const rests = this.#functions.running === 0 && !this.#dead.holds && !this.#queues.holds(STATUS_QUEUE);
      if (rests) return true;
      await this.#ground.timeline.sleep(50);
    }
    return false;
  }

  /** Sets clocks forward or back, within what they may be wrong by. */
  async step(clocks: readonly { readonly wrong: Wrongness; readonly most: number }[]): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    while (faults.possible("step")) {
      await timeline.sleep(dice.between(2_000, 20_000));
      const { wrong, most } = dice.pick(clocks);
      const offset = dice.between(-most, most);
      if (faults.happens("step", 0.5)) wrong.offset = offset;
    }
  }
}
