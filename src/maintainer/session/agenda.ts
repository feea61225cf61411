import type { Place } from "../../barrier/roster.ts";
import type { Session } from "./session.ts";

/** What is to be looked at next: what one step of the work finds, another one does. */
export type Task =
  /** Moves a barrier as far as what is recorded allows. `preferred`: the last that reported (protocol.md M6). */
  | { readonly what: "judge"; readonly key: string; readonly preferred?: Place | undefined }
  /** Reads what is stored of a barrier and judges it: of the chunks whose lives changed, or of all. */
  | { readonly what: "rejudge"; readonly key: string; readonly changed: readonly number[] | "all" }
  /** Lives that are past a barrier (protocol.md M15). */
  | { readonly what: "past"; readonly key: string; readonly places: readonly Place[] }
  /** Lives that wait at later barriers are past this one. `later`: those that are left to look at; absent: all. */
  | {
      readonly what: "past-by-later";
      readonly key: string;
      readonly later?: readonly string[];
      readonly read: boolean;
    }
  /** The same of all open barriers. */
  | { readonly what: "all-past-by-later"; readonly read: boolean };

/**
 * The work of a session that is found on the way. A task never runs another one: it adds it, and one loop takes them in turn
 * (`settle`). So no step needs to know who comes after it. What a task adds comes before what was there already.
 */
export class Agenda {
  /** The next one is the last. */
  readonly #due: Task[] = [];
  #added: Task[] = [];

  /** Adds tasks, to be done in this order. */
  add(...tasks: readonly Task[]): void {
    for (const task of tasks) this.#added.push(task);
  }

  /** Takes out the task that is next; undefined: there is none. */
  take(): Task | undefined {
    for (const task of this.#added.reverse()) this.#due.push(task);
    this.#added = [];
    return this.#due.pop();
  }
}

/** All open barriers are to be looked at, because the roster has changed or from scratch: see `rejudge`. */
export function rejudgeAll(session: Session, changed: readonly number[] | "all"): void {
  const keys = [...(session.root?.steps.keys() ?? [])].sort();
  for (const key of keys) session.agenda.add({ what: "rejudge", key, changed });
  // All of them are known then.
  if (changed === "all") session.agenda.add({ what: "all-past-by-later", read: false });
}

/** Who reports a key is past every earlier one (protocol.md M2, M15). */
export function passedBefore(session: Session, key: string, places: readonly Place[]): void {
  const earlier = [...(session.root?.steps.keys() ?? [])].filter((other) => other < key);
  for (const other of earlier.sort()) session.agenda.add({ what: "past", key: other, places });
}
