import { type BlockEvent, eventFromBytes } from "../../barrier/event.ts";
import type { Roster } from "../../barrier/roster.ts";
import { printable } from "../../error/printable.ts";
import type { BarrierItem } from "../base/port.ts";
import { type StoredBarrier, standingOf } from "./standing.ts";

/** One dispatcher that holds a barrier. */
export interface MissingDispatcher {
  readonly dispatcher: string;
  readonly node: string;
  readonly tableId: string;
  /** The queue that it is told through does not exist any more (protocol.md R9b). */
  readonly unreachable: boolean;
}

/** A barrier as operators see it. Times are milliseconds. */
export interface BarrierView {
  readonly key: string;
  readonly commitTs: string;
  readonly isSyncPoint: boolean;
  readonly phase: string;
  readonly influence: string;
  readonly writer: string;
  readonly reported: number;
  readonly expected: number;
  /** Up to 20 of those who are missing, and how many there are. */
  readonly missing: readonly MissingDispatcher[];
  readonly missingCount: number;
  /** Tables that no dispatcher covers. */
  readonly uncoveredTables: readonly string[];
  /** Nodes that said that something is wrong, and what (`err` of registrations and heartbeats); absent: none. */
  readonly failed?: readonly { readonly node: string; readonly reason: string }[];
  /** Waits for an earlier event that still has to change the roster. */
  readonly waitsFor: string | undefined;
  /** Why its routes cannot be admitted (protocol.md M23). */
  readonly conflict: string | undefined;
  /** The table trigger takes part and has no life (protocol.md M5). */
  readonly triggerGone?: true;
  /** The opening of the changefeed has not come whole (protocol.md R1). */
  readonly unopened?: true;
  /** Nobody has to report: the next look at what is stored moves it. */
  readonly goesOn: boolean;
  /** Since it was opened; of a closed one, how long it was open. */
  readonly ageMs: number;
  /** Since its phase began, or since the last grant; of a closed one as `ageMs`. */
  readonly phaseMs: number;
}

const SHOWN = 20;

export function influenceText({ influence }: BlockEvent): string {
  switch (influence.type) {
    case "All":
      return "All";
    case "DB":
      return `DB schema ${influence.schemaId}`;
    case "Normal": {
      const ids = [...influence.tableIds];
      return `Normal ${ids.slice(0, 4).join(",")}${ids.length > 4 ? ` +${ids.length - 4}` : ""}`;
    }
  }
}

/** Describes an open barrier from what is stored: who reported in its phase, and who did not. */
export function describeOpen(
  stored: StoredBarrier,
  roster: Roster,
  pending: readonly string[],
  now: number,
): BarrierView {
  const { key, step, item } = stored;
  const standing = standingOf(stored, roster, pending);
  const { event, missing, expected, coverage, writer } = standing;
  // In phase writing one dispatcher holds everybody up: the writer, while it is there.
  const holding = step.phase === "writing" && writer ? [writer] : missing;
  const shown = step.phase === "closed" ? [] : holding;
  const failed = [...roster.nodes.values()].flatMap(({ id, failure }) =>
    failure === undefined ? [] : [{ node: id, reason: failure }],
  );
  const lacks = coverage?.verdict === "missing" ? coverage : undefined;
  return {
    ...common(key, event),
    phase: step.phase,
    writer: step.phase === "writing" ? (writer?.id ?? "") : (standing.grant?.id ?? ""),
    reported: expected - missing.length,
    expected,
    missing: shown.slice(0, SHOWN).map((life) => ({
      dispatcher: life.id,
      node: life.node,
      tableId: life.tableId.toString(),
      unreachable: item.unreachable.has(life.queue),
    })),
    missingCount: shown.length,
    uncoveredTables: lacks?.tables.slice(0, SHOWN).map(String) ?? [],
    ...(lacks?.triggerGone && { triggerGone: true }),
    ...(lacks?.unopened && { unopened: true }),
    ...(failed.length > 0 && { failed: failed.slice(0, SHOWN) }),
    waitsFor: standing.waitsFor,
    conflict: standing.conflict,
    goesOn: standing.goesOn,
    ageMs: now - item.openedAt,
    phaseMs: now - step.phaseAt,
  };
}

/** Describes a barrier by its tombstone. */
export function describeClosed(key: string, item: BarrierItem): BarrierView {
  const { closedAt, writer, lives } = item.tombstone!;
  return {
    ...common(key, eventFromBytes(item.event)),
    phase: "closed",
    writer,
    reported: lives,
    expected: lives,
    missing: [],
    missingCount: 0,
    uncoveredTables: [],
    waitsFor: undefined,
    conflict: undefined,
    goesOn: false,
    ageMs: closedAt - item.openedAt,
    phaseMs: closedAt - item.openedAt,
  };
}

function common(key: string, event: BlockEvent) {
  return {
    key,
    commitTs: event.key.commitTs.toString(),
    isSyncPoint: event.key.isSyncPoint,
    influence: influenceText(event),
  };
}

/** The one line for three in the morning: what is stuck, since when, whose fault. */
export function holdUp(barrier: BarrierView): string {
  const what = `${barrier.isSyncPoint ? "syncpoint" : "DDL"} ${barrier.commitTs} ${barrier.phase} since ${seconds(barrier.phaseMs)}`;
  if (barrier.conflict !== undefined) return `${what}: ${printable(barrier.conflict)}`;
  if (barrier.waitsFor !== undefined) return `${what}: waits for the earlier event ${barrier.waitsFor}`;
  if (barrier.goesOn) return `${what}: nobody is missing, it is about to go on`;
  const names = barrier.missing.map(
    (one) =>
      `${short(one.dispatcher)} on ${printable(one.node)} (table ${one.tableId}${one.unreachable ? ", its queue is gone" : ""})`,
  );
  const more = barrier.missingCount > names.length ? ` and ${barrier.missingCount - names.length} more` : "";
  const reasons = [
    ...(barrier.unopened ? ["the changefeed is not opened"] : []),
    ...(barrier.triggerGone ? ["there is no table trigger"] : []),
    ...(barrier.uncoveredTables.length > 0
      ? [`no dispatcher for table ${barrier.uncoveredTables.join(", ")}`]
      : []),
    ...(barrier.failed ?? []).map(({ node, reason }) => `node ${printable(node)} says: ${printable(reason)}`),
  ];
  const by = names.length > 0 ? `held up by ${names.join(", ")}${more}` : "held up";
  return `${what}: ${[by, ...reasons].join("; ")}`;
}

/** The last digits of an id, for people. */
export const short = (id: string) => (id.length > 12 ? `…${id.slice(-8)}` : id);
export const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
