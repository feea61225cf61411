import { completeVersions, judgeWaiting, missingLives } from "../../barrier/coverage.ts";
import { type BlockEvent, eventFromBytes } from "../../barrier/event.ts";
import type { Life, Roster } from "../../barrier/roster.ts";
import { type Step, writerOf } from "../../barrier/step.ts";
import type { BarrierItem, Count, Tally } from "../base/port.ts";
import { requiredFor } from "./record.ts";

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
  /** Since it was opened; of a closed one, how long it was open. */
  readonly ageMs: number;
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
  key: string,
  step: Step,
  item: BarrierItem,
  tallies: readonly Tally[],
  roster: Roster,
  pending: readonly string[],
  now: number,
): BarrierView {
  const event = eventFromBytes(item.event);
  const count: Count = step.phase === "passing" || step.phase === "closed" ? "passed" : "waiting";
  const writer = count === "passed" && step.wroteBy >= 0 ? writerOf(step) : undefined;
  const reported = new Map(tallies.map((tally) => [tally.chunk, tally.reported]));
  const marks = count === "passed" ? item.passed : item.waiting;
  const missing: Life[] = [];
  let expected = 0;
  for (const chunk of roster.dispatchers) {
    const required = requiredFor(count, chunk, event, writer);
    expected += required.length;
    const versions = completeVersions(marks, chunk);
    missing.push(...missingLives(required, event, reported.get(chunk.id) ?? new Set(), versions));
  }
  const coverage = count === "waiting" ? judgeWaiting(roster, event, marks, step.lateTablesHold) : undefined;
  const waiting = step.phase === "writing" ? writingFor(step, roster) : missing;
  const shown = step.phase === "closed" ? [] : waiting;
  const failed = [...roster.nodes.values()].flatMap(({ id, failure }) =>
    failure === undefined ? [] : [{ node: id, reason: failure }],
  );
  return {
    ...common(key, event),
    phase: step.phase,
    writer: writerOf(step)?.id ?? "",
    reported: expected - missing.length,
    expected,
    missing: shown.slice(0, SHOWN).map((life) => ({
      dispatcher: life.id,
      node: life.node,
      tableId: life.tableId.toString(),
      unreachable: item.unreachable.has(life.queue),
    })),
    missingCount: shown.length,
    uncoveredTables: coverage?.verdict === "missing" ? coverage.tables.slice(0, SHOWN).map(String) : [],
    ...(failed.length > 0 && { failed: failed.slice(0, SHOWN) }),
    waitsFor: count === "waiting" ? pending.filter((other) => other < key).sort()[0] : undefined,
    conflict: step.conflict,
    ageMs: now - item.openedAt,
  };
}

/** In phase writing one dispatcher holds everybody up: the writer. */
function writingFor(step: Step, roster: Roster): Life[] {
  const place = roster.find(writerOf(step)?.id ?? "");
  return place ? [place.life] : [];
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
    ageMs: closedAt - item.openedAt,
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
  const what = `${barrier.isSyncPoint ? "syncpoint" : "DDL"} ${barrier.commitTs} ${barrier.phase} since ${seconds(barrier.ageMs)}`;
  if (barrier.conflict !== undefined) return `${what}: ${barrier.conflict}`;
  if (barrier.waitsFor !== undefined) return `${what}: waits for the earlier event ${barrier.waitsFor}`;
  const names = barrier.missing.map(
    (one) =>
      `${short(one.dispatcher)} on ${one.node} (table ${one.tableId}${one.unreachable ? ", its queue is gone" : ""})`,
  );
  const more = barrier.missingCount > names.length ? ` and ${barrier.missingCount - names.length} more` : "";
  const tables =
    barrier.uncoveredTables.length > 0
      ? `; no dispatcher for table ${barrier.uncoveredTables.join(", ")}`
      : "";
  if (names.length === 0 && tables === "") return `${what}: nobody is missing, it is about to go on`;
  const failed = (barrier.failed ?? []).map(({ node, reason }) => `; node ${node} says: ${reason}`);
  return `${what}: ${names.length > 0 ? `held up by ${names.join(", ")}${more}` : "held up"}${tables}${failed.join("")}`;
}

/** The last digits of an id, for people. */
export const short = (id: string) => (id.length > 12 ? `…${id.slice(-8)}` : id);
export const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
