import type { Hasher } from "./hash-set.ts";
import type { Faults } from "./scenario.ts";
import type { StoreIds } from "./store-parts.ts";

/** A state of a small world, as numbers of values that were met. Lists that mean a set are sorted: their order says nothing. */
export interface State {
  readonly store: StoreIds;
  /** The status queue: number of the content times two, plus one if it was delivered before. */
  readonly queue: readonly number[];
  /** The action queues: what is told to whom. */
  readonly actions: readonly number[];
  /** Invocations at work: number of the flight times two, plus one in a warm environment. */
  readonly flights: readonly number[];
  /** What the idle warm environments remember. */
  readonly idle: readonly number[];
  /** The last life of each dispatcher. */
  readonly actors: readonly number[];
  /** The `start` of each node. */
  readonly nodes: readonly number[];
  /** The epoch that each node follows. */
  readonly epochs: readonly number[];
  readonly ghost: number;
  /** Changes of the roster that have happened, as bits. */
  readonly changed: number;
  /** 1: a sweep came to nothing, which nobody brings again but time; until then a barrier may rest. */
  readonly excused: number;
  readonly left: Faults;
}

const FAULTS = [
  "crashes",
  "duplicates",
  "lostAnswers",
  "repeatedActions",
  "repeats",
  "sweeps",
  "changes",
  "overlaps",
] as const satisfies readonly (keyof Faults)[];

function list(hasher: Hasher, mark: number, values: readonly number[]): void {
  hasher.add(mark);
  for (const value of values) hasher.add(value);
}

/**
 * The hash of a state.
 * @param faults whether what may still go wrong is part of it
 */
export function hashState(hasher: Hasher, state: State, faults: boolean): void {
  hasher.start();
  const { store } = state;
  for (let part = 0; part < store.length; part++)
    if (store[part] !== 0) {
      hasher.add(part);
      hasher.add(store[part]!);
    }
  list(hasher, -1, state.queue);
  list(hasher, -2, state.actions);
  list(hasher, -3, state.flights);
  list(hasher, -4, state.idle);
  list(hasher, -5, state.actors);
  list(hasher, -6, state.nodes);
  list(hasher, -7, state.epochs);
  hasher.add(state.ghost);
  if (faults) {
    hasher.add(state.changed);
    hasher.add(state.excused);
    for (const fault of FAULTS) hasher.add(state.left[fault]);
  }
  hasher.finish();
}

/** A sorted list with one more. */
export function added(values: readonly number[], value: number): readonly number[] {
  let at = values.length;
  while (at > 0 && values[at - 1]! > value) at--;
  return [...values.slice(0, at), value, ...values.slice(at)];
}

/** A list with one less. */
export function without(values: readonly number[], value: number): readonly number[] {
  const at = values.indexOf(value);
  return at < 0 ? values : [...values.slice(0, at), ...values.slice(at + 1)];
}

export function spend(left: Faults, fault: keyof Faults): Faults {
  return { ...left, [fault]: left[fault] - 1 };
}
