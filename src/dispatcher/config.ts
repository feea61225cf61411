import type { DispatcherKey } from "../barrier/dispatcher-key.ts";
import type { Sink } from "./sink.ts";

/**
 * Where a dispatcher comes from and what it carries. `Row` and `Payload` are those of its sink.
 *
 * @example
 * ```ts
 * import { type DispatcherConfig, dispatcherKey, type Sink } from "@weir-cdc/weir";
 *
 * export const orders = (sink: Sink<string, string>): DispatcherConfig<string, string> => ({
 *   id: dispatcherKey({ high: 0n, low: 2n }),
 *   tableId: 100n,
 *   schemaId: 3n,
 *   checkpointTs: 449779372969249700n,
 *   sink,
 * });
 * ```
 */
export interface DispatcherConfig<Row = unknown, Payload = unknown> {
  readonly id: DispatcherKey;
  readonly tableId: bigint;
  readonly schemaId: bigint;
  /** Keys of the span; empty at the outer ends of the table. Both empty: the whole table. */
  readonly start?: Uint8Array;
  readonly end?: Uint8Array;
  /** It starts behind the DDL at this commitTs, before the syncpoint at it (protocol.md R10). */
  readonly checkpointTs: bigint;
  /**
   * Rows of commitTs `checkpointTs + 1` are in the sink already and are dropped: it starts just before a DDL at which it
   * stood in an earlier life (`skipDmlAsStartTs` of `ScheduleRequest`, ticdc.md TM59). Needs `commitTsOf`.
   */
  readonly skipDmlAsStartTs?: boolean;
  /**
   * `life` of the `ScheduleRequest` that asks for it: whoever is asked after this node has a higher one, and of the
   * two only that is accepted (protocol.md R11). Absent or 0: the node numbers it.
   */
  readonly life?: bigint;
  /** The commitTs of a row. */
  commitTsOf?(row: NoInfer<Row>): bigint;
  readonly sink: Sink<Row, Payload>;
}
