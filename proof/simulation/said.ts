import type { DeadLetter } from "../../src/maintainer/base/port.ts";
import type { Encoding } from "../../src/protocol/codec.ts";
import {
  BlockStage,
  ComponentState,
  ScheduleAction,
  type ScheduleDispatcherRequest,
  type State,
} from "../../src/protocol/messages.ts";
import { isOldName, lifeOn } from "./old-names.ts";
import { storedName } from "./order.ts";
import type { Process } from "./process.ts";
import { idOf, keyOf, livesOf, readMessage } from "./reading.ts";
import { keysOf } from "./stored.ts";

/** How a life has registered itself, in one epoch. */
export interface Registered {
  readonly tableId: bigint;
  readonly from: number;
  readonly to: number;
  /** checkpointTs: it may have gone on from one registration to the next. */
  readonly since: Set<bigint>;
}

/** A checkpoint that is none (ticdc.md T11). */
const NOTHING_KNOWN = 2n ** 64n - 1n;

/** What one life of one process has said of itself, as the status queue has it. */
export interface Said {
  readonly id: string;
  readonly life: bigint;
  readonly process: Process;
  readonly node: string;
  /** The highest `start` under which it spoke. */
  start: bigint;
  /** All starts under which it registered. */
  readonly starts: Set<bigint>;
  readonly registered: Map<bigint, Registered>;
  /** Events that it named: what is before one of them is behind it. */
  readonly keys: Set<string>;
  readonly waiting: Set<string>;
  readonly done: Set<string>;
}

/** That a life is over, said by a process that followed an epoch then. */
export interface Ending {
  readonly life: bigint;
  readonly process: Process;
  readonly epoch: bigint;
}

/**
 * Whatever nodes have said, under what cannot repeat: the process, and the life that it gave. A life number may come again on
 * another node, and in another epoch.
 */
export class Sayings {
  readonly #by = new Map<Process, Map<string, Said>>();
  readonly #on = new Map<string, Said[]>();
  readonly #endings = new Map<string, Ending[]>();
  /** Who has said that its node goes for good. */
  readonly #leaving = new Set<Process>();
  #highestLeaving = -1n;
  /** The highest life of a dispatcher that was registered in an epoch, whoever did. */
  readonly #highest = new Map<string, bigint>();
  /** The highest `start` with which a node has registered in an epoch. */
  readonly #starts = new Map<string, bigint>();
  /** The epoch that a node follows. */
  readonly #followedOn: (node: string) => bigint;
  /** What old nodes were asked to create: they say no more of it than that it works (decisions/0040). */
  readonly #asked = new Map<string, { readonly epoch: bigint; readonly registered: Registered }>();

  constructor(followedOn: (node: string) => bigint) {
    this.#followedOn = followedOn;
  }

  /** What a life of a process has said; nothing so far, for one that is new. */
  by(process: Process, node: string, id: string, named: bigint): Said {
    const life = lifeOn(node, named);
    let lives = this.#by.get(process);
    if (lives === undefined) {
      lives = new Map();
      this.#by.set(process, lives);
    }
    let said = lives.get(`${id}@${life}`);
    if (said === undefined) {
      const nothing = { keys: new Set<string>(), waiting: new Set<string>(), done: new Set<string>() };
      said = { id, life, process, node, start: 0n, starts: new Set(), registered: new Map(), ...nothing };
      lives.set(`${id}@${life}`, said);
      const all = this.#on.get(`${node} ${id}@${life}`);
      if (all) all.push(said);
      else this.#on.set(`${node} ${id}@${life}`, [said]);
    }
    return said;
  }

  /** All processes of a node that have given a dispatcher this life: one, unless clocks were set back by chance. */
  on(node: string, id: string, life: bigint): readonly Said[] {
    return this.#on.get(`${node} ${id}@${lifeOn(node, life)}`) ?? [];
  }

  /**
   * Whether every life that a report names is of a process that has not registered it in an epoch: it is from before, and who has
   * that number now is another (decisions/0025).
   */
  isFromBefore(epoch: bigint, { body, attributes }: Pick<DeadLetter, "body" | "attributes">): boolean {
    if (attributes["type"] !== "BlockStatusRequest") return false;
    const node = attributes["from"] ?? "";
    const { blockStatuses } = readMessage(
      "BlockStatusRequest",
      (attributes["encoding"] ?? "json") as Encoding,
      body,
    );
    return blockStatuses.flatMap(livesOf).every(({ id, life }) => {
      const said = this.on(node, id, life);
      return said.length > 0 && said.every((one) => !one.registered.has(epoch));
    });
  }

  hasLeft(process: Process): boolean {
    return this.#leaving.has(process);
  }

