import { attemptIsOver } from "../barrier/chunkname.ts";
import { ask, type Program } from "./program.ts";
import type { Session } from "./session.ts";

/** Minutes from one collection of a changefeed to its next: a prime, so that sweeps at any interval come to all of them. */
export const COLLECT_EVERY = 1_439;
/** Chunk versions that one collection lets expire; the next takes the rest. */
const AT_ONCE = 1_000;

/**
 * Whether a sweep collects for a changefeed. Nobody notes when that was done last: a sweep that is left out leaves it to the
 * next day, one too many finds nothing.
 * @param index of the changefeed in the list of all
 * @param now milliseconds since 1970
 */
export function collectsNow(index: number, now: number): boolean {
  return index % COLLECT_EVERY === Math.floor(now / 60_000) % COLLECT_EVERY;
}

/**
 * Lets chunk versions expire that somebody wrote who ended before the root pointed to them, or before they were let expire
 * (decisions/0044). In which order list and root are read does not matter: what is over stays so.
 */
export function* collectChunks(session: Session): Program<void> {
  const { root } = session;
  if (root === undefined) return;
  const listed = yield* ask("listChunks", session.space);
  const inUse = new Set(root.pointers.map((pointer) => pointer.name));
  const left = listed.filter((one) => !inUse.has(one.name) && attemptIsOver(one, root));
  if (left.length > 0) yield* ask("expireChunks", session.space, left.slice(0, AT_ONCE));
}
