import { create } from "@bufbuild/protobuf";
import { dispatcherKey } from "../../src/barrier/dispatcher-id.ts";
import { NO_CHECKPOINT } from "../../src/barrier/plausible.ts";
import { RegistrationRefused, StillBusy } from "../../src/dispatcher/errors.ts";
import { CaptureNode } from "../../src/dispatcher/node.ts";
import type { ScheduleRequest } from "../../src/dispatcher/schedule.ts";
import type { StorageRow } from "../../src/dispatcher/storage-sink.ts";
import { type ChangefeedID, ChangefeedIDSchema } from "../../src/protocol/messages.ts";
import { tableRange } from "../../src/protocol/span.ts";
import type { Capture } from "./capture.ts";
import { type Carrier, Incarnation, report, type SinkWorld, WatchedSink } from "./carrier.ts";
import type { Disk } from "./disk.ts";
import { ACTION_PREFIX, ROLE, STATUS_QUEUE, TRIGGER_ID } from "./fixed.ts";

import { halfOpening } from "./half-opening.ts";
import { type QueueWatcher, queuesFor } from "./node-queues.ts";
import { OldCapture } from "./old-capture.ts";
import { isOldName } from "./old-names.ts";
import { short } from "./order.ts";
import { type Ground, Process, type Wrongness } from "./process.ts";
import type { Queues } from "./queues.ts";
import { Rivals } from "./rivals.ts";
import { runStream } from "./stream.ts";
import { KEYS, schemaAt, type Workload } from "./workload.ts";

/** One machine: what stays the same from one start of its process to the next. */
export interface Machine {
  readonly name: string;
  wrong: Wrongness;
  /** How many tables a part of an opening of its has. */
  readonly tablesPerPart: number;
  readonly encoding: "json" | "protobuf";
  readonly layout: "node" | "dispatcher";
  /** Of an old node: whether its bridge has the gate. */
  readonly gated: boolean;
  process: Process | undefined;
  capture: Capture | undefined;
  /** The epoch that it follows, and in which all of its dispatchers were accepted that were there when it came to it. */
  epoch: bigint;
  settled: bigint;
}

/** What a node speaks as: a role of its own. */
export function principalOf(node: string): string {
  return `role-${node}`;
}

/** The capture side: machines with the runtime that ships, and the scheduler's knowledge of who should run where. */
export class Nodes {
  readonly changefeed: ChangefeedID = create(ChangefeedIDSchema, {
    high: 1n,
    low: 2n,
    name: "simulated",
    keyspace: "default",
  });
  /** 0 default, 1 redo: then the whole world is one of redo dispatchers (protocol.md M17). */
  readonly mode: bigint;
  readonly carriers = new Map<string, Carrier>();
  readonly machines = new Map<string, Machine>();
  /** Those that have left for good. */
  readonly departed = new Map<string, Machine>();
  readonly #ground: Ground;
  readonly #workload: Workload;
  readonly #disk: Disk;
  readonly #queues: Queues;
  readonly #world: SinkWorld;
  readonly #watcher: QueueWatcher;
  readonly #evict: (node: string) => Promise<void>;
  readonly #stands: (node: string, id?: string) => boolean;
  readonly #created = new Set<bigint>();
  #halfOpened = false;
  /** Who opens epoch 1, if that is an old node; "" afterwards. */
  #opener: string;
  #lastId = 1n;
  #lastName = 0;
  /** Dispatchers that are being moved, split or merged. */
  readonly busy = new Set<string>();
  /** The present epoch: who starts now starts in it. */
  epoch = 1n;
  /** The epoch whose opening is sent, with all nodes in it; and the commitTs of the last opening that was begun. */
  opened = 1n;
  openedAt: bigint | undefined;
  /** Whether a process has said that its node goes for good. */
  hasSaid: (process: Process) => boolean = () => false;
  readonly #rivals: Rivals;
  /** The process that has opened the present epoch: when it has ended, its opening may be taken for an old one's. */
  opener: Process | undefined;

