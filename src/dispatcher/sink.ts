import type { CaptureEvent } from "./event.ts";

/** Where a dispatcher writes to. One sink serves one dispatcher; calls come one after the other. */
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
