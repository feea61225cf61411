import { type BlockEvent, changesRoster, involvesTrigger } from "../barrier/event.ts";
import type { Place } from "../barrier/roster.ts";
import { openedStep, type Step } from "../barrier/step.ts";
import { commit } from "./commit.ts";
import { digestOf } from "./intake.ts";
import type { BarrierItem } from "./port.ts";
import { ask, type Program } from "./program.ts";
import { completedBy } from "./record.ts";
import { MAX_ATTEMPTS, type Session } from "./session.ts";

/** An event up to this many bytes is held in the root too, so that who counts a DONE need not read the barrier. */
const INLINE_EVENT = 256;

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
}

/**
 * Opens a barrier, or finds it open: the barrier item first, then the root, on condition that nothing was closed since
 * the root was read. So what was closed meanwhile is not opened again (design.md, order of writes; I9).
 * @returns the step, or the tombstone that stands in its place
 */
export function* openBarrier(
  session: Session,
  key: string,
  opener: Opener,
): Program<{ step: Step } | { closed: BarrierItem }> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    if (!session.fresh) yield* session.refresh();
    const open = session.step(key);
    if (open !== undefined) return { step: open };
    const root = session.root!;
    const roster = yield* session.roster();
    const { event } = opener;
    const places = yield* session.placesNow(opener.places);
    const complete = event.blocking ? completedBy(places, event, "waiting", undefined) : [];
    const touched = yield* ask(
      "touchBarrier",
      session.name(key),
      { notClosed: true },
      {
        create: { event: opener.bytes, openedAt: session.now },
        ...(opener.routes.length > 0 && { routes: opener.routes }),
        ...(complete.length > 0 && { addWaiting: complete }),
      },
    );
    if (!touched.done) return { closed: touched.item! };

    session.learnItem(key, touched.item);
    // Another report may have come first: what it said stands (protocol.md M3).
    const bytes = touched.item.event;
    const standing = session.barrier(key).event!;
    const routes = touched.item.routes.length > 0;
    const changes = changesRoster(standing) || routes;
    const opened = openedStep(
      {
        event: bytes.length <= INLINE_EVENT ? bytes : undefined,
        digest: digestOf(bytes),
        changesRoster: changes,
        routes,
        // The table trigger's report comes behind the ACKs of what it created (D3), and says that a table which is unknown
        // then was filtered. Without it the table may only be late (decisions/0017).
        lateTablesHold: opener.lateTablesHold || !involvesTrigger(standing.influence),
        openedOn: roster.version,
      },
      session.now,
    );
    // What is not blocking is written already (protocol.md M11).
    const step = standing.blocking
      ? opened
      : { ...opened, phase: "written" as const, writtenAt: session.now };
    const committed = yield* commit(
      session,
      {
        sameEpoch: root.epoch,
        nothingClosedSince: root.closedCount,
        ...(changes && { notOpenYet: key }),
      },
      { open: { key, step }, ...(changes && { addPending: key }) },
    );
    if (committed) {
      session.learnItem(key, touched.item);
      // Of two who open it at a time, the first one's step stands.
      if (session.step(key)?.openedAt === step.openedAt)
        session.observer.note({ what: "barrier-opened", space: session.space.text, key });
    }
    const now = session.step(key);
    if (now !== undefined) return { step: now };
    yield* ask("pause", attempt);
  }
  throw new Error(`barrier ${key} of ${session.space.text}: could not be opened in ${MAX_ATTEMPTS} attempts`);
}
