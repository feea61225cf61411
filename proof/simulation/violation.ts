import type { Trace } from "./trace.ts";

/** Something that must never happen. `rule` names the invariant, or the part of the oracle. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
}

/** Takes note of what must never happen. Only the first counts: the rest may follow from it. */
export class Judge {
  readonly #trace: Trace;
  violation: Violation | undefined;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  fail(rule: string, what: string): void {
    if (this.violation !== undefined) return;
    this.violation = { rule, what };
    this.#trace.note("VIOLATION", `${rule}: ${what}`);
  }
}
