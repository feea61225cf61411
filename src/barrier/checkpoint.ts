import { type EventKey, keyText } from "../protocol/event-key.ts";
import type { BlockEvent } from "./event.ts";
import type { Roster } from "./roster.ts";
import type { Phase } from "./step.ts";

/** How far the checkpoint of a changefeed may go, as far as the coordinator can tell. */
export interface CheckpointLimit {
  /** A commitTs; undefined: the coordinator holds nothing back. */
  readonly atMost: bigint | undefined;
  /** What holds it there, for people. */
  readonly because: string;
}

/** An open barrier, as far as the checkpoint depends on it. */
export interface OpenEvent {
  readonly key: EventKey;
  readonly phase: Phase;
  readonly event: BlockEvent;
}

/**
 * How far a changefeed's checkpoint may go (protocol.md M13, D10). A checkpoint T says that everything up to T is downstream
 * and that a restart from T loses nothing, so it stays
 * - below a DDL that is not written yet, and at a syncpoint that is not (checkpoint T is not past the syncpoint at T, R10);
 * - at an event that adds tables, until the barrier is closed and every added table has dispatchers;
 * - where the dispatchers of a table start that has none now.
 * The caller takes the lower of this and of what its dispatchers have reached; read it after the limit, not before
 * (ticdc.md TM53).
 */
export function checkpointLimit(roster: Roster, open: readonly OpenEvent[]): CheckpointLimit {
  let limit: CheckpointLimit = {
    atMost: undefined,
    because: "no barrier is open and every table has dispatchers",
  };
  const hold = (atMost: bigint, because: string) => {
    if (limit.atMost === undefined || atMost < limit.atMost) limit = { atMost, because };
  };
  if (!roster.opened) hold(0n, "the changefeed is not opened yet");
  for (const { key, phase, event } of open) {
    const what = `${key.isSyncPoint ? "syncpoint" : "DDL"} ${key.commitTs}`;
    if (phase === "waiting" || phase === "writing")
      hold(
        key.isSyncPoint ? key.commitTs : key.commitTs - 1n,
        `${what} is not written yet (${keyText(key)})`,
      );
    else if (event.add.length > 0) hold(key.commitTs, `${what} adds tables and is ${phase}`);
  }
  const lost = Map.groupBy(roster.lost(), (one) => one.lost.was.tableId);
  for (const tableId of roster.untiled()) {
    const starts = (lost.get(tableId) ?? []).map((one) => one.lost.given?.startTs ?? one.lost.was.since);
    const since = roster.tables.get(tableId)?.since ?? 0n;
    const from = starts.length > 0 ? starts.reduce((a, b) => (a < b ? a : b)) : since;
    hold(from, `table ${tableId} is not covered by dispatchers`);
  }
  return limit;
}
