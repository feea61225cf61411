import type { CompleteMark } from "../../barrier/coverage.ts";
import { type BlockEvent, changesRoster, involvesTrigger } from "../../barrier/event.ts";
import type { Place, Roster } from "../../barrier/roster.ts";
import { grantCount, openedStep, type Step } from "../../barrier/step.ts";
import { roomToOpen } from "../base/bounds.ts";
import type { BarrierItem, BarrierName, BarrierResult, RootConditions } from "../base/port.ts";
import { ask, type Program } from "../base/program.ts";
import { completedBy } from "../count/record.ts";
import { digestOf } from "../intake/block-report.ts";
import { commit } from "../session/commit.ts";
import { contend, LOST } from "../session/contention.ts";
import type { Session } from "../session/session.ts";
import { afterGrant, grantOnOpening } from "./judge.ts";

/** An event up to this many bytes is held in the root too, so that who counts a DONE need not read the barrier. */
export const INLINE_EVENT = 256;

/** What a first report brings. */
export interface Opener {
  readonly event: BlockEvent;
  readonly bytes: Uint8Array;
  /** Route changes, of the table trigger's report only (`routeBytes`); empty: none. */
  readonly routes: Uint8Array;
  /** Whether its node is an old one, for which unknown tables hold (protocol.md R8). */
  readonly lateTablesHold: boolean;
  /** The lives that report with it: chunks that they complete are marked in the same write. */
  readonly places: readonly Place[];
  /** Whether Write may be granted in the write that opens it. */
  readonly grants?: true;
}

/** An open barrier. */
export interface Opened {
  readonly step: Step;
  /** How many grants it had before this invocation came to it. */
  readonly grantsBefore: number;
  /** It was opened by this call: who is past it may have said so before. */
  readonly isNew?: true;
}

/**
 * Opens a barrier, or finds it open: the barrier item first, then the root, on conditions that show that it was not closed
 * meanwhile (invariants.md S4, I9; decisions/0024). If it is covered already, Write is granted by the same write.
 * @returns the step; or that it is closed: its tombstone stands in its place, or it is not above the floor; or that the root has no room for it now: then nothing is
 *   said to who reported, and it reports again (docs/bounds.md)
 */
export function* openBarrier(
  session: Session,
  key: string,
  opener: Opener,
): Program<Opened | { closed: true } | { full: true }> {
  return yield* contend(session.where(key), function* () {
    if (!session.fresh) yield* session.refresh();
    const open = session.step(key);
    if (open !== undefined) return { step: open, grantsBefore: grantCount(open) };
    const root = session.root!;
    // Everybody has it behind them: its tombstone may be gone (invariants.md I9).
    if (key <= root.floor) {
      yield* forgetAhead(session, key);
      return { closed: true };
    }
    const roster = yield* session.roster();
    const { item, fence } = yield* standing(session, key, opener);
    if (item.tombstone !== undefined) return { closed: true };

    session.learnItem(key, item);
    // Another report may have come first: what it said stands (protocol.md M3).
    const bytes = item.event;
    const event = session.barrier(key).event!;
    const routes = item.routes.length > 0;
    const changes = changesRoster(event) || routes;
    const opened = openedStep(
      {
        event: bytes.length <= INLINE_EVENT ? bytes : undefined,
        digest: digestOf(bytes),
        changesRoster: changes,
        routes,
        // The table trigger's report comes behind the ACKs of what it created (D3), and says that a table which is unknown
        // then was filtered. Without it the table may only be late (protocol.md R8).
        lateTablesHold: opener.lateTablesHold || !involvesTrigger(event.influence),
        openedOn: roster.version,
      },
      item.openedAt,
    );
    // What is not blocking is written already (protocol.md M11).
    const step = event.blocking ? opened : { ...opened, phase: "written" as const, writtenAt: session.now };
    if (!roomToOpen(root, key, step, longestNode(roster), session.settings.itemBytes)) {
      session.observer.note({ what: "root-full", space: session.space.text, key });
      return { full: true };
    }
    const given =
      opener.grants && event.blocking && !routes
        ? grantOnOpening(session, { key, step, event, roster, preferred: opener.places.at(-1) })
        : undefined;
    const committed = yield* commit(
      session,
      {
        sameEpoch: root.epoch,
        aboveFloor: key,
        ...fence,
        ...(changes && { notOpenYet: key }),
        ...given?.conditions,
      },
      {
        ...(given ? { step: { key, step: given.next } } : { open: { key, step } }),
        ...(changes && { addPending: key }),
      },
    );
    const now = session.step(key);
    if (committed) {
      // Of those who open it at a time, the one that wrote its item says so.
      if (item.openedAt === session.now)
        session.observer.note({ what: "barrier-opened", space: session.space.text, key });
      if (given) afterGrant(session, key, given, event, roster);
      return { step: now!, grantsBefore: given ? 0 : grantCount(now!), isNew: true };
    }
    if (now !== undefined) return { step: now, grantsBefore: grantCount(now) };
    return LOST;
  });
}

function longestNode(roster: Roster): number {
  let longest = 0;
  for (const id of roster.nodes.keys()) longest = Math.max(longest, Buffer.byteLength(id));
  return longest;
}

/**
 * The item of a barrier that the root does not name, written if it was not there, and what shows in the write of the root
 * that it has no tombstone still: its key is above all that were closed, or nothing was closed since a root that was read
 * before the item.
 */
function* standing(
  session: Session,
  key: string,
  opener: Opener,
): Program<{ item: BarrierItem; fence: RootConditions }> {
  const root = session.root!;
  const ahead = session.ahead.get(key);
  session.ahead.delete(key);
  const above = root.closedUpTo !== undefined && root.closedUpTo < key;
  const nothingClosedSince = { nothingClosedSince: root.closedCount };
  const fence = above ? { aboveClosed: key } : nothingClosedSince;
  if (ahead?.touched?.item !== undefined && (above || ahead.closedCount === root.closedCount))
    return { item: ahead.touched.item, fence };
  const { event } = opener;
  const places = yield* session.placesNow(opener.places);
  const complete = event.blocking ? completedBy(places, event, "waiting", undefined) : [];
  const touched = yield* touchOpening(session, session.name(key), opener, complete);
  return { item: touched.item!, fence };
}

/** An item that was written before the root was known, where no barrier can be: nobody else would find it. */
function* forgetAhead(session: Session, key: string): Program<void> {
  const ahead = session.ahead.get(key);
  if (!session.ahead.delete(key) || ahead?.touched?.done !== true) return;
  yield* ask("expireBarriers", session.space, session.root!.epoch, [key]);
}

/**
 * Writes a barrier's item if it is not there, with chunks that are complete for its event. Nothing is written to one that is
 * closed, or about another event.
 */
export function* touchOpening(
  session: Session,
  name: BarrierName,
  { bytes, routes }: Pick<Opener, "bytes" | "routes">,
  complete: readonly CompleteMark[],
): Program<BarrierResult> {
  return yield* ask(
    "touchBarrier",
    name,
    { notClosed: true, sameEvent: bytes },
    {
      create: { event: bytes, openedAt: session.now },
      ...(routes.length > 0 && { routes }),
      ...(complete.length > 0 && { addWaiting: complete }),
    },
  );
}
