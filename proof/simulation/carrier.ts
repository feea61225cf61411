import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import { type StorageFiles, type StoragePayload, StorageSink } from "../../src/dispatcher/storage-sink.ts";
import type { EventKey } from "../../src/protocol/event-key.ts";
import type { Streamed } from "./capture.ts";
import type { Downstream } from "./downstream.ts";
import { isBefore, short, storedName } from "./order.ts";
import type { Process } from "./process.ts";
import type { Judge } from "./violation.ts";
import type { LogEvent, LogItem } from "./workload.ts";

/** A dispatcher as the scheduler has it, wherever and whether it runs. */
export interface Carrier {
  readonly id: string;
  /** 0: the table trigger. */
  readonly tableId: bigint;
  readonly from: number;
  readonly to: number;
  readonly items: readonly LogItem[];
  node: string;
  /** Everything up to here is durable: past the DDL at it, not past the syncpoint (protocol.md R10). */
  checkpoint: bigint;
  /** What the scheduler knows of it: it may be behind, never ahead. */
  reported: bigint;
  running: Incarnation | undefined;
  /** What the scheduler knew of it before, in this epoch: a node that was away may come back with that. */
  past: bigint[];
  /** Rows of the commitTs behind `reported` are durable too, if it starts from there (ticdc.md TM59). */
  skipsNext: boolean;
  /** The life that the coordinator asked for it with, until it is accepted (protocol.md R11). */
  asked: bigint | undefined;
  /** Its node has forgotten it: the coordinator must ask for it again (protocol.md R9b). */
  lost: boolean;
  /** It has nothing left to do: its table was dropped. */
  over: boolean;
}

/** What one dispatcher did to events, in its one existence. */
export class Incarnation {
  readonly carrier: Carrier;
  readonly process: Process;
  /** The node of that process: its carrier may go to another. */
  readonly node: string;
  dispatcher: Streamed | undefined;
  /** False when it is being closed: its stream gives it nothing any more. */
  fed = true;
  /** False when it was closed. */
  open = true;
  /** Whether its stream is at the end. */
  finished = false;
  /** Behind which event it is. */
  at: EventKey;
  readonly flushed = new Set<string>();
  readonly executed = new Map<string, "write" | "pass">();
  executing: string | undefined;

  constructor(carrier: Carrier, process: Process) {
    this.carrier = carrier;
    this.process = process;
    this.node = carrier.node;
    this.at = { commitTs: carrier.reported, isSyncPoint: false };
  }

  /** The stream comes to an event again, after the sink has failed. */
  forget(key: EventKey): void {
    this.flushed.delete(storedName(key));
  }

  get lives(): boolean {
    return this.open && this.process.alive;
  }

  get life(): bigint {
    return this.dispatcher?.life ?? 0n;
  }

  get name(): string {
    return `${this.carrier.id.slice(-4)}@${this.node}`;
  }
}

/** What a watched sink needs to know. */
export interface SinkWorld {
  readonly judge: Judge;
  readonly downstream: Downstream;
  eventOf(key: EventKey): LogEvent;
  note(who: string, what: string): void;
  /** A dispatcher is about to do what it was told, or not (invariants.md I1 to I3). */
  executes(incarnation: Incarnation, event: LogEvent, action: "write" | "pass"): void;
  /** A dispatcher was closed in good order (protocol.md D10a). */
  closed(incarnation: Incarnation): void;
}

/**
 * The storage sink that ships, watched: one flush for an event and before it waits, one write or pass, in the order of keys
 * (invariants.md I4, I8).
 */
export class WatchedSink extends StorageSink {
  readonly #incarnation: Incarnation;
  readonly #world: SinkWorld;

  constructor(files: StorageFiles, incarnation: Incarnation, world: SinkWorld) {
    super("out", incarnation.carrier.id, files);
    this.#incarnation = incarnation;
    this.#world = world;
  }

  override async flushBeforeBlock(event?: CaptureEvent<StoragePayload>): Promise<void> {
    await super.flushBeforeBlock();
    const { carrier, flushed, name } = this.#incarnation;
    const key = event?.key;
    if (key === undefined || key.commitTs === 0n) return;
    if (flushed.has(storedName(key))) this.#world.judge.fail("I4", `${name} flushes twice for ${short(key)}`);
    flushed.add(storedName(key));
    // What is before the event is durable now, for a syncpoint also what has its commitTs.
    reach(carrier, key.isSyncPoint ? key.commitTs : key.commitTs - 1n);
  }

  override async writeBlockEvent(event: CaptureEvent<StoragePayload>): Promise<void> {
    const incarnation = this.#incarnation;
    const log = this.#begin(event, "write");
    let failed = false;
    this.#world.downstream.applies(log, {
      id: incarnation.name,
      mayRepeat: () => failed || !incarnation.lives,
    });
    try {
      await super.writeBlockEvent(event);
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      incarnation.executing = undefined;
    }
    this.#end(event, "write");
    if (!this.#world.downstream.isWritten(log))
      this.#world.judge.fail("content", `${short(event.key)} is written and its files are not there`);
  }

  override async passBlockEvent(given?: CaptureEvent<StoragePayload>): Promise<void> {
    const event = given!;
    const log = this.#begin(event, "pass");
    if (!this.#world.downstream.isWritten(log))
      this.#world.judge.fail(
        "I3",
        `${this.#incarnation.name} passes ${short(event.key)} before it is written`,
      );
    await super.passBlockEvent();
    this.#end(event, "pass");
  }

  #begin({ key }: CaptureEvent<StoragePayload>, action: "write" | "pass"): LogEvent {
    const incarnation = this.#incarnation;
    const { judge } = this.#world;
    const text = storedName(key);
    const { name, executed } = incarnation;
    this.#world.note(name, `${action}s ${short(key)}`);
    if (executed.has(text) || incarnation.executing === text)
      judge.fail("I4", `${name} meets ${short(key)} twice`);
    if (!incarnation.flushed.has(text))
      judge.fail("I4", `${name} ${action}s ${short(key)} and has not flushed`);
    if (!isBefore(incarnation.at, key))
      judge.fail("I8", `${name} ${action}s ${short(key)} behind ${short(incarnation.at)}`);
    incarnation.executing = text;
    const event = this.#world.eventOf(key);
    this.#world.executes(incarnation, event, action);
    return event;
  }

  #end({ key }: CaptureEvent<StoragePayload>, action: "write" | "pass"): void {
    const incarnation = this.#incarnation;
    incarnation.executing = undefined;
    incarnation.executed.set(storedName(key), action);
    incarnation.at = key;
  }
}

/** The scheduler hears how far a carrier is. */
export function report(carrier: Carrier): void {
  const checkpoint = capped(carrier);
  if (checkpoint !== carrier.reported) {
    carrier.skipsNext = false;
    carrier.past.push(checkpoint);
  }
  carrier.reported = checkpoint;
}

/** What a dispatcher may say that its checkpoint is (protocol.md D10). */
export function capped(carrier: Carrier): bigint {
  const cap = carrier.running?.dispatcher?.checkpointCap;
  return cap !== undefined && cap < carrier.checkpoint ? cap : carrier.checkpoint;
}

/** A carrier's checkpoint only grows. */
export function reach(carrier: Carrier, checkpoint: bigint): void {
  if (checkpoint > carrier.checkpoint) carrier.checkpoint = checkpoint;
}
