import { type ReadOptions, readChangeLog } from "../../changelog/read.ts";
import { StorageSink, type StorageSinkOptions } from "../../dispatcher/storage-sink.ts";
import { planReplay } from "../../replay/plan.ts";
import { spanOf } from "../../replay/spans.ts";

/** Writes the folder that a replay should leave behind, straight from the plan: each table's rows by two writers for each of its ids. */
export async function writeFolder(
  log: string,
  out: string,
  options: ReadOptions & StorageSinkOptions = {},
  onlyPlan = false,
): Promise<void> {
  const plan = planReplay(await readChangeLog(log, options), 0n);
  if (onlyPlan) return;
  const open = (dispatcher: string) => new StorageSink(out, dispatcher, undefined, options);
  const trigger = open("trigger");
  for (const event of plan.trigger) await trigger.writeBlockEvent(event);
  for (const { tableId, items } of plan.tables.values()) {
    const sinks = [0, 1].map((span) => open(`${tableId.toString(16)}${span}`));
    for (const item of items) {
      if (item.kind === "event") {
        for (const sink of sinks) await sink.flushBeforeBlock();
        continue;
      }
      const { schema, table, tableVersion: version, commitTs, text, key } = item.change;
      await sinks[spanOf(key, 2)]!.write([{ schema, table, version, commitTs, text }]);
    }
    for (const sink of sinks) await sink.flushBeforeBlock();
  }
}
