/** Changefeeds that nobody speaks for retire, and come back when somebody does (protocol.md R15). */

import { ask, type Program } from "../base/program.ts";
import { commit } from "../session/commit.ts";
import type { Session } from "../session/session.ts";

/** How exactly it is known when somebody spoke, in ms: it costs one write of the root in this time. */
export const HEARD_EVERY = 24 * 3600 * 1000;

/** Whether it is retired, or it is a day since that was noted; or a day ahead, by a clock that was wrong. */
function isWanted({ root, now, settings }: Session): boolean {
  if (root === undefined || root.meta.removed) return false;
  return root.retired || (settings.retireAfter > 0 && Math.abs(now - root.heard) >= HEARD_EVERY);
}

/** Notes that somebody speaks for the changefeed, and takes it up again if it was retired. */
export function* hear(session: Session): Program<void> {
  if (!isWanted(session)) return;
  if (!session.fresh) {
    yield* session.refresh();
    if (!isWanted(session)) return;
  }
  const { epoch: sameEpoch, retired } = session.root!;
  // First this, so that nobody retires it from here on; the mark in the root goes last, and so it is done again by whoever comes
  // next if this one is stopped.
  yield* commit(session, { sameEpoch }, { heard: session.now });
  if (!retired && !session.root?.retired) return;
  yield* ask("registerSpace", session.space, session.token());
  yield* commit(session, { sameEpoch }, { retired: false });
}

/**
 * Retires a changefeed that nobody has spoken for in `retireAfter`, whatever is open there: who would wait for that reports it.
 * @param token of its entry as it was read before the root was
 * @returns whether it is retired
 */
export function* retire(session: Session, token: string): Program<boolean> {
  const { root, now, settings } = session;
  if (root === undefined || settings.retireAfter === 0) return false;
  const { heard } = root;
  // Not known, or noted by a clock that was ahead: it is counted from now on.
  if (heard === 0 || heard - now >= HEARD_EVERY) {
    yield* commit(session, { sameEpoch: root.epoch, sameHeard: heard }, { heard: now });
    return false;
  }
  if (now - heard < settings.retireAfter) return false;
  if (!(yield* commit(session, { sameEpoch: root.epoch, sameHeard: heard }, { retired: true }))) return false;
  yield* ask("retireSpace", session.space, token);
  session.observer.note({
    what: "changefeed-retired",
    space: session.space.text,
    detail: `nobody has spoken for it since ${new Date(heard).toISOString()}; ${root.steps.size} barriers are open; it comes back when somebody does`,
    count: 1,
  });
  return true;
}
