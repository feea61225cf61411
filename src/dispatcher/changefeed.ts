/**
 * Names a changefeed, as TiCDC does (protocol.md 1.3). All four parts together are its name.
 *
 * @example
 * ```ts
 * import type { ChangefeedId } from "@weir-cdc/weir";
 *
 * export const changefeed: ChangefeedId = { high: 1n, low: 2n, name: "orders", keyspace: "default" };
 * ```
 */
export interface ChangefeedId {
  /** The two halves of its 128-bit id, 64 bits each, unsigned. */
  readonly high: bigint;
  readonly low: bigint;
  readonly name: string;
  /** `default` where there are no keyspaces. */
  readonly keyspace: string;
}

/** Which of the two streams of a changefeed: what it replicates, or its redo log. They know nothing of each other (protocol.md M17). */
export type Mode = "default" | "redo";

/** What a dispatcher is doing (protocol.md R2). A barrier waits for those that are `working`. */
export type DispatcherState =
  | "working"
  | "stopped"
  | "removed"
  | "initializing"
  | "preparing"
  | "merge-ready"
  | "waiting-merge";