  constructor(
    ground: Ground,
    parts: {
      workload: Workload;
      disk: Disk;
      queues: Queues;
      world: SinkWorld;
      watcher: QueueWatcher;
      mode: bigint;
      /** Takes an old node out that is lost. */
      evict: (node: string) => Promise<void>;
      /** Whether somebody, or this dispatcher, stands in the roster on a node. */
      stands: (node: string, id?: string) => boolean;
      machines: readonly Omit<Machine, "process" | "capture" | "epoch" | "settled">[];
    },
  ) {
    this.#ground = ground;
    this.mode = parts.mode;
    this.#evict = parts.evict;
    this.#stands = parts.stands;
    this.#workload = parts.workload;
    this.#disk = parts.disk;
    this.#queues = parts.queues;
    this.#world = parts.world;
    this.#watcher = parts.watcher;
    for (const machine of parts.machines) this.#add(machine);
    this.#opener = parts.machines[0]!.name;
    this.#rivals = new Rivals(this.#ground, this, this.#world, (machine, request) =>
      this.#schedule(machine, request),
    );
    this.addCarrier({
      id: TRIGGER_ID,
      tableId: 0n,
      from: 0,
      to: KEYS,
      node: parts.machines[0]!.name,
      start: 1n,
    });
  }

  #add(machine: Omit<Machine, "process" | "capture" | "epoch" | "settled">): Machine {
    const added = { ...machine, process: undefined, capture: undefined, epoch: 1n, settled: 1n };
    this.machines.set(machine.name, added);
    return added;
  }

  /** Whether anything runs on a machine, or is to. */
  isUsed(machine: Machine): boolean {
    return [...this.carriers.values()].some(
      (one) => one.node === machine.name && (!one.over || this.busy.has(one.id) || one.running?.open),
    );
  }

  /**
   * A machine goes for good without a word, and its queue. Another takes its place under a name that nobody had.
   */
  async leave(machine: Machine): Promise<void> {
    const { process, capture } = machine;
    if (!process?.alive || capture === undefined) return;
    const successor = this.#add({ ...machine, name: this.#nextName(machine) });
    this.machines.delete(machine.name);
    this.departed.set(machine.name, machine);
    this.#world.note(machine.name, "is gone");
    process.end();
    for (const name of this.#queues.namesOf(`${ACTION_PREFIX}${machine.name}`)) this.#queues.remove(name);
    await this.start(successor);
  }

  /**
   * A machine goes for good and says so, after what its dispatchers have begun: the coordinator asks others for those that it had
   * accepted (decisions/0029). If it could not say so, the scheduler sees to them.
   */
  async goodbye(machine: Machine): Promise<void> {
    const { process, capture } = machine;
    const its = [...this.carriers.values()].filter((one) => one.node === machine.name && !one.over);
    if (!process?.alive || !(capture instanceof CaptureNode) || this.machines.size < 2) return;
    if (its.some((one) => this.busy.has(one.id) || one.tableId === 0n)) return;
    const ran = new Set(this.acceptedOn(machine).map(({ id }) => id));
    const { epoch } = this;
    const known = machine.settled === epoch;
    for (const { id } of its) this.busy.add(id);
    this.#world.note(machine.name, "says goodbye");
    this.machines.delete(machine.name);
    this.departed.set(machine.name, machine);
    await Promise.race([capture.stop({ deleteQueues: true }).catch(() => undefined), this.#deathOf(process)]);
    process.end();
    for (const name of this.#queues.namesOf(`${ACTION_PREFIX}${machine.name}`)) this.#queues.remove(name);
    for (const carrier of its) {
      this.busy.delete(carrier.id);
      report(carrier);
      if (carrier.running) carrier.running.open = false;
      carrier.lost = known && this.hasSaid(process) && this.epoch === epoch && ran.has(carrier.id);
      if (!carrier.lost) this.launch(carrier);
    }
    await this.start(this.#add({ ...machine, name: this.#nextName(machine) }));
  }

  newId(): string {
    this.#lastId++;
    return dispatcherKey({ high: 7n, low: this.#lastId });
  }

  addCarrier(about: {
    id: string;
    tableId: bigint;
    from: number;
    to: number;
    node: string;
    start: bigint;
  }): Carrier {
    const { id, tableId, from, to, node, start } = about;
    const items =
      tableId === 0n
        ? this.#workload.events.filter((event) => event.trigger).map((event) => ({ event }))
        : this.#workload.tables.get(tableId)!.items;
    this.#created.add(tableId);
    const carrier: Carrier = {
      id,
      tableId,
      from,
      to,
      items,
      node,
      checkpoint: start,
      reported: start,
      running: undefined,
      past: [start],
      skipsNext: false,
      asked: undefined,
      lost: false,
      over: false,
    };
    this.carriers.set(id, carrier);
    return carrier;
  }

  /** The scheduler gives a carrier to another node, which nobody has asked for it: in a life of its own. */
  give(carrier: Carrier, node: string): void {
    if (carrier.node !== node) carrier.asked = undefined;
    carrier.node = node;
  }

  get up(): Machine[] {
    return [...this.machines.values()].filter((machine) => machine.process?.alive);
  }

  /** Whether all nodes have come to the present epoch. */
  get settled(): boolean {
    return [...this.machines.values()].every((one) => one.process?.alive && one.settled === this.epoch);
  }

  /** Who is not at the end of its stream, and why; empty: all are. */
  unfinished(): string[] {
    const left: string[] = [...this.busy].map((id) => `${id.slice(-4)} is being moved`);
    if (this.opened !== this.epoch) left.push(`epoch ${this.epoch} is not opened`);
    for (const carrier of this.carriers.values()) {
      const { running } = carrier;
      const drop = this.#workload.tables.get(carrier.tableId)?.droppedBy;
      // Nobody asks for a dispatcher of a table that is gone.
      if (carrier.lost && drop && this.#world.downstream.isWritten(drop)) carrier.over = true;
      // A dispatcher of an old node begins without being accepted.
      const known = !isOldName(carrier.node) || this.#stands(carrier.node, carrier.id);
      if (carrier.over || (running?.lives && running.finished && known)) continue;
      const blocked = running?.dispatcher?.blockedAt;
      const where = !running?.lives
        ? "does not run"
        : running.dispatcher === undefined
          ? "is not accepted"
          : blocked
            ? `${blocked.stage} at ${short(blocked.event.key)}`
            : "reads";
      left.push(`${carrier.id.slice(-4)}@${carrier.node} of table ${carrier.tableId} ${where}`);
    }
    for (const { tableId } of this.#workload.tables.values())
      if (!this.#created.has(tableId)) left.push(`nobody has table ${tableId}`);
    return left;
  }

  /** Starts a machine's process, which creates again what is to run there. */
  async start(known: Machine): Promise<void> {
    // TiCDC gives a server a new id with each start.
    const machine = isOldName(known.name) && known.process ? this.#renamed(known) : known;
    const process = new Process(this.#ground, machine.wrong);
    machine.epoch = this.epoch;
    machine.settled = this.epoch;
    const capture = this.#captureOf(machine, process);
    machine.process = process;
    this.#world.note(machine.name, "starts");
    const old = isOldName(machine.name);
    const opener = old
      ? this.#opener === machine.name.split("-")[0]
      : machine === [...this.machines.values()][0];
    if (opener && machine.tablesPerPart < 10 && !this.#halfOpened && !old) {
      this.#halfOpened = true;
      const speaker = { changefeed: this.changefeed, mode: this.mode };
      const half = halfOpening(speaker, this.#workload, machine, process.now(), this.#ground.dice);
      const later = this.#ground.dice.chance(0.5) ? this.#ground.dice.between(0, 1_000) : 0;
      this.#ground.timeline.after(later, () => this.#queues.put(STATUS_QUEUE, half.body, half.attributes));
    }
    for (;;) {
      try {
        await capture.start();
        break;
      } catch {
        await new Promise<void>((resolve) => process.clock.after(1_000, resolve));
      }
    }
    machine.capture = capture;
    for (const carrier of this.carriers.values())
      if (carrier.node === machine.name && !carrier.over && !this.busy.has(carrier.id)) this.launch(carrier);
    // Of a higher epoch it is the table trigger's node that does it.
    if (opener && machine.epoch === 1n) await capture.open(TRIGGER_ID, this.#workload.opening);
    if (old && opener) this.#opener = "";
  }

  /** A machine of an old node that has ended, under another name: what ran there is to run under that. */
  #renamed(machine: Machine): Machine {
    const successor = this.#add({ ...machine, name: this.#nextName(machine) });
    this.machines.delete(machine.name);
    this.departed.set(machine.name, machine);
    const { dice, timeline } = this.#ground;
    // Some starters create again what it had, others leave that to Weir; the table trigger is theirs.
    const left = dice.chance(0.5) && machine.settled === this.epoch;
    for (const carrier of this.carriers.values()) {
      if (carrier.node !== machine.name) continue;
      carrier.node = successor.name;
      const ran = carrier.running?.process === machine.process && !carrier.over;
      if (left && ran && carrier.tableId !== 0n && !this.busy.has(carrier.id)) carrier.lost = true;
    }
    timeline.after(dice.between(500, 20_000), () => void this.#takeOut(machine.name));
    return successor;
  }

  /** An operator takes a lost node out, and once more when what it had sent before has come behind that. */
  async #takeOut(node: string): Promise<void> {
    for (;;) {
      await this.#evict(node);
      do await this.#ground.timeline.sleep(60_000);
      while (!this.#stands(node));
    }
  }

  #nextName({ name }: Machine): string {
    return `${name.replace(/-.*/, "")}-${++this.#lastName}`;
  }

  /**
   * Nodes that a dispatcher of this one can go to under its id: numbers of lives come from the clocks of new nodes, and from the queue
   * for old ones (decisions/0047).
   */
  likes(name: string): string[] {
    return [...this.machines.keys()].filter((other) => isOldName(other) === isOldName(name));
  }

  #captureOf(machine: Machine, process: Process): Capture {
    const queues = queuesFor(process, this.#queues, this.#watcher, principalOf(machine.name));
    if (isOldName(machine.name))
      return new OldCapture({
        id: machine.name,
        epoch: this.epoch,
        changefeed: this.changefeed,
        encoding: machine.encoding,
        queues,
        clock: process.clock,
        gated: machine.gated,
        onSchedule: (request) => this.#schedule(machine, request),
      });
    return new CaptureNode({
      id: machine.name,
      epoch: this.epoch,
      mode: this.mode === 1n ? "redo" : "default",
      changefeed: this.changefeed,
      statusQueueUrl: STATUS_QUEUE,
      actionQueuePrefix: ACTION_PREFIX,
      coordinators: [ROLE],
      queues,
      clock: process.clock,
      random: () => this.#ground.dice.next(),
      layout: machine.layout,
      encoding: machine.encoding,
      tablesPerPart: machine.tablesPerPart,
      // Some say nothing of an event with lists before they are accepted.
      ...(machine.layout === "dispatcher" && { registeredEntries: 0 }),
      onSchedule: async (request) => this.#rivals.asked(machine, request),
      onError: (error, dispatcher) => {
        this.#world.note(machine.name, `error ${(error as Error).message}`);
        if (dispatcher && error instanceof RegistrationRefused) this.#refused(machine, dispatcher.config.id);
      },
    });
  }

  /** Who runs on a machine and was accepted: the coordinator misses nobody else. */
  acceptedOn(machine: Machine): Carrier[] {
    return [...this.carriers.values()].filter(
      ({ node, running }) => node === machine.name && running?.lives && running.dispatcher !== undefined,
    );
  }

  /** A machine that has ended forgets some of those that it ran, for the coordinator to see to (protocol.md R9b). */
  lose(machine: Machine, ran: readonly Carrier[]): void {
    const { faults, dice } = this.#ground;
    const known = machine.settled === this.epoch && !isOldName(machine.name);
    if (!faults.happens("lose", 0.3) || !known) return;
    for (const carrier of ran)
      if (
        carrier.node === machine.name &&
        !this.busy.has(carrier.id) &&
        carrier.tableId !== 0n &&
        !carrier.over &&
        dice.chance(0.4)
      )
        carrier.lost = true;
  }

  /** A process ends: what it had in memory is gone. */
  crash(machine: Machine): void {
    this.#world.note(machine.name, "ends");
    machine.process?.end();
    machine.capture = undefined;
  }

  /** Runs a carrier's dispatcher on its node, if that is up; otherwise the node's start will do it. */
  launch(carrier: Carrier): void {
    // It was to go to a node that has left meanwhile.
    if (!this.machines.has(carrier.node))
      this.give(carrier, this.#ground.dice.pick(this.likes(carrier.node)));
    const machine = this.machines.get(carrier.node)!;
    const { process, capture } = machine;
    if (!process?.alive || capture === undefined || carrier.lost || carrier.over || carrier.running?.lives)
      return;
    carrier.checkpoint = carrier.reported;
    const incarnation = new Incarnation(carrier, process);
    carrier.running = incarnation;
    const table = this.#workload.tables.get(carrier.tableId);
    this.#world.note(
      incarnation.name,
      `created from ${short({ commitTs: carrier.reported, isSyncPoint: false })}`,
    );
    const created = capture.createDispatcher({
      id: carrier.id,
      tableId: carrier.tableId,
      schemaId: table ? schemaAt(table, carrier.reported) : 0n,
      ...(carrier.from > 0 && { start: this.#keyOf(carrier.tableId, carrier.from) }),
      ...(carrier.to < KEYS && { end: this.#keyOf(carrier.tableId, carrier.to) }),
      checkpointTs: carrier.reported,
      skipDmlAsStartTs: carrier.skipsNext,
      ...(carrier.asked !== undefined && { life: carrier.asked }),
      commitTsOf: (row: StorageRow) => BigInt(/"commitTs":(\d+)/.exec(row.text)![1]!),
      sink: new WatchedSink(this.#disk.mountedBy(process), incarnation, this.#world),
    });
    created.then(
      async (dispatcher) => {
        carrier.asked = undefined;
        // Nothing is known of its checkpoint (ticdc.md T11): it is past nothing for that.
        if (this.#ground.dice.chance(0.05))
          process.clock.after(this.#ground.dice.between(0, 30_000), () => {
            if (incarnation.lives)
              capture.setState(dispatcher, "working", NO_CHECKPOINT).catch(() => undefined);
          });
        const note = this.#world.note.bind(this.#world);
        const end = await runStream(incarnation, dispatcher, this.#ground, note);
        if (end === "finished") incarnation.finished = true;
        if (end === "dropped") this.#over(machine, carrier);
      },
      (error) => {
        incarnation.open = false;
        if (!incarnation.fed) return;
        // Its table was dropped, and nobody needs it any more; or its queue could not be created: again.
        if (error instanceof RegistrationRefused) this.#gone(carrier);
        else process.clock.after(1_000, () => this.launch(carrier));
      },
    );
  }

  /** A key within a table: where old nodes are, one behind the table's own. */
  #keyOf(tableId: bigint, key: number): Uint8Array {
    const old = [...this.machines.keys()].some(isOldName);
    return new Uint8Array(old ? [...tableRange(tableId).start, key] : [key]);
  }

  /** Closes a carrier's dispatcher in good order. Resolves false if its process ended meanwhile. */
  async close(carrier: Carrier): Promise<boolean> {
    const incarnation = carrier.running;
    const machine = this.machines.get(carrier.node);
    if (!incarnation?.lives || machine?.capture === undefined) return false;
    incarnation.fed = false;
    let ended = false;
    await Promise.race([
      this.#remove(machine.capture, carrier).then(
        () => {
          ended = true;
        },
        () => undefined,
      ),
      this.#deathOf(incarnation.process),
    ]);
    if (!ended) return false;
    report(carrier);
    this.#closed(incarnation);
    return true;
  }

  /** Its sink, or the way to the coordinator, may take longer than a node waits at a time. */
  async #remove(capture: Capture, carrier: Carrier): Promise<void> {
    for (;;)
      try {
        return await capture.removeDispatcher(carrier.id);
      } catch (error) {
        if (!(error instanceof StillBusy)) throw error;
      }
  }

  async #deathOf(process: Process): Promise<void> {
    while (process.alive) await this.#ground.timeline.sleep(500);
  }

  /** A table is gone, and so is its dispatcher. */
  #over(machine: Machine, carrier: Carrier): void {
    if (carrier.over) return;
    carrier.over = true;
    const incarnation = carrier.running;
    if (incarnation === undefined || this.busy.has(carrier.id)) return;
    incarnation.fed = false;
    const { capture } = machine;
    if (capture === undefined) return;
    this.#remove(capture, carrier).then(
      () => this.#closed(incarnation),
      () => undefined,
    );
  }

  /** A dispatcher that ran has no place in a higher epoch: its table was dropped. */
  #refused(machine: Machine, id: string): void {
    const carrier = this.carriers.get(id);
    if (carrier?.node !== machine.name || !carrier.running?.lives || this.busy.has(id)) return;
    carrier.over = true;
    carrier.running.fed = false;
    carrier.running.open = false;
  }

  /** A dispatcher is not wanted: nobody needs its table any more, or another node was asked for it meanwhile, and has it when it obeys. */
  #gone(carrier: Carrier): void {
    if (carrier.asked === undefined) carrier.over = true;
    else {
      carrier.asked = undefined;
      carrier.lost = true;
    }
  }

  #closed(incarnation: Incarnation): void {
    this.#world.closed(incarnation);
    incarnation.open = false;
    this.#world.note(incarnation.name, "closed");
  }

  /** The coordinator wants a dispatcher created or removed. Asked again, nothing changes. */
  #schedule(machine: Machine, { action, dispatcher }: ScheduleRequest): void {
    const { id, tableId, checkpointTs } = dispatcher;
    if (action === "remove") {
      const carrier = this.carriers.get(id);
      // One that has gone to another node hears of it there.
      if (carrier?.node === machine.name) this.#over(machine, carrier);
      return;
    }
    const life = dispatcher.life || undefined;
    const lost = this.carriers.get(id);
    if (lost?.lost) {
      lost.lost = false;
      lost.node = machine.name;
      lost.asked = life;
      lost.reported = checkpointTs;
      lost.skipsNext = dispatcher.skipDmlAsStartTs;
      this.launch(lost);
    }
    if (!this.#workload.tables.has(tableId)) return;
    const had = this.#created.has(tableId);
    const there = [...this.carriers.values()].some((one) => one.tableId === tableId && !one.over);
    // In a higher epoch one may be wanted again that was dropped in the former: it comes to its drop again.
    if (had && (this.epoch === 1n || there || this.carriers.has(id))) return;
    const added = this.addCarrier({
      id,
      tableId,
      from: 0,
      to: KEYS,
      node: machine.name,
      start: checkpointTs,
    });
    added.asked = life;
    this.launch(added);
  }
}
