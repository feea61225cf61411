import { WeirError } from "../../error/weir-error.ts";

/** Batches at a time: enough to fill a connection pool's share, few enough not to be throttled for it. */
const AT_A_TIME = 8;
/** Attempts in a row that bring nothing. */
const ATTEMPTS = 8;

/** Cuts a list into batches of at most `limit` members whose sizes add up to at most `bytes`. */
export function batches<T>(
  all: readonly T[],
  limit: number,
  bytes = 0,
  sizeOf: (one: T) => number = () => 0,
): T[][] {
  const cut: T[][] = [];
  let size = 0;
  for (const one of all) {
    const more = sizeOf(one);
    const last = cut.at(-1);
    if (last && last.length < limit && size + more <= bytes) last.push(one);
    else {
      cut.push([one]);
      size = 0;
    }
    size += more;
  }
  return cut;
}

/** Does work for all, some at a time. The first that fails ends it. */
export async function inParallel<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < all.length) await work(all[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, all.length) }, worker));
}

/**
 * Asks again and again for what a batch left over: what did not fit into an answer, or was throttled.
 * @param ask gives what is left of its argument
 * @throws after several attempts in a row that brought nothing
 */
export async function untilDone<T>(
  what: string,
  batch: readonly T[],
  ask: (rest: T[]) => Promise<readonly T[]>,
): Promise<void> {
  let rest = [...batch];
  for (let idle = 0; ; ) {
    const left = await ask(rest);
    if (left.length === 0) return;
    idle = left.length < rest.length ? 1 : idle + 1;
    rest = [...left];
    if (idle >= ATTEMPTS)
      throw new WeirError(
        "throttled",
        `DynamoDB did not ${what} ${rest.length} items in ${idle} attempts: it is throttled`,
      );
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 25 * 2 ** idle));
  }
}
