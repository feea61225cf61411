/** What happened in an invocation, for metrics and logs: plain data, so that the maintainer stays free of I/O. */
export interface Observation {
  readonly what:
    | "barrier-opened"
    | "write-granted"
    | "barrier-written"
    | "barrier-closed"
    | "action-repeated"
    | "wave-handed-over"
    | "report-stale"
    | "report-duplicate"
    | "report-kept"
    | "report-not-kept"
    | "report-conflicts"
    | "root-full"
    | "route-conflict"
    | "message-rejected"
    | "sender-mismatch"
    | "queue-missing"
    | "node-failed"
    | "action-unsent"
    | "roster-changed"
    | "dispatchers-recreated"
    | "tables-reassigned"
    | "changefeed-retired"
    | "barrier-open";
  readonly space: string;
  readonly key?: string;
  readonly node?: string;
  /** How many lives, reports or messages it is about. */
  readonly count?: number;
  /** Milliseconds, where something took time. */
  readonly ms?: number;
  /** Of a barrier that was closed: milliseconds from the DONE of Write. */
  readonly passMs?: number;
  /** The phase of an open barrier. */
  readonly phase?: string;
  readonly detail?: string;
}

export class Observer {
  readonly seen: Observation[] = [];

  note(observation: Observation): void {
    this.seen.push(observation);
  }
}
