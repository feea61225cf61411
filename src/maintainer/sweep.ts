import { goOn, type Invocation, openSession } from "./batch.ts";
import { describeOpen, holdUp } from "./describe.ts";
import { raiseFloor } from "./floor.ts";
import { flush } from "./flush.ts";
import { Observer } from "./observe.ts";
import { ask, type Program, together } from "./program.ts";
import { recreateLost } from "./recreate.ts";
import { tidyRoster } from "./rosterchange.ts";
import { missingTables, reassignTables, retireNodes } from "./schedule.ts";
import { EpochChanged, pendingChanges, type Session } from "./session.ts";
import type { Space } from "./space.ts";

/** Changefeeds looked at side by side. */
const SPACES_AT_A_TIME = 16;

export interface SweepResult {
  readonly observer: Observer;
  readonly spaces: number;
  /** Changefeeds that could not be looked at; the next sweep tries again. */
  readonly failed: readonly { readonly space: string; readonly reason: string }[];
}

/**
 * The backstop (design.md, section 6): looks at every open barrier from scratch, goes on with what an invocation left
 * half done, repeats what is outstanding to those who are missing, and says how old the oldest barrier is.
 */
export function* sweep(invocation: Invocation): Program<SweepResult> {
  const observer = new Observer();
  const failed: { space: string; reason: string }[] = [];
  const spaces = yield* ask("listSpaces");
  for (let from = 0; from < spaces.length; from += SPACES_AT_A_TIME)
    yield* together(
      spaces
        .slice(from, from + SPACES_AT_A_TIME)
        .map((space) => sweepSpace(space, invocation, observer, failed)),
    );
  return { observer, spaces: spaces.length, failed };
}

function* sweepSpace(
  space: Space,
  invocation: Invocation,
  observer: Observer,
  failed: { space: string; reason: string }[],
): Program<void> {
  const session = openSession(space, invocation, observer, 1);
  try {
    yield* session.refresh();
    if (session.root !== undefined) {
      yield* session.roster();
      yield* goOn(session, false);
      yield* raiseFloor(session);
      yield* tidyRoster(session);
      yield* askForDispatchers(session);
      yield* describe(session);
    }
  } catch (error) {
    if (!(error instanceof EpochChanged))
      failed.push({ space: space.text, reason: error instanceof Error ? error.message : String(error) });
  }
  try {
    yield* flush(session);
  } catch (error) {
    failed.push({ space: space.text, reason: error instanceof Error ? error.message : String(error) });
  }
}

/** Rounds in which others are asked because the queues of those who were asked are gone. */
const ROUNDS = 4;

/** Asks for all dispatchers that are missing. What cannot be delivered goes to another node at once. */
function* askForDispatchers(session: Session): Program<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    yield* recreateLost(session, session.settings.recreateAfter);
    yield* reassignTables(session);
    yield* missingTables(session);
    if (session.outbox.empty) return;
    yield* flush(session);
    if (!(yield* retireNodes(session))) return;
  }
}

function* describe(session: Session): Program<void> {
  for (const [key, step] of session.root?.steps ?? []) {
    const item = yield* ask("readBarrier", session.name(key));
    if (item === undefined) continue;
    const tallies = yield* ask(
      "readTallies",
      session.name(key),
      step.phase === "passing" ? "passed" : "waiting",
    );
    const roster = yield* session.roster();
    const pending = session.root === undefined ? [] : pendingChanges(session.root);
    const view = describeOpen(key, step, item, tallies, roster, pending, session.now);
    session.observer.note({
      what: "barrier-open",
      space: session.space.text,
      key,
      phase: view.phase,
      node: [...new Set(view.missing.map((one) => one.node))].join(", "),
      detail: holdUp(view),
      count: view.missingCount,
      ms: view.ageMs,
    });
  }
}
