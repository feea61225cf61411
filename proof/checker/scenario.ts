import type { CaptureEvent } from "../../src/dispatcher/event.ts";
import type { ComponentState } from "../../src/protocol/messages.ts";

/** A dispatcher of a small world. Its life is 1 at first; keys of spans are texts, empty at the ends of the table. */
export interface CastMember {
  readonly name: string;
  readonly node: string;
  /** 0: the table trigger. */
  readonly table: bigint;
  readonly schema?: bigint;
  readonly start?: string;
  readonly end?: string;
  readonly state?: ComponentState;
  /** It starts behind the DDL at this commitTs. Default: 1. */
  readonly checkpoint?: bigint;
  /** It is of redo mode (protocol.md M17). */
  readonly redo?: true;
  /** A queue of its own answers it, not its node's. */
  readonly ownQueue?: true;
}

/** Where a new life starts: where the former one had got to, or where that one had started itself (M17a). */
export type From = "finished" | "start";

/** Something that happens to the dispatchers, once, at any time. `tells`: the former node reports them Removed. */
export type Change =
  | {
      readonly does: "move";
      readonly who: string;
      readonly to: string;
      readonly from: From;
      readonly tells: boolean;
    }
  | {
      readonly does: "restart";
      readonly node: string;
      readonly from: From;
      /** Dispatchers that it does not bring back: the coordinator has to see to them (protocol.md R9b, decision 11). */
      readonly without?: readonly string[];
    }
  /** A node has had no answer yet, and registers what it has again, as it stands now (protocol.md M14, R9a). */
  | { readonly does: "register"; readonly node: string }
  /** The changefeed is opened with a higher epoch, into which each node follows when it does (protocol.md R1, decision 14). */
  | { readonly does: "reopen" }
  | {
      readonly does: "replace";
      /** Dispatchers that end, and those that take their place: a split, a merge. */
      readonly who: readonly string[];
      readonly by: readonly CastMember[];
      readonly from: From;
    }
  | { readonly does: "leave"; readonly who: string };

/** How often what may go wrong does so, at most. All of them together, in every order, in every place. */
export interface Faults {
  /** An invocation dies between two operations or before it can say that it is done; its messages come again. */
  readonly crashes: number;
  /** A status message is delivered while or after another copy of it is. */
  readonly duplicates: number;
  /** The answer of an operation is lost: the program sees an error, and the operation took effect or not. */
  readonly lostAnswers: number;
  /** A message of an action queue is delivered again. */
  readonly repeatedActions: number;
  /** A dispatcher repeats its report. */
  readonly repeats: number;
  readonly sweeps: number;
  /** Of the changes of the roster, how many happen. */
  readonly changes: number;
  /** How often an invocation starts while another one is at work. Infinity: whenever there is a message. */
  readonly overlaps: number;
}

export interface Scenario {
  readonly name: string;
  /** What is in it, for people. */
  readonly about: string;
  readonly cast: readonly CastMember[];
  /** Tables that the opening names, with their schema. */
  readonly tables: readonly { readonly id: bigint; readonly schema: bigint }[];
  /** The stream of the whole changefeed, in order. */
  readonly events: readonly CaptureEvent[];
  readonly changes?: readonly Change[];
  /** Environments in which invocations run, at most so many at a time. A warm one remembers. */
  readonly environments: readonly ("warm" | "cold")[];
  /** An environment remembers, and always from so long ago that it reads the root first. */
  readonly longAgo?: true;
  /** Nodes that send neither `start` nor lives, as TiCDC's do; nothing changes on them. */
  readonly oldNodes?: readonly string[];
  /** Messages of one batch, at most. Default: 1. */
  readonly batch?: number;
  /** The dispatchers register while everything else is under way. Otherwise they have before the start. */
  readonly unregistered?: true;
  /** Copies of the first messages that are still in the queue: of the opening, or of a node's registration. */
  readonly late?: readonly ("opening" | { readonly registration: string })[];
  /** Dispatchers that replicate from some time on: the status that says so is in the queue at first (R2). */
  readonly starting?: readonly string[];
  /** Further messages that are in the queue at first: not to be understood, they must be put aside. */
  readonly malformed?: readonly { readonly type: string; readonly from: string; readonly body: string }[];
  /** Dispatchers that say at first that they have written the first event, which nobody asked of them. */
  readonly stray?: readonly string[];
  /** Writing and passing take time, in which other things happen. */
  readonly slowSinks?: true;
  /** A dispatcher may be told something before it has got to the event. */
  readonly slowStreams?: true;
  /** Messages that one invocation sends; more it hands over in slices (decision 15). */
  readonly sendsAtOnce?: number;
  /** Between reading the root and reading its chunks others may act. */
  readonly slowReads?: true;
  /** The sweeper waits for nobody that was asked for a dispatcher: it asks another node (decision 28). Both may obey. */
  readonly impatient?: true;
  /** Tables from which routes lead in the end, if that is looked at (protocol.md M23). */
  readonly routed?: readonly string[];
  /** Why a barrier may rest until time has passed although nothing went wrong: I7 is then not looked at. */
  readonly rests?: string;
  readonly faults: Faults;
  /** Smaller bounds, for the run inside of the tests. */
  readonly quick: Partial<Faults> | "skip";
  /** States in quick bounds, at least: far fewer would mean that the scenario has lost its sense. */
  readonly least: number;
}

export const NO_FAULTS: Faults = {
  crashes: 0,
  duplicates: 0,
  lostAnswers: 0,
  repeatedActions: 0,
  repeats: 0,
  sweeps: 0,
  changes: 0,
  overlaps: Number.POSITIVE_INFINITY,
};
