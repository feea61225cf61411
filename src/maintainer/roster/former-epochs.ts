/** What an epoch leaves behind that is over (decisions/0042): items of its barriers, which have no time to live by themselves. */
import { WeirError } from "../../error/weir-error.ts";
import { type FormerEpoch, NOTHING_CLOSED, type Root, type RootConditions } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { commit } from "../session/commit.ts";
import type { Session } from "../session/session.ts";

/** Epochs that a root remembers until their items expire. */
export const MAX_FORMER = 100;
/** Items that one sweep lets expire. */
export const COLLECTED_AT_ONCE = 500;
/** An epoch is left alone for so long, in ms: an invocation that began in it may still write an item. */
export const LEFT_ALONE = 10 * 60_000;

/**
 * An epoch begins after the one that was read, or as the first: none is passed over, so that all are collected. And after the
 * roster that was read, so that whoever was bound in it is bound (decisions/0046).
 */
export function nextAfter(root: Root | undefined, epoch: bigint): RootConditions {
  // Below 1 there is none.
  return root === undefined
    ? { epochIsNew: 1n }
    : { epochIsNew: epoch, sameEpoch: root.epoch, sameRoster: root.rosterVersion };
}

/**
 * What a root of the next epoch remembers of the ones before.
 * @throws Error if that is too much; the message comes back when the sweep has collected one
 */
export function formerEpochs(session: Session, root: Root | undefined): readonly FormerEpoch[] {
  if (root === undefined) return [];
  if (root.former.length >= MAX_FORMER)
    throw new WeirError(
      "epochs-full",
      `${session.space.text}: ${MAX_FORMER} earlier epochs are still to be collected, the next begins after that`,
    );
  return [...root.former, { epoch: root.epoch, endedAt: session.now, upTo: NOTHING_CLOSED }];
}

/** Above every key. */
const ABOVE_ALL = "~";

/** Lets items of former epochs expire, a bounded number of them: the next sweep goes on where this one stopped. */
export function* collectFormer(session: Session): Program<void> {
  const { root, now } = session;
  if (root === undefined) return;
  const left: FormerEpoch[] = [];
  let room = COLLECTED_AT_ONCE;
  for (const one of root.former) {
    const age = now - one.endedAt;
    // Of a clock that was ahead it is not known how long ago that was.
    const recent = age >= 0 && age < LEFT_ALONE;
    if (room === 0 || recent) {
      left.push(one);
      continue;
    }
    const range = { above: one.upTo, upTo: ABOVE_ALL, oldestFirst: true as const };
    const items = yield* ask("readHistory", session.space, one.epoch, room, range);
    const keys = items.map(({ key }) => key);
    if (keys.length > 0) yield* ask("expireBarriers", session.space, one.epoch, keys);
    if (keys.length === room) left.push({ ...one, upTo: keys.at(-1)! });
    room -= keys.length;
  }
  if (left.length === root.former.length && left.every((one, index) => one === root.former[index])) return;
  // Each that is there was there when the epoch began, which is the same still: nobody has added one.
  yield* commit(session, { sameEpoch: root.epoch }, { former: left });
}
