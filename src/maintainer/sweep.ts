import { WeirError } from "../error/weir-error.ts";
import { flush } from "./answers/flush.ts";
import { Observer } from "./base/observe.ts";
import { ask, type Program, together } from "./base/program.ts";
import type { Space } from "./base/space.ts";
import { type Failure, failureOf, goOn, type Invocation, openSession } from "./batch.ts";
import { describeOpen, holdUp } from "./count/describe.ts";
import { countOf } from "./count/standing.ts";
import { tidyRoster } from "./roster/commit.ts";
import { collectFormer } from "./roster/former-epochs.ts";
import { reassignTables, retireNodes } from "./roster/reassign.ts";
import { recreateLost } from "./roster/recreate.ts";
import { EpochChanged, pendingChanges, type Session } from "./session/session.ts";
import { missingTables } from "./steps/schedule.ts";
import { collectChunks } from "./upkeep/collect.ts";
import { raiseFloor } from "./upkeep/floor.ts";
import { retire } from "./upkeep/hearing.ts";

/** Changefeeds looked at side by side. */
const SPACES_AT_A_TIME = 16;

export interface SweepResult {
  readonly observer: Observer;
  /** Changefeeds that are swept; those that are retired are not among them. */
  readonly spaces: number;
  /** Changefeeds that could not be looked at; the next sweep tries again. */
  readonly failed: readonly ({ readonly space: string } & Failure)[];
  /** Changefeeds that there was no time for: the next sweep begins with them. */
  readonly left: number;
}

/**
 * The backstop (invariants.md Q5): looks at every open barrier from scratch, goes on with what an invocation left
 * half done, repeats what is outstanding to those who are missing, and says how old the oldest barrier is. When it has to
 * stop it says where the next one begins, so that each changefeed has its turn however many there are.
 */
export function* sweep(invocation: Invocation): Program<SweepResult> {
  const observer = new Observer();
  const failed: ({ space: string } & Failure)[] = [];
  const { entries, from } = yield* ask("readRegistry");
  const living = entries.filter((entry) => !entry.retired);
  const first = Math.max(
    0,
    living.findIndex(({ space }) => space.text >= from),
  );
  const turns = [...living.slice(first), ...living.slice(0, first)];
  let next = 0;
  let left = 0;
  /** Takes one after the other: one that takes long keeps nobody but itself. */
  function* worker(): Program<void> {
    while (next < turns.length) {
      if (invocation.stop?.aborted) {
        if (left > 0) return;
        left = turns.length - next;
        const { text } = turns[next]!.space;
        // At once: what the others are at may outlast the function.
        try {
          yield* ask("nextSweepFrom", text);
        } catch (error) {
          failed.push({ space: text, ...failureOf(error) });
        }
        return;
      }
      const { space, token } = turns[next++]!;
      yield* sweepSpace(space, token, invocation, observer, failed);
    }
  }
  yield* together(Array.from({ length: Math.min(SPACES_AT_A_TIME, turns.length) }, worker));
  return { observer, spaces: living.length, failed, left };
}

function* sweepSpace(
  space: Space,
  token: string,
  invocation: Invocation,
  observer: Observer,
  failed: ({ space: string } & Failure)[],
): Program<void> {
  const session = openSession(space, invocation, observer, 1);
  try {
    yield* session.refresh();
    if (session.root !== undefined && !(yield* retire(session, token))) yield* lookAt(session);
  } catch (error) {
    if (!(error instanceof EpochChanged)) failed.push({ space: space.text, ...failureOf(error) });
  }
  try {
    yield* flush(session);
  } catch (error) {
    failed.push({ space: space.text, ...failureOf(error) });
  }
}

/** @throws Error if there is no time for all of it: what is left out is done by the next sweep */
function* lookAt(session: Session): Program<void> {
  yield* session.roster();
  for (const step of [
    goOnUnforced,
    raiseFloor,
    tidyRoster,
    askForDispatchers,
    collectFormer,
    collectChunks,
    describe,
  ]) {
    yield* step(session);
    if (session.stopped) throw new WeirError("no-time", "there was no time to look at all of it");
  }
}

const goOnUnforced = (session: Session) => goOn(session, false);

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
    if (session.stopped) return;
    const tallies = yield* ask("readTallies", session.name(key), countOf(step));
    const roster = yield* session.roster();
    const pending = session.root === undefined ? [] : pendingChanges(session.root);
    const view = describeOpen({ key, step, item, tallies }, roster, pending, session.now);
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
