import type { CaptureEvent } from "./event.ts";

/**
 * Where a dispatcher writes to. One sink serves one dispatcher; calls come one after the other. A call that rejects is made again.
 * `sinkContract` of `@weir-cdc/weir/testing` tells whether a sink keeps to this.
 *
 * @example
 * ```ts
 * import { appendFile } from "node:fs/promises";
 * import type { CaptureEvent, Sink } from "@weir-cdc/weir";
 *
 * export class LineSink implements Sink<string, string> {
 *   #lines: string[] = [];
 *
 *   async write(rows: readonly string[]) {
 *     this.#lines.push(...rows);
 *   }
 *
 *   async flushBeforeBlock() {
 *     // If this fails, the lines are still there for the next attempt.
 *     await appendFile("orders.txt", this.#lines.map((line) => `${line}\n`).join(""), { flush: true });
 *     this.#lines = [];
 *   }
 *
 *   async writeBlockEvent(event: CaptureEvent<string>) {
 *     await appendFile("ddls.txt", `${event.key.commitTs} ${event.payload}\n`, { flush: true });
 *   }
 *
 *   async passBlockEvent() {}
 * }
 * ```
 */
export interface Sink<Row = unknown, Payload = unknown> {
  /** Takes rows; they need not be durable when it returns. */
  write(rows: readonly Row[]): Promise<void>;
  /** Makes every row durable that was taken before (protocol.md D2). Called once for an event. */
  flushBeforeBlock(event: CaptureEvent<Payload>): Promise<void>;
  /** Applies the event: this dispatcher is its writer. */
  writeBlockEvent(event: CaptureEvent<Payload>): Promise<void>;
  /** Another dispatcher has applied the event. */
  passBlockEvent(event: CaptureEvent<Payload>): Promise<void>;
}
