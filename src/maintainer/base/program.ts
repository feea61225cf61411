import type { Port } from "./port.ts";

/** One request to the outside, as data. */
export type Request = {
  [M in keyof Port]: { readonly method: M; readonly args: Parameters<Port[M]> };
}[keyof Port];

/** Programs that may run at the same time. */
export interface Together {
  readonly together: readonly Program<unknown>[];
}

/**
 * A piece of the maintainer: it yields what it wants done and is resumed with the result. It has no I/O, clock or
 * randomness of its own, so whoever runs it decides what happens between any two of its steps.
 */
export type Program<T> = Generator<Request | Together, T, unknown>;

type Answer<M extends keyof Port> = Awaited<ReturnType<Port[M]>>;

/** Asks the port for one operation. */
export function* ask<M extends keyof Port>(method: M, ...args: Parameters<Port[M]>): Program<Answer<M>> {
  return (yield { method, args } as Request) as Answer<M>;
}

/** Runs programs at the same time and gives their results in order. */
export function* together<T>(programs: readonly Program<T>[]): Program<T[]> {
  if (programs.length === 0) return [];
  if (programs.length === 1) return [yield* programs[0]!];
  return (yield { together: programs }) as T[];
}

/** Runs a program on a port. An operation that throws throws inside of the program. */
export async function run<T>(program: Program<T>, port: Port): Promise<T> {
  let next = program.next();
  while (!next.done) {
    const wanted = next.value;
    let result: unknown;
    try {
      result =
        "together" in wanted
          ? await Promise.all(wanted.together.map((one) => run(one, port)))
          : await perform(port, wanted);
    } catch (error) {
      next = program.throw(error);
      continue;
    }
    next = program.next(result);
  }
  return next.value;
}

function perform(port: Port, request: Request): Promise<unknown> {
  const operation = port[request.method] as (...args: unknown[]) => Promise<unknown>;
  return operation.apply(port, request.args);
}
