import {
  type Coverage,
  chooseWriter,
  completeMark,
  completeVersions,
  judgePassing,
  judgeWaiting,
  missingLives,
  sameLives,
} from "../../barrier/coverage.ts";
import { type BlockEvent, eventFromBytes } from "../../barrier/event.ts";
import type { Life, Roster } from "../../barrier/roster.ts";
import { planRoutes, routesFromBytes } from "../../barrier/routes.ts";
import { type Grant, type Step, writerOf } from "../../barrier/step.ts";
import type { BarrierItem, Count, Kept, Root, Tally } from "../base/port.ts";
import type { Space } from "../base/space.ts";
import { requiredFor } from "./record.ts";

/** An open barrier as it is stored, and the roster of the same root. */
export interface StoredBarrier {
  /** `keyText`. */
  readonly key: string;
  readonly step: Step;
  readonly item: BarrierItem;
  /** Those of its phase: "passed" in phase passing, else "waiting". */
  readonly tallies: readonly Tally[];
}

/** What is stored of a changefeed, as far as it is still at work. */
export interface StoredChangefeed {
  readonly space: Space;
  readonly root: Root;
  readonly roster: Roster;
  /** Keys of events that others wait for, in their order (`pendingChanges`). */
  readonly pending: readonly string[];
  /** The open ones, the lowest key first. */
  readonly barriers: readonly StoredBarrier[];
  /** Reports of lives that have not registered. */
  readonly kept: readonly Kept[];
}

/** Where an open barrier stands, by the functions that the steps themselves judge with. */
export interface Standing {
  readonly event: BlockEvent;
  /** What is counted in its phase. */
  readonly count: Count;
  /** Lives that have to report in its phase, and those that have not. */
  readonly expected: number;
  readonly missing: readonly Life[];
  /** In phases waiting and writing. */
  readonly coverage: Coverage | undefined;
  /** The last grant. */
  readonly grant: Grant | undefined;
  /** The life of that grant, while it is a current one: in phase writing it holds up all others. */
  readonly writer: Life | undefined;
  /** An earlier event that still has to change the roster, before the step that is next (protocol.md M9, M10). */
  readonly waitsFor: string | undefined;
  /** Why its routes cannot be admitted (protocol.md M23). */
  readonly conflict: string | undefined;
  /** The next look at what is stored moves it: nobody has to report for that. */
  readonly goesOn: boolean;
}

/** What of a barrier's phase is counted. */
export const countOf = ({ phase }: Pick<Step, "phase">): Count =>
  phase === "passing" || phase === "closed" ? "passed" : "waiting";

/** @param pending keys of events that others wait for (`pendingChanges`), in their order */
export function standingOf(
  { key, step, item, tallies }: StoredBarrier,
  roster: Roster,
  pending: readonly string[],
): Standing {
  const event = eventFromBytes(item.event);
  const count = countOf(step);
  const wrote = count === "passed" && step.wroteBy >= 0 ? writerOf(step) : undefined;
  const reported = new Map(tallies.map((tally) => [tally.chunk, tally.reported]));
  const marks = new Set(count === "passed" ? item.passed : item.waiting);
  const missing: Life[] = [];
  let expected = 0;
  for (const chunk of roster.dispatchers) {
    const required = requiredFor(count, chunk, event, wrote);
    const versions = completeVersions(marks, chunk);
    const lacking = missingLives(required, event, reported.get(chunk.id) ?? new Set(), versions);
    expected += required.length;
    missing.push(...lacking);
    // An invocation that died before it marked the chunk complete: the next one does.
    if (required.length > 0 && lacking.length === 0) marks.add(completeMark(chunk));
  }
  const grant = writerOf(step);
  const place = grant === undefined ? undefined : roster.find(grant.id);
  const writer = place?.life.life === grant?.life ? place?.life : undefined;
  const coverage =
    step.phase === "waiting" || step.phase === "writing"
      ? judgeWaiting(roster, event, marks, step.lateTablesHold)
      : undefined;
  const waitsFor =
    step.phase === "waiting" || step.phase === "written" ? pending.find((other) => other < key) : undefined;
  const conflict =
    step.phase === "waiting" || step.phase === "written" ? conflictOf(step, item, roster) : undefined;
  const grants = () =>
    coverage?.verdict === "past" || (coverage?.verdict === "covered" && canGrant(roster, event));
  const goesOn = () => {
    if (waitsFor !== undefined || conflict !== undefined) return false;
    switch (step.phase) {
      case "waiting":
        return grants();
      case "writing":
        return !sameLives(roster, event, step.grantedOn, step.grantedLives) && grants();
      case "written":
        return roster.opened;
      case "passing":
        return judgePassing(roster, event, marks, wrote).length === 0;
      case "closed":
        return true;
    }
  };
  return { event, count, expected, missing, coverage, grant, writer, waitsFor, conflict, goesOn: goesOn() };
}

const canGrant = (roster: Roster, event: BlockEvent) => chooseWriter(roster, event, undefined) !== undefined;

/** The routes are tried on the roster as it is: what stands in the step may have been mended since. */
function conflictOf(step: Step, item: BarrierItem, roster: Roster): string | undefined {
  if (!step.routes && item.routes.length === 0) return undefined;
  const plan = planRoutes(roster.routes(), routesFromBytes(item.routes));
  return "conflict" in plan ? plan.conflict : undefined;
}
