import type { DispatcherKey } from "../barrier/dispatcher-key.ts";

/** Why the coordinator wants a dispatcher created or removed. `move`: the node that had it has lost it. */
export type ScheduleOperator = "add" | "remove" | "move" | "split" | "merge";

/**
 * A dispatcher as the coordinator asks for it: with a sink it is a `DispatcherConfig`.
 *
 * @example
 * ```ts
 * import type { DispatcherConfig, ScheduledDispatcher, Sink } from "@weir-cdc/weir";
 *
 * export function configOf(asked: ScheduledDispatcher, sink: Sink<string, string>): DispatcherConfig<string, string> {
 *   return { ...asked, sink, commitTsOf: (row) => BigInt(row.split(" ")[0]!) };
 * }
 * ```
 */
export interface ScheduledDispatcher {
  readonly id: DispatcherKey;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  /** Keys of the span; empty at the outer ends of the table. Both empty: the whole table. */
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  /** It starts behind the DDL at this commitTs, before the syncpoint at it (protocol.md R10). */
  readonly checkpointTs: bigint;
  /** See `DispatcherConfig`. */
  readonly skipDmlAsStartTs: boolean;
  /** See `DispatcherConfig`. 0: the node numbers it. */
  readonly life: bigint;
}

/**
 * The coordinator wants a dispatcher created or removed (protocol.md M6). Asking again changes nothing.
 *
 * @example
 * ```ts
 * import type { CaptureNode, ScheduleRequest, Sink } from "@weir-cdc/weir";
 *
 * export async function onSchedule(node: CaptureNode, sink: Sink, { action, dispatcher }: ScheduleRequest) {
 *   if (action === "remove") return node.removeDispatcher(dispatcher.id);
 *   if (node.dispatcher(dispatcher.id)) return;
 *   // It resolves later than the request may take: what fails is told by itself.
 *   node.createDispatcher({ ...dispatcher, sink, commitTsOf: () => 0n }).catch(console.error);
 * }
 * ```
 */
export interface ScheduleRequest {
  readonly action: "create" | "remove";
  /** Absent: one that this version of the package does not know. */
  readonly operator?: ScheduleOperator;
  /** Of one to be removed `id` and `tableId` are what counts. */
  readonly dispatcher: ScheduledDispatcher;
}
