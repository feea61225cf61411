import { isOver } from "../../src/dispatcher/errors.ts";
import type { Streamed } from "./capture.ts";
import { type Incarnation, reach, report } from "./carrier.ts";
import { short } from "./order.ts";
import type { Ground } from "./process.ts";
import type { LogEvent } from "./workload.ts";

/** How a stream came to its end: that of the log, of its table, or because its dispatcher is being closed. */
export type StreamEnd = "finished" | "dropped" | "closing";

/**
 * Gives a dispatcher what the log has for it from where it starts, as the source has it, and keeps count of what is durable.
 * Ends without an answer when its process ends.
 */
export async function runStream(
  incarnation: Incarnation,
  dispatcher: Streamed,
  { dice, timeline }: Ground,
  note: (who: string, what: string) => void,
): Promise<StreamEnd> {
  const { carrier, process } = incarnation;
  const { items } = carrier;
  const from = carrier.reported;
  const sleep = (ms: number) => new Promise<void>((resolve) => process.clock.after(ms, resolve));
  note(incarnation.name, `accepted as life ${dispatcher.life % 10_000_000n}`);
  incarnation.dispatcher = dispatcher;
  for (const [index, item] of items.entries()) {
    const { commitTs, isSyncPoint } =
      "row" in item ? { ...item.row, isSyncPoint: false } : item.event.capture.key;
    if (commitTs < from || (commitTs === from && !isSyncPoint)) continue;
    if ("row" in item && (item.row.key < carrier.from || item.row.key >= carrier.to)) continue;
    const ms = ("row" in item ? item.row.at : item.event.at) - timeline.now;
    await sleep(Math.max(0, ms) + (ms > -50 || dice.chance(0.2) ? dice.between(0, 30) : 0));
    if (!incarnation.fed) return "closing";
    if ("row" in item) {
      if (!(await take([item.row.row]))) return "closing";
    } else {
      if (!(await meet(item.event))) return "closing";
      reach(carrier, commitTs);
      // What follows is not before the next item's time: so far the stream is resolved.
      const next = items[index + 1];
      const nextTs = next && ("row" in next ? next.row.commitTs : next.event.capture.key.commitTs);
      if (nextTs !== undefined && nextTs > commitTs && dice.chance(0.3)) {
        const flushed = await dispatcher.flush(nextTs - 1n).then(...SUCCESS);
        if (flushed) reach(carrier, nextTs - 1n);
      }
      if (drops(item.event, carrier.tableId)) return "dropped";
    }
    if (dice.chance(0.6)) report(carrier);
  }
  if (!incarnation.fed) return "closing";
  // Nothing is left at the commitTs of the last item, nor before.
  const last = items.at(-1);
  const end = last && ("row" in last ? last.row.commitTs : last.event.capture.key.commitTs);
  while (!(await dispatcher.flush(end).then(...SUCCESS))) {
    if (!incarnation.fed) return "closing";
    await sleep(500);
  }
  while (dispatcher.outstanding) await sleep(200);
  return "finished";

  /** @returns false if the dispatcher was closed */
  async function take(rows: readonly unknown[]): Promise<boolean> {
    for (;;)
      try {
        await dispatcher.write(rows);
        return true;
      } catch (error) {
        if (isOver(error)) return false;
        await sleep(500);
      }
  }

  /** @returns false if the dispatcher was closed while it stood there */
  async function meet({ capture }: LogEvent): Promise<boolean> {
    for (;;) {
      try {
        note(incarnation.name, `comes to ${short(capture.key)}`);
        await dispatcher.handle(capture);
        return true;
      } catch (error) {
        if (isOver(error)) return false;
        // An event that blocks nobody could not be written: the sink has failed, the stream comes to it again.
        incarnation.forget(capture.key);
        await sleep(500);
      }
    }
  }
}

const SUCCESS = [() => true, () => false] as const;

function drops({ capture: { needDroppedTables } }: LogEvent, tableId: bigint): boolean {
  if (needDroppedTables === undefined || tableId === 0n) return false;
  return needDroppedTables.type !== "tables" || needDroppedTables.tableIds.includes(tableId);
}
