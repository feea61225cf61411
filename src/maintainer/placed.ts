import type { Place } from "../barrier/roster.ts";
import type { Report } from "./intake.ts";
import type { Target } from "./outbox.ts";

/** Lives of one report that count, with where they stand. */
export interface Placed {
  readonly report: Report;
  readonly places: readonly Place[];
}

/** A WAITING of a life that is over: its dispatcher's table was dropped, and it may still hang (I9). */
export interface Orphan {
  readonly report: Report;
  readonly target: Target;
}
