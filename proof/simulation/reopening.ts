import type { Capture } from "./capture.ts";
import { capped, report } from "./carrier.ts";
import { TRIGGER_ID } from "./fixed.ts";
import type { Machine, Nodes } from "./nodes.ts";

import type { Ground } from "./process.ts";
import { KEYS, openingAt, type Workload } from "./workload.ts";

/** How often who has nothing left to do says how far it is, in ms. */
const STATUS_EVERY = 15_000;

/**
 * The changefeed is opened again with a higher epoch, as a capture side does it (protocol.md R1; decisions/0014): every node
 * follows at a moment of its own, then the table trigger's node names the tables that are there where the trigger stands.
 */
export class Reopening {
  readonly #ground: Ground;
  readonly #nodes: Nodes;
  readonly #workload: Workload;
  readonly #note: (what: string) => void;
  /** An opening is about to be sent, with the tables at this commitTs. */
  readonly #opens: (epoch: bigint, at: bigint) => void;

  constructor(
    ground: Ground,
    nodes: Nodes,
    workload: Workload,
    note: (what: string) => void,
    opens: (epoch: bigint, at: bigint) => void,
  ) {
    this.#ground = ground;
    this.#nodes = nodes;
    this.#workload = workload;
    this.#note = note;
    this.#opens = opens;
  }

  /** @param epoch above the present one */
  begin(epoch: bigint): void {
    const { timeline, dice } = this.#ground;
    const first = this.#nodes.epoch === 1n;
    this.#nodes.epoch = epoch;
    this.#nodes.opener = undefined;
    this.#note(`epoch ${epoch} begins`);
    for (const one of this.#nodes.carriers.values()) one.past = [];
    // A coordinator of a new epoch knows nobody that it could miss: the scheduler sees to those that are lost.
    for (const carrier of this.#nodes.carriers.values())
      if (carrier.lost) {
        carrier.lost = false;
        this.#nodes.launch(carrier);
      }
    for (const machine of this.#nodes.machines.values())
      timeline.after(5 * 1_000 ** dice.next(), () => void this.#follow(machine, epoch));
    void this.#open(epoch);
    if (first) void this.#tellCheckpoints();
  }

  /**
   * A barrier that somebody opens again asks those who passed it in a former epoch. Who polls for answers only while it waits
   * for one does not hear that: its status says that it is past (protocol.md M15).
   */
  async #tellCheckpoints(): Promise<void> {
    for (;;) {
      await this.#ground.timeline.sleep(STATUS_EVERY);
      for (const carrier of this.#nodes.carriers.values()) {
        const { running, node } = carrier;
        const capture = this.#nodes.machines.get(node)?.capture;
        if (!running?.lives || !running.finished || carrier.over || capture === undefined) continue;
        // Its log is at the end: nothing is left at this commitTs.
        const past = capped(carrier) + 1n;
        capture.setState(running.dispatcher!, "working", past).catch(() => undefined);
      }
    }
  }

  async #follow(machine: Machine, epoch: bigint): Promise<void> {
    // One that does not run starts in the epoch that there is then.
    while (machine.process?.alive && machine.capture === undefined) await this.#ground.timeline.sleep(100);
    const { process, capture } = machine;
    if (!process?.alive || capture === undefined || machine.epoch >= epoch) return;
    machine.epoch = epoch;
    this.#note(`${machine.name} follows into epoch ${epoch}`);
    const settles = () => {
      if (machine.process === process && machine.epoch === epoch) machine.settled = epoch;
      this.#note(`${machine.name} has come to epoch ${epoch}`);
    };
    // What fails is the queue of one that is being created, whose creation fails too.
    void capture.follow(epoch).then(settles, settles);
  }

  async #open(epoch: bigint): Promise<void> {
    const { timeline, dice } = this.#ground;
    for (;;) {
      await timeline.sleep(dice.between(50, 500));
      if (this.#nodes.epoch !== epoch) return;
      // What a process has sent that ended since may come behind the start of its node, and be old: opened again.
      if (!this.#nodes.opener?.alive) await this.#tryOpening(epoch);
      else if (this.#nodes.opened !== epoch && this.#nodes.settled) {
        // Some may have come to the end of their tables by what they were told in the former epoch.
        this.#fill(this.#nodes.openedAt!);
        this.#nodes.opened = epoch;
      }
    }
  }

  async #tryOpening(epoch: bigint): Promise<void> {
    const carrier = this.#nodes.carriers.get(TRIGGER_ID)!;
    const machine = this.#nodes.machines.get(carrier.node);
    if (machine === undefined) return;
    const { process, capture } = machine;
    const { running } = carrier;
    if (!process?.alive || capture === undefined || machine.settled !== epoch) return;
    if (!running?.lives || !running.fed || running.process !== process || !running.dispatcher) return;
    // Whoever takes the trigger's place does not start before the tables that are named here.
    report(carrier);
    const at = running.dispatcher.finishedTs;
    this.#note(`${machine.name} opens epoch ${epoch} at ${(at / 1_000n) % 100_000n}`);
    this.#opens(epoch, at);
    this.#nodes.openedAt = at;
    // Nobody starts before the epoch: what was reported in the former is forgotten with it.
    for (const one of this.#nodes.carriers.values()) one.past = [];
    this.#fill(at);
    const sent = await this.#sent(process, capture, at);
    // A higher epoch may have begun meanwhile, which is not opened by that.
    if (sent && this.#nodes.epoch === epoch) this.#nodes.opener = process;
  }

  /** @returns false if its process has ended meanwhile */
  async #sent(process: { readonly alive: boolean }, capture: Capture, at: bigint): Promise<boolean> {
    let sent = false;
    void capture.open(TRIGGER_ID, openingAt(this.#workload, at)).then(
      () => {
        sent = true;
      },
      () => undefined,
    );
    while (!sent && process.alive) await this.#ground.timeline.sleep(50);
    return sent;
  }

  /** Nobody but the scheduler sees to a table that the opening names and that has no dispatcher, or not for all of it. */
  #fill(at: bigint): void {
    const { dice } = this.#ground;
    const names = [...this.#nodes.machines.keys()];
    for (const { tableId } of openingAt(this.#workload, at).flatMap((schema) => schema.tables)) {
      const table = this.#workload.tables.get(tableId)!;
      const carriers = [...this.#nodes.carriers.values()].filter((one) => one.tableId === tableId);
      const ranges = carriers.filter((one) => !one.over).sort((a, b) => a.from - b.from);
      // Who was there has come to the end of the table: all before that is written.
      const start = carriers.length > 0 && at > table.since ? at : table.since || 1n;
      let next = 0;
      for (const { from, to } of [...ranges, { from: KEYS, to: KEYS }]) {
        if (from > next)
          this.#nodes.launch(
            this.#nodes.addCarrier({
              id: this.#nodes.newId(),
              tableId,
              from: next,
              to: from,
              node: dice.pick(names),
              start,
            }),
          );
        next = to;
      }
    }
  }
}
