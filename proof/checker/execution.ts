import type { Program, Request } from "../../src/maintainer/base/program.ts";

/** What an operation gave: a result, or an error that is thrown inside of the program. */
export type Outcome = { readonly value: unknown } | { readonly error: Error };

/** Programs that run at the same time for one that waits for them all. */
interface Gathering {
  readonly waiter: Thread;
  readonly results: unknown[];
  left: number;
}

interface Thread {
  readonly program: Program<unknown>;
  readonly gathering: Gathering | undefined;
  /** Its place in the gathering. */
  readonly index: number;
  request: Request | undefined;
}

/**
 * A program that is driven from outside, one operation at a time: `requests` are those that may be performed next.
 * Programs that run together are threads, any of which may go next, as in `run`. What has no effect that anybody could see
 * (`silent`) is answered at once.
 */
export class Execution {
  readonly #threads: Thread[] = [];
  readonly #silent: (request: Request) => Outcome | undefined;
  result: Outcome | undefined;

  constructor(program: Program<unknown>, silent: (request: Request) => Outcome | undefined) {
    this.#silent = silent;
    this.#begin(program, undefined, 0);
  }

  /** Of each thread that waits for the outside, what it wants. Empty: the program has ended. */
  get requests(): Request[] {
    return this.result ? [] : this.#threads.map((thread) => thread.request!);
  }

  /** Gives the outcome of the `choice`-th of the requests. */
  answer(choice: number, outcome: Outcome): void {
    this.#resume(this.#threads.splice(choice, 1)[0]!, outcome);
  }

  #begin(program: Program<unknown>, gathering: Gathering | undefined, index: number): void {
    this.#resume({ program, gathering, index, request: undefined }, { value: undefined });
  }

  #resume(thread: Thread, first: Outcome): void {
    let outcome = first;
    for (;;) {
      let next: IteratorResult<unknown, unknown>;
      try {
        next = "error" in outcome ? thread.program.throw(outcome.error) : thread.program.next(outcome.value);
      } catch (error) {
        this.#ended(thread, { error: error instanceof Error ? error : new Error(String(error)) });
        return;
      }
      if (next.done) {
        this.#ended(thread, { value: next.value });
        return;
      }
      const wanted = next.value as Request | { readonly together: readonly Program<unknown>[] };
      if ("together" in wanted) {
        const programs = wanted.together;
        const gathering = { waiter: thread, results: new Array(programs.length), left: programs.length };
        for (const [index, program] of programs.entries()) this.#begin(program, gathering, index);
        return;
      }
      const known = this.#silent(wanted);
      if (known === undefined) {
        thread.request = wanted;
        this.#threads.push(thread);
        return;
      }
      outcome = known;
    }
  }

  #ended({ gathering, index }: Thread, outcome: Outcome): void {
    if (gathering === undefined) {
      this.result = outcome;
      return;
    }
    // One that fails wakes its waiter at once; the others go on, and nobody waits for them any more.
    if (gathering.left === 0) return;
    if ("error" in outcome) {
      gathering.left = 0;
      this.#resume(gathering.waiter, outcome);
      return;
    }
    gathering.results[index] = outcome.value;
    if (--gathering.left === 0) this.#resume(gathering.waiter, { value: gathering.results });
  }
}
