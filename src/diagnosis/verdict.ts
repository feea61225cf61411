/** What is the matter with a changefeed or a barrier, as data: the words are in `words.ts`. Times are milliseconds since 1970. */

/** Dispatchers of one node that have not reported in the phase of a barrier. */
export interface MissingOnNode {
  readonly node: string;
  readonly count: number;
  /** Up to `SHOWN` of them. */
  readonly dispatchers: readonly { readonly dispatcher: string; readonly tableId: string }[];
  /** The queue that they are told through does not exist any more (protocol.md R9b). */
  readonly queueGone: boolean;
  /** What the node last said is wrong at it (decisions/0046). */
  readonly error?: string;
}

/** A part of a table that somebody was asked to create a dispatcher for, or will be. */
export interface AskedFor {
  readonly tableId: string;
  /** The one that was lost; absent: it is the first of its table. */
  readonly dispatcher?: string;
  /** Who was asked last; absent: nobody yet. */
  readonly node?: string;
  /** Since when: since that node was asked, or since the dispatcher was lost. Absent: it is not known. */
  readonly since?: number;
}

/** A table whose dispatchers leave a part of it to nobody (protocol.md R9). */
export interface Hole {
  readonly tableId: string;
  /** Dispatchers of other parts of it. */
  readonly dispatchers: number;
  readonly asked: readonly AskedFor[];
}

/** Who holds the permission to write. */
export interface Writing {
  readonly dispatcher: string;
  readonly node: string;
  readonly tableId: string;
  /** When Write was granted last. */
  readonly since: number;
  readonly queueGone: boolean;
}

/** Whose reports are kept because the lives that they name have not registered (protocol.md R6). */
export interface KeptOf {
  readonly node: string;
  readonly reports: number;
  readonly oldest: number;
  /** The node is in the roster: it registered, but not these dispatchers. */
  readonly registered: boolean;
}

export type Verdict =
  /** No barrier is open. */
  | { readonly kind: "nothing-open" }
  /** The coordinator's own judging says that the next look moves it. */
  | { readonly kind: "about-to-go-on" }
  /** The opening has not come, or not whole (protocol.md R1). */
  | { readonly kind: "not-opened"; readonly parts: number; readonly expected: number }
  /** An earlier event still has to change the roster (protocol.md M9, M10). */
  | { readonly kind: "waits-for-earlier"; readonly earlier: string }
  /** Two source tables would go to one target (protocol.md M23). */
  | { readonly kind: "route-conflict"; readonly reason: string }
  /** The table trigger takes part and has no life (protocol.md M5). */
  | { readonly kind: "trigger-gone"; readonly dispatcher: string; readonly openedBy: string }
  | { readonly kind: "hole"; readonly tables: readonly Hole[]; readonly count: number }
  | {
      readonly kind: "missing-dispatchers";
      readonly nodes: readonly MissingOnNode[];
      readonly count: number;
      readonly expected: number;
    }
  /** The writer's node says that something is wrong. */
  | ({ readonly kind: "writer-error"; readonly error: string; readonly errorAt: number } & Writing)
  /** The writer has not said DONE. Whether it works or is dead is not stored. */
  | ({ readonly kind: "writer-silent" } & Writing)
  /** Nodes were asked for dispatchers and have not registered them (protocol.md M10, R11). */
  | { readonly kind: "not-created"; readonly asked: readonly AskedFor[]; readonly count: number }
  | { readonly kind: "kept-reports"; readonly nodes: readonly KeptOf[] }
  /** None of the above explains it: a fault in Weir. */
  | { readonly kind: "unclear" };

/** Of long lists so many are named. */
export const SHOWN = 20;

export interface BarrierDiagnosis {
  /** `keyText`. */
  readonly key: string;
  readonly commitTs: string;
  readonly isSyncPoint: boolean;
  readonly phase: string;
  /** When its phase began, or Write was granted last. */
  readonly since: number;
  readonly openedAt: number;
  readonly reported: number;
  readonly expected: number;
  /** In phase writing: Write was granted to it, and its life is over. The event may be applied downstream already. */
  readonly formerWriter?: { readonly dispatcher: string; readonly node: string };
  /** The cause to look at first. */
  readonly verdict: Verdict;
  /** What holds it up as well. */
  readonly also: readonly Verdict[];
}

export interface ChangefeedDiagnosis {
  /** `Space.text`. */
  readonly changefeed: string;
  readonly epoch: string;
  readonly dispatchers: number;
  readonly nodes: readonly string[];
  /** Nobody has spoken for it for so long that it is not swept (protocol.md R15). */
  readonly retired: boolean;
  /** The verdict to look at first: of its worst barrier, or of itself. */
  readonly verdict: Verdict;
  /** The barrier that `verdict` is about; absent: it is about the changefeed. */
  readonly worst?: BarrierDiagnosis;
  /** The worst first. */
  readonly barriers: readonly BarrierDiagnosis[];
  /** What is wrong with it whatever is open. */
  readonly findings: readonly Verdict[];
}
