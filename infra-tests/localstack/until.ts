/** Long enough for a LocalStack that starts a container for each function. */
const DEFAULT_MS = 90_000;
const BETWEEN_MS = 250;

/**
 * Asks again and again until there is an answer.
 * @throws that `what` did not come, with the last error if there was one
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = DEFAULT_MS,
): Promise<T> {
  const end = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw tooLong(what, withinMs, last);
    await pause(BETWEEN_MS);
  }
}

/** Waits for work that is under way. @throws that `what` did not come */
export async function within<T>(what: string, work: Promise<T>, withinMs = DEFAULT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooLong(what, withinMs)), withinMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function tooLong(what: string, ms: number, cause?: unknown): Error {
  const message = `waited ${ms / 1000} s in vain for ${what}`;
  return cause === undefined ? new Error(message) : new Error(`${message}: ${cause}`, { cause });
}
