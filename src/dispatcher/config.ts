import type { DispatcherKey } from "../barrier/dispatcherid.ts";
import type { Sink } from "./sink.ts";

/** Where a dispatcher comes from and what it carries. */
export interface DispatcherConfig {
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
   * stood in an earlier life (`skipDMLAsStartTs` of `ScheduleDispatcherRequest`, ticdc.md TM59). Needs `commitTsOf`.
   */
  readonly skipDMLAsStartTs?: boolean;
  /**
   * `life` of the `ScheduleDispatcherRequest` that asks for it: whoever is asked after this node has a higher one, and of the
   * two only that is accepted (protocol.md R11). Absent or 0: the node numbers it.
   */
  readonly life?: bigint;
  /** The commitTs of a row. */
  // biome-ignore lint/suspicious/noExplicitAny: rows are the sink's own business
  readonly commitTsOf?: (row: any) => bigint;
  // biome-ignore lint/suspicious/noExplicitAny: rows and payloads are the sink's own business
  readonly sink: Sink<any, any>;
}
