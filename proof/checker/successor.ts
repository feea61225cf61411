import type { State } from "./state.ts";

/** What one thing that happens leads to. */
export interface Successor {
  readonly state: State;
  readonly faults: readonly string[];
  /** What happened, if words are wanted. */
  readonly lines: readonly string[];
}
