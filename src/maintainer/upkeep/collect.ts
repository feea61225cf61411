import { attemptIsOver } from "../../barrier/chunk-name.ts";
import { ask, type Program } from "../base/program.ts";
import type { Session } from "../session/session.ts";

/** Chunk versions that one collection lets expire; the next takes the rest. */
const AT_ONCE = 1_000;

/**
 * Whether a changefeed has its turn in this minute. Nobody notes when it had it last: a sweep that is left out leaves it to the
 * next turn, one too many finds nothing.
 * @param now milliseconds since 1970
 * @param every minutes from one turn to the next
 */
export function hasTurn(space: string, now: number, every: number): boolean {
  let hash = 0;
  for (const byte of Buffer.from(space)) hash = (hash * 31 + byte) % 1_000_003;
  return hash % every === Math.floor(now / 60_000) % every;
}

/**
 * Lets chunk versions expire that somebody wrote who ended before the root pointed to them, or who replaced them and ended before
 * that (decisions/0044). In which order list and root are read does not matter: an attempt that is over stays so.
 */
export function* collectChunks(session: Session): Program<void> {
  const { root, space, settings } = session;
  if (root === undefined || !hasTurn(space.text, session.now, settings.collectEvery)) return;
  const listed = yield* ask("listChunks", space);
  const inUse = new Set(root.pointers.map((pointer) => pointer.name));
  const left = listed.filter((one) => !inUse.has(one.name) && attemptIsOver(one, root));
  if (left.length > 0) yield* ask("expireChunks", space, left.slice(0, AT_ONCE));
}
