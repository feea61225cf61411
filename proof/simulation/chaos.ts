import type { Carrier } from "./carrier.ts";
import type { Nodes } from "./nodes.ts";
import type { Ground } from "./process.ts";
import type { Reopening } from "./reopening.ts";

/** Most dispatchers that splits may lead to, for each one at the beginning. */
const GROWTH = 1.5;
/** How often a changefeed may be opened again. */
const REOPENINGS = 2;

/** Restarts nodes, moves, splits and merges dispatchers, now and then, until faults are over. */
export class Chaos {
  readonly #ground: Ground;
  readonly #nodes: Nodes;
  readonly #most: number;
  readonly #note: (what: string) => void;

  constructor(ground: Ground, nodes: Nodes, dispatchers: number, note: (what: string) => void) {
    this.#ground = ground;
    this.#nodes = nodes;
    this.#most = Math.ceil(dispatchers * GROWTH);
    this.#note = note;
  }

  /** @param every the time between two of them, in ms, about */
  async run(every: number): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    while (!faults.over) {
      await timeline.sleep(dice.between(0.2, 1.8) * every);
      if (faults.over) return;
      const kind = dice.pick([
        "restart",
        "restart",
        "move",
        "move",
        "split",
        "split",
        "merge",
        "merge",
        "leave",
        ...(faults.possible("goodbye") ? (["goodbye"] as const) : []),
      ] as const);
      const carriers = [...this.#nodes.carriers.values()].filter(
        (one) => !one.over && !one.lost && !this.#nodes.busy.has(one.id),
      );
      if (carriers.length === 0) continue;
      const carrier = dice.pick(carriers);
      if (!faults.happens(kind, 0.7)) continue;
      if (kind === "restart") void this.#restart();
      else if (kind === "move") void this.#move(carrier);
      else if (kind === "leave") void this.#leave();
      else if (kind === "goodbye") void this.#goodbye();
      else if (kind === "split") void this.#split(carrier);
      else void this.#merge(carrier, carriers);
    }
  }

  /**
   * Opens the changefeed again with a higher epoch, once, twice or never.
   * @param remove removes it, before it is created again so
   */
  async reopen(reopening: Reopening, remove: () => Promise<bigint | undefined>): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    const due = () => faults.possible("reopen") || faults.possible("remove");
    for (let count = 0; count < REOPENINGS && due(); count++) {
      await timeline.sleep(dice.between(1_000, 30_000));
      if (faults.happens("remove", 0.15)) {
        this.#note("an operator removes the changefeed");
        const epoch = await remove();
        if (epoch === undefined) continue;
        await timeline.sleep(dice.between(0, 20_000));
        reopening.begin(epoch + 1n);
      } else if (faults.happens("reopen", 0.5)) reopening.begin(this.#nodes.epoch + 1n);
    }
  }

  async #restart(): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    const { up } = this.#nodes;
    if (up.length === 0) return;
    const machine = dice.pick(up);
    const { epoch } = this.#nodes;
    const ran = this.#nodes.acceptedOn(machine);
    this.#nodes.crash(machine);
    // Some are back while what was sent to them is still on the way.
    await timeline.sleep(50 * 300 ** dice.next());
    const its = [...this.#nodes.carriers.values()].filter(
      (one) => one.node === machine.name && !this.#nodes.busy.has(one.id),
    );
    if (this.#nodes.epoch === epoch) this.#nodes.lose(machine, ran);
    void this.#headless(machine.name);
    if (faults.happens("step", 0.3)) machine.wrong.offset += dice.between(-3_600_000, 1_800_000);
    // Of what ran there, some may have been given to others meanwhile.
    if (dice.chance(0.3))
      for (const carrier of its)
        if (!carrier.lost && dice.chance(0.5)) {
          this.#nodes.give(carrier, dice.pick(this.#nodes.likes(carrier.node)));
          this.#nodes.launch(carrier);
        }
    await this.#nodes.start(machine);
  }

  /** Nobody but the scheduler sees to a table trigger that is lost (protocol.md R11). */
  async #headless(node: string): Promise<void> {
    const { timeline, dice, faults } = this.#ground;
    const trigger = [...this.#nodes.carriers.values()].find((one) => one.tableId === 0n)!;
    if (trigger.node !== node || this.#nodes.busy.has(trigger.id) || !faults.happens("headless", 0.7)) return;
    trigger.lost = true;
    await timeline.sleep(dice.between(1_000, 40_000));
    // A higher epoch may have seen to it.
    if (!trigger.lost) return;
    trigger.lost = false;
    this.#nodes.give(trigger, dice.pick([...this.#nodes.machines.keys()]));
    this.#nodes.launch(trigger);
  }

  /** A node gives all that it has to others, and goes when nothing is left of it. */
  async #leave(): Promise<void> {
    const { timeline, dice } = this.#ground;
    const machine = dice.pick([...this.#nodes.machines.values()]);
    for (let attempt = 0; attempt < 20; attempt++) {
      const { process } = machine;
      if (!process?.alive || this.#nodes.machines.size < 2) return;
      const its = [...this.#nodes.carriers.values()].filter(
        (one) => one.node === machine.name && !one.over && !one.lost && !this.#nodes.busy.has(one.id),
      );
      await Promise.all(its.map((one) => this.#move(one)));
      await timeline.sleep(dice.between(1, 500));
      if (this.#nodes.machines.get(machine.name) !== machine || machine.process !== process) return;
      if (!this.#nodes.isUsed(machine)) return this.#nodes.leave(machine);
    }
  }

  /** A node goes for good with a word. The table trigger is given to another before, for nobody asks for that one. */
  async #goodbye(): Promise<void> {
    const { up } = this.#nodes;
    const machine = this.#ground.dice.pick(up);
    const trigger = [...this.#nodes.carriers.values()].find((one) => one.tableId === 0n)!;
    if (machine === undefined || this.#nodes.busy.has(trigger.id)) return;
    if (trigger.node === machine.name) await this.#move(trigger);
    if (trigger.node !== machine.name) await this.#nodes.goodbye(machine);
  }

  async #move(carrier: Carrier): Promise<void> {
    const { timeline, dice } = this.#ground;
    const others = this.#nodes.likes(carrier.node).filter((name) => name !== carrier.node);
    if (others.length === 0 || !carrier.running?.lives) return;
    const to = dice.pick(others);
    this.#note(`moves ${carrier.id.slice(-4)} from ${carrier.node} to ${to}`);
    await this.#with([carrier], async () => {
      await this.#stop(carrier);
      await timeline.sleep(dice.between(1, 2_000));
      this.#nodes.give(carrier, to);
    });
    this.#nodes.launch(carrier);
  }

  async #split(carrier: Carrier): Promise<void> {
    const { dice } = this.#ground;
    const width = carrier.to - carrier.from;
    if (carrier.tableId === 0n || width < 4 || this.#nodes.carriers.size >= this.#most) return;
    const middle = carrier.from + 1 + dice.below(width - 2);
    this.#note(`splits ${carrier.id.slice(-4)} of table ${carrier.tableId} at ${middle}`);
    await this.#replace(
      [carrier],
      [
        [carrier.from, middle],
        [middle, carrier.to],
      ],
    );
  }

  async #merge(carrier: Carrier, carriers: readonly Carrier[]): Promise<void> {
    const next = carriers.find((one) => one.tableId === carrier.tableId && one.from === carrier.to);
    if (next === undefined || carrier.tableId === 0n) return;
    this.#note(`merges ${carrier.id.slice(-4)} and ${next.id.slice(-4)} of table ${carrier.tableId}`);
    await this.#replace([carrier, next], [[carrier.from, next.to]]);
  }

  /** New dispatchers with ids of their own in the place of others, from the least of their checkpoints. */
  async #replace(old: readonly Carrier[], ranges: readonly [number, number][]): Promise<void> {
    const { dice, timeline } = this.#ground;
    const made: Carrier[] = [];
    await this.#with(old, async () => {
      await Promise.all(old.map((one) => this.#stop(one)));
      // Their table was dropped meanwhile. Nobody asks for the end of one that has said that it is gone.
      if (old.some((one) => one.over)) {
        for (const one of old) one.over = true;
        return;
      }
      await timeline.sleep(dice.between(1, 2_000));
      const start = old.map((one) => one.reported).reduce((a, b) => (a < b ? a : b));
      for (const one of old) this.#nodes.carriers.delete(one.id);
      for (const [from, to] of ranges)
        made.push(
          this.#nodes.addCarrier({
            id: this.#nodes.newId(),
            tableId: old[0]!.tableId,
            from,
            to,
            node: dice.pick([...this.#nodes.machines.keys()]),
            start,
          }),
        );
    });
    for (const one of made) this.#nodes.launch(one);
  }

  /** Closes a dispatcher, or sees it end with its process. */
  async #stop(carrier: Carrier): Promise<void> {
    await this.#nodes.close(carrier);
    if (carrier.running) carrier.running.open = false;
  }

  async #with(carriers: readonly Carrier[], work: () => Promise<void>): Promise<void> {
    for (const one of carriers) this.#nodes.busy.add(one.id);
    await work();
    for (const one of carriers) this.#nodes.busy.delete(one.id);
  }
}
