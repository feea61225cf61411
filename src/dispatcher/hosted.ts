import type { DispatcherConfig } from "./config.ts";
import type { CaptureEvent } from "./event.ts";

/** An event at which a stream stands, and what is being done about it. */
export interface Standing {
  readonly event: CaptureEvent;
  /** `held`: it waits for an earlier event that has no ACK. */
  readonly stage: "held" | "flushing" | "waiting" | "writing";
}

/**
 * A dispatcher as `createDispatcher` returns it: its stream gives it rows and events, in their order.
 *
 * @example
 * ```ts
 * import type { CaptureEvent, Dispatcher } from "@weir-cdc/weir";
 *
 * export async function give(orders: Dispatcher<string, string>, rows: string[], event: CaptureEvent<string>) {
 *   await orders.write(rows);
 *   await orders.handle(event);
 *   // Nothing else comes up to the event.
 *   await orders.flush(event.key.commitTs);
 *   console.log(orders.checkpointTs);
 * }
 * ```
 */
export interface Dispatcher<Row = unknown, Payload = unknown> {
  readonly config: DispatcherConfig<Row, Payload>;
  /** The number of this existence of the dispatcher (protocol.md R4). */
  readonly life: bigint;
  /** That of its table, after the renames that it has met. */
  readonly schemaId: bigint;
  /** Whether it waits for an answer of the coordinator. */
  readonly outstanding: boolean;
  /** The event at which its stream stands, for people. */
  readonly blockedAt: Standing | undefined;
  /** What it would have to end before it can be closed, for people. */
  readonly busyWith: string;
  /** The commitTs of what it has finished: everything is behind that. */
  readonly finishedTs: bigint;
  /**
   * The commitTs up to which all that its stream brought is durable, as far as this knows: what it started from, the events that it
   * finished, and what `flush` was told. Never past an event that adds tables and has no ACK (protocol.md D10).
   */
  readonly checkpointTs: bigint;
  /** What its checkpoint may not pass yet (protocol.md D10). */
  readonly checkpointCap: bigint | undefined;

  /**
   * Takes rows, in the order of the stream. Calls may overlap: rows are written in the order of the calls. If one rejects, nothing
   * behind it is written, flushed or reported until `write` was called again with the same array, or `retry`.
   * @throws OverlappingCall while an event is handled
   * @throws EarlierFailed if something failed before: nothing of these rows was taken
   * @throws NodeStopped or DispatcherClosed
   */
  write(rows: readonly Row[]): Promise<void>;

  /** Writes the rows again whose `write` failed, and those that were given behind them. */
  retry(): Promise<void>;

  /**
   * Takes a DDL or a syncpoint of the stream. Resolves when it was written or passed and the stream may go on.
   * @throws if an event that blocks nobody could not be written: then the stream must come to it again
   * @throws MessageRefused if it lists so many tables that no message holds a report of it
   * @throws OverlappingCall while another event is handled: that goes on
   * @throws EarlierFailed if something failed before
   * @throws NodeStopped or DispatcherClosed: then it may have been written or not
   */
  handle(event: CaptureEvent<Payload>): Promise<void>;

  /**
   * Makes everything that was written durable.
   * @param resolvedTs the stream has brought everything up to this commitTs: its rows were written, its DDLs handled. From then
   * on `checkpointTs` is no lower.
   * @throws EarlierFailed if something failed before
   * @throws RangeError if the stream stands at an event up to `resolvedTs`
   */
  flush(resolvedTs?: bigint): Promise<void>;

  /**
   * Waits for what it has begun, and takes nothing more. The coordinator is not told: `removeDispatcher` of the node does both.
   */
  close(): Promise<void>;
}
