import type { ScheduleRequest } from "../../src/dispatcher/schedule.ts";
import type { SinkWorld } from "./carrier.ts";
import type { Machine, Nodes } from "./nodes.ts";
import type { Ground, Process } from "./process.ts";

/** Longest time, in ms, after which somebody obeys who takes his time: others are asked after three minutes. */
const LATEST = 400_000;

/** A request that is not obeyed yet. */
interface Late {
  readonly machine: Machine;
  readonly process: Process | undefined;
  readonly epoch: bigint;
  readonly request: ScheduleRequest;
}

/**
 * Nodes that do what they were asked for long after, at worst just when somebody else was asked: of two that obey only the one with the
 * higher life may be accepted, in whatever order they come (protocol.md R11; decisions/0028).
 */
export class Rivals {
  readonly #ground: Ground;
  readonly #nodes: Nodes;
  readonly #world: SinkWorld;
  readonly #schedule: (machine: Machine, request: ScheduleRequest) => void;
  readonly #late = new Set<Late>();
  /** The highest life that was asked for, by dispatcher. */
  readonly #asked = new Map<string, bigint>();

  constructor(
    ground: Ground,
    nodes: Nodes,
    world: SinkWorld,
    schedule: (machine: Machine, request: ScheduleRequest) => void,
  ) {
    this.#ground = ground;
    this.#nodes = nodes;
    this.#world = world;
    this.#schedule = schedule;
  }

  /** The coordinator asks a node for something. */
  asked(machine: Machine, request: ScheduleRequest): void {
    const { timeline, faults, dice } = this.#ground;
    const { action, dispatcher } = request;
    const { id, life } = dispatcher;
    if (action === "remove" || life === 0n) {
      this.#schedule(machine, request);
      return;
    }
    const isFirst = life > (this.#asked.get(id) ?? 0n);
    if (isFirst) this.#asked.set(id, life);
    const others = [...this.#late].filter((one) => idOf(one) === id);
    if (others.some((one) => one.machine === machine && one.request.dispatcher.life === life)) return;
    if (isFirst && faults.happens("late", 0.6)) {
      const late = { machine, process: machine.process, epoch: machine.epoch, request };
      this.#late.add(late);
      timeline.after(dice.between(LATEST / 2, LATEST), () => this.#obey(late));
      return;
    }
    // Who was asked before comes at the same time, a little before or behind.
    for (const other of others) timeline.after(dice.between(0, 500), () => this.#obey(other));
    timeline.after(dice.between(0, 500), () => {
      if (machine.process?.alive && machine.epoch === this.#nodes.epoch) this.#schedule(machine, request);
    });
  }

  #obey(late: Late): void {
    if (!this.#late.delete(late)) return;
    const { machine, process, epoch, request } = late;
    if (!process?.alive || machine.epoch !== epoch || this.#nodes.epoch !== epoch) return;
    if (request.dispatcher.life < this.#asked.get(idOf(late))!) this.#rival(late);
    else this.#schedule(machine, request);
  }

  /** Creates a dispatcher that somebody else was asked for since. */
  #rival({ machine, process, epoch, request }: Late): void {
    const { capture } = machine;
    const { id, tableId, schemaId, checkpointTs, life } = request.dispatcher;
    if (capture === undefined || this.#nodes.carriers.get(id)?.node === machine.name) return;
    this.#world.note(machine.name, `obeys late for ${id.slice(-4)} as life ${life % 10_000_000n}`);
    const nothing = () => Promise.reject(new Error("a rival has nothing to write"));
    const created = capture.createDispatcher({
      id,
      tableId,
      schemaId,
      checkpointTs,
      life,
      sink: {
        write: nothing,
        flushBeforeBlock: async () => undefined,
        writeBlockEvent: nothing,
        passBlockEvent: nothing,
      },
    });
    created.then(
      () => {
        if (!process?.alive) return;
        if (machine.epoch === epoch)
          this.#world.judge.fail(
            "R11",
            `${id.slice(-4)} is accepted on ${machine.name}, and somebody else was asked for it since`,
          );
        // A higher epoch knows nobody: its scheduler does not want two.
        else capture.removeDispatcher(id).catch(() => undefined);
      },
      () => undefined,
    );
  }
}

function idOf({ request }: Late): string {
  return request.dispatcher.id;
}
