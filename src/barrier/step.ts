import type { DispatcherKey } from "./dispatcher-id.ts";

/**
 * Where a barrier stands:
 *
 *     waiting --coverage, grant--> writing --DONE of Write--> passing --all done--> closed
 *        |                            |                          ^
 *        |                            +--not its turn--> written-+   (an earlier event still changes the roster, M10)
 *        +-----------somebody is past it (M15)-------------------+
 *
 * A step to the next phase is one conditional write of the root, so it has one winner.
 */
export type Phase = "waiting" | "writing" | "written" | "passing" | "closed";

/** A permission to write, given to one life (protocol.md M6a). `chunk` and `slot` are where that life stood. */
export interface Grant {
  readonly id: DispatcherKey;
  readonly life: bigint;
  readonly chunk: number;
  readonly slot: number;
  /** The node that hosted it: after the life has ended too, only that one may say that it wrote (protocol.md R7). */
  readonly node: string;
  /**
   * It was registered as executing an action of an earlier coordinator, Write or Pass: either way its DONE says that
   * the event is written (protocol.md M14).
   */
  readonly registered?: true;
}

/** What the root holds of an open barrier. It changes only together with `phase` or the number of grants. */
export interface Step {
  readonly phase: Phase;
  /** `eventBytes`, if short; otherwise it is in the barrier's own item only. */
  readonly event: Uint8Array | undefined;
  /** Digest of `eventBytes`: what reports of the same key are compared by (protocol.md M3). */
  readonly digest: string;
  /** Whether the event changes the roster or the routes (protocol.md M10). */
  readonly changesRoster: boolean;
  /** Whether it brings route changes; they are in the barrier's own item (protocol.md M23). */
  readonly routes: boolean;
  /** Why its route changes cannot be applied: it stands still until the routing is mended, and holds up nobody else. */
  readonly conflict?: string;
  /** Whether a listed table that nobody knows holds the barrier (protocol.md R8). */
  readonly lateTablesHold: boolean;
  /** The roster version when the barrier was opened. */
  readonly openedOn: number;
  /** Milliseconds since 1970 at which the barrier was opened, granted, written, and its phase began. */
  readonly openedAt: number;
  readonly grantedAt: number;
  readonly writtenAt: number;
  readonly phaseAt: number;
  /** Who was granted Write, of many the latest (`MAX_GRANTS`); the last one is the writer (invariants.md I2). */
  readonly grants: readonly Grant[];
  /** How many grants are not among them any more. */
  readonly forgotten?: number;
  /** The roster version on which the last grant was judged, and how many lives the event touched there. */
  readonly grantedOn: number;
  readonly grantedLives: number;
  /** The roster version on which everybody was done; absent while it is open. */
  readonly closedOn?: number;
  /** Which of the grants wrote; -1 while none did, or if it was written before Weir saw it (protocol.md M15). */
  readonly wroteBy: number;
}

export function openedStep(
  from: Pick<Step, "event" | "digest" | "changesRoster" | "routes" | "lateTablesHold" | "openedOn">,
  now: number,
): Step {
  return {
    ...from,
    phase: "waiting",
    openedAt: now,
    grantedAt: 0,
    writtenAt: 0,
    phaseAt: now,
    grants: [],
    grantedOn: 0,
    grantedLives: 0,
    wroteBy: -1,
  };
}

/** Grants that a barrier remembers: the DONE of each counts, however late (protocol.md M8). */
export const MAX_GRANTS = 32;

/** How often Write was granted. */
export function grantCount({ grants, forgotten = 0 }: Pick<Step, "grants" | "forgotten">): number {
  return grants.length + forgotten;
}

/**
 * Grants Write (protocol.md M6a), first or again.
 * @param most grants to remember, at least one. A forgotten one's DONE is stale, as if it had been lost with its writer
 */
export function grantedStep(
  step: Step,
  grant: Grant,
  grantedOn: number,
  lives: number,
  now: number,
  most = MAX_GRANTS,
): Step {
  const grants = [...step.grants, grant];
  while (grants.length > most) grants.splice(leastNeeded(grants), 1);
  const forgotten = grantCount(step) + 1 - grants.length;
  return {
    ...step,
    phase: "writing",
    grants,
    ...(forgotten > 0 && { forgotten }),
    grantedOn,
    grantedLives: lives,
    grantedAt: step.grantedAt || now,
    phaseAt: now,
  };
}

/** A grant whose life has a later one, or else the oldest. */
function leastNeeded(grants: readonly Grant[]): number {
  const again = grants.findIndex(
    (one, index) =>
      !one.registered &&
      grants.some((later, at) => at > index && later.id === one.id && later.life === one.life),
  );
  return Math.max(0, again);
}

/** The DONE of Write is here (protocol.md M8); `wroteBy` -1: somebody is past the event (protocol.md M15). */
export function writtenStep(step: Step, phase: "written" | "passing", wroteBy: number, now: number): Step {
  return { ...step, phase, wroteBy, writtenAt: step.writtenAt || now, phaseAt: now };
}

/** A written barrier whose turn has come. */
export function passingStep(step: Step, now: number): Step {
  return { ...step, phase: "passing", phaseAt: now };
}

/** @param closedOn the roster version on which everybody was done with it */
export function closedStep(step: Step, now: number, closedOn: number): Step {
  return { ...step, phase: "closed", phaseAt: now, closedOn };
}

/** The life that holds the last grant. */
export function writerOf(step: Step): Grant | undefined {
  return step.wroteBy >= 0 ? step.grants[step.wroteBy] : step.grants.at(-1);
}

/**
 * Whether a DONE of the life that holds or held a grant says that the event is written (protocol.md M8, M14). An old node
 * does not say what it did: the barrier's writer wrote (section 1).
 */
export function saysWritten(step: Step, grant: number, done: "write" | "pass" | "unspecified"): boolean {
  if (done !== "pass") return true;
  return step.grants[grant]?.registered === true && (step.phase === "waiting" || step.phase === "writing");
}

/** Which grant a life holds or held; -1: never any (protocol.md M8). */
export function grantIndex(step: Step, id: DispatcherKey, life: bigint): number {
  return step.grants.findIndex((grant) => grant.id === id && grant.life === life);
}
