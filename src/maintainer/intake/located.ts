import type { Place } from "../../barrier/roster.ts";
import type { Target } from "../session/outbox.ts";
import type { Report } from "./input.ts";

/** Lives of one report that count, with where they stand. */
export interface Placed {
  readonly report: Report;
  readonly places: readonly Place[];
}

/**
 * A WAITING that nobody waits for, whose dispatcher hangs all the same (I9): of a life that is over, for its table was dropped; or
 * at an event that is behind where the life started (R10).
 */
export interface Orphan {
  readonly report: Report;
  readonly target: Target;
}
