/** What a roster remembers of what it has forgotten: three numbers, below which nothing is new (protocol.md R12). */

export interface Forgotten {
  /** Who knows nothing of a dispatcher takes no life up to this one from a new node: it may be one that was over. */
  readonly lives: bigint;
  /** The same for old nodes, whose lives are the times at which they sent (protocol.md R6), in ms since 1970. */
  readonly sentAt: number;
  /** No unknown node is taken under a `start` up to this one: it may be one that was forgotten. */
  readonly starts: bigint;
}

export const NOTHING_FORGOTTEN: Forgotten = { lives: 0n, sentAt: 0, starts: 0n };

/** Numbers farther ahead of now are no times: one of them would keep everybody out. */
const AHEAD = 24 * 3600 * 1000;

/** Whether a number can be a time, so that those who come later have higher ones. */
export function mayBeForgotten(number: bigint, now: number): boolean {
  return number <= BigInt(now + AHEAD);
}

/**
 * What there is to remember when an ended life, or a node, is forgotten as well. A life that is no time is remembered no longer.
 */
export function forgetting(
  known: Forgotten | undefined,
  one: { readonly life: bigint; readonly endedAt: number } | { readonly start: bigint },
  now: number,
): Forgotten | undefined {
  const before = known ?? NOTHING_FORGOTTEN;
  if ("start" in one) {
    if (one.start <= before.starts || !mayBeForgotten(one.start, now)) return known;
    return { ...before, starts: one.start };
  }
  const lives = mayBeForgotten(one.life, now) && one.life > before.lives ? one.life : before.lives;
  const sentAt = Math.max(before.sentAt, one.endedAt);
  return lives === before.lives && sentAt === before.sentAt ? known : { ...before, lives, sentAt };
}

/** Whether a node has been away for so long that its id is anybody's again. A clock that was far ahead is not waited for. */
export function isUnseenFor(since: number, now: number, rememberFor: number): boolean {
  return Math.abs(now - since) >= rememberFor;
}
