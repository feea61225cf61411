import { WeirError } from "../../error/weir-error.ts";
import { ask, type Program } from "../base/program.ts";

/** How often a write that loses a race is tried again before its messages go back to the queue. */
export const MAX_ATTEMPTS = 12;

/** An attempt lost a race: what it was judged on is not the present state. */
export const LOST = Symbol("lost");

/**
 * Tries until an attempt is not lost, with a longer pause after each. Who gives up says so: its messages come back.
 * @param where what is contended, for the message of the error
 * @throws WeirError `contention` after MAX_ATTEMPTS
 */
export function* contend<T>(
  where: () => string,
  attempt: (number: number) => Program<T | typeof LOST>,
): Program<T> {
  for (let number = 1; number <= MAX_ATTEMPTS; number++) {
    const result = yield* attempt(number);
    if (result !== LOST) return result;
    if (number < MAX_ATTEMPTS) yield* ask("pause", number);
  }
  throw new WeirError("contention", `${where()}: lost ${MAX_ATTEMPTS} races in a row`);
}