  /** The highest start of those that have said goodbye, whether the coordinator has heard it or not; -1: nobody has. */
  get highestLeaving(): bigint {
    return this.#highestLeaving;
  }

  endings(id: string): readonly Ending[] {
    return this.#endings.get(id) ?? [];
  }

  highest(epoch: bigint, id: string): bigint {
    return this.#highest.get(`${epoch} ${id}`) ?? 0n;
  }

  highestStart(epoch: bigint, node: string): bigint {
    return this.#starts.get(`${epoch} ${node}`) ?? 0n;
  }

  /** A registration is in the status queue. */
  registers(process: Process, body: string, attributes: Readonly<Record<string, string>>): void {
    const node = attributes["from"]!;
    const start = BigInt(attributes["start"] ?? 0);
    const message = readMessage("MaintainerBootstrapResponse", attributes["encoding"] as Encoding, body);
    const epoch = message.maintainerEpoch || 1n;
    raise(this.#starts, `${epoch} ${node}`, start);
    for (const span of message.spans) {
      const id = idOf(span.ID!);
      const said = this.by(process, node, id, span.life);
      // A message of its former start may come into the queue behind those of its present one.
      if (start > said.start) said.start = start;
      said.starts.add(start);
      raise(this.#highest, `${epoch} ${id}`, span.life);
      const known = said.registered.get(epoch);
      const [from, to] = keysOf(span.span!.StartKey, span.span!.EndKey);
      if (known) known.since.add(span.checkpointTs);
      else
        said.registered.set(epoch, {
          tableId: span.span!.TableID,
          from,
          to,
          since: new Set([span.checkpointTs]),
        });
      if (span.blockState === undefined) continue;
      hears(said, span.blockState);
      const { stage } = span.blockState;
      // It stood there, or is behind it.
      if (stage === BlockStage.WRITING) said.waiting.add(storedName(keyOf(span.blockState)));
      if (stage === BlockStage.DONE) said.done.add(storedName(keyOf(span.blockState)));
    }
  }

  /** A node is asked to create a dispatcher. */
  asks(node: string, { config, scheduleAction, maintainerEpoch: epoch }: ScheduleDispatcherRequest): void {
    if (!isOldName(node) || scheduleAction !== ScheduleAction.Create) return;
    const { span, startTs, dispatcherID } = config!;
    const [from, to] = keysOf(span!.StartKey, span!.EndKey);
    const registered = { tableId: span!.TableID, from, to, since: new Set([startTs]) };
    this.#asked.set(`${node} ${idOf(dispatcherID!)}`, { epoch, registered });
  }

  /** Component states are in the status queue. */
  tells(process: Process, body: string, attributes: Readonly<Record<string, string>>): void {
    const node = attributes["from"]!;
    const message = readMessage("HeartBeatRequest", attributes["encoding"] as Encoding, body);
    if (message.leaving) {
      this.#leaving.add(process);
      const start = BigInt(attributes["start"] ?? 0);
      if (start > this.#highestLeaving) this.#highestLeaving = start;
    }
    for (const { ID, life, checkpointTs, componentStatus } of message.statuses) {
      const id = idOf(ID!);
      const asked = this.#asked.get(`${node} ${id}`);
      if (asked && componentStatus === ComponentState.Working) {
        const { registered } = this.by(process, node, id, life);
        if (!registered.has(asked.epoch)) registered.set(asked.epoch, asked.registered);
      }
      if (checkpointTs > 0n && checkpointTs !== NOTHING_KNOWN)
        this.by(process, node, id, life).keys.add(storedName({ commitTs: checkpointTs, isSyncPoint: false }));
      if (componentStatus !== ComponentState.Removed && componentStatus !== ComponentState.Stopped) continue;
      const ending = { life, process, epoch: this.#followedOn(node) };
      this.#endings.set(id, [...this.endings(id), ending]);
    }
  }

  /**
   * Reports are in the status queue.
   * @param each told of each state and each life that is in it
   */
  reports(
    process: Process,
    body: string,
    attributes: Readonly<Record<string, string>>,
    each: (said: Said, state: State) => void,
  ): void {
    const node = attributes["from"]!;
    for (const status of readMessage("BlockStatusRequest", attributes["encoding"] as Encoding, body)
      .blockStatuses)
      for (const { id, life } of livesOf(status)) {
        const said = this.by(process, node, id, life);
        hears(said, status.state!);
        each(said, status.state!);
      }
  }
}

/** What counts of a state whether a report or a registration brings it (protocol.md M14). */
function hears(said: Said, state: State): void {
  const text = storedName(keyOf(state));
  said.keys.add(text);
  if (state.stage === BlockStage.WAITING) said.waiting.add(text);
}

function raise(map: Map<string, bigint>, name: string, value: bigint): void {
  if (value > (map.get(name) ?? -1n)) map.set(name, value);
}
