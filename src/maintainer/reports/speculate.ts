/**
 * Reports that are told to their barriers while the root is being read, so that both are one round trip (decisions/0024).
 * What they say is true of the roster that is remembered, and is judged on the one that is read.
 */
import { type CompleteMark, completeMark, requiredLives } from "../../barrier/coverage.ts";
import { ask, type Program, together } from "../base/program.ts";
import { noteDuplicates } from "../count/duplicates.ts";
import { completes, sharesOf } from "../count/record.ts";
import type { Placed } from "../intake/located.ts";
import { type Ahead, EpochChanged, type Session } from "../session/session.ts";
import { touchOpening } from "../steps/open.ts";
import { routesOf } from "../steps/routes.ts";

/** Takes over an answer, in the order of the requests, for only the root tells which barriers are open. @returns its stamp */
type Learn = () => number;

/**
 * Reads the root, and puts what WAITING reports say of blocking events beside it.
 * @param placed the reports, placed on the roster that the session remembers
 */
export function* readRootBeside(session: Session, placed: readonly Placed[]): Program<void> {
  const keys = [...Map.groupBy(placed, (one) => one.report.key)];
  const { epoch } = session.root!;
  const answers = yield* together([
    readRoot(session),
    ...keys.flatMap(([key, of]) => tellAhead(session, key, of)),
  ]);
  let stamp: number;
  try {
    stamp = Math.max(...answers.map((learn) => learn()));
  } catch (error) {
    // Items of an epoch that is over, which may be collected already (decisions/0042).
    if (error instanceof EpochChanged && session.ahead.size > 0)
      yield* ask("expireBarriers", session.space, epoch, [...session.ahead.keys()]);
    throw error;
  }
  // Who changed the roster meanwhile left a stamp: the reports are judged on that roster (invariants.md S5).
  if (session.root !== undefined && stamp > session.root.rosterVersion) yield* session.refresh();
}

function* readRoot(session: Session): Program<Learn> {
  const root = yield* ask("readRoot", session.space);
  return () => {
    session.adopt(root);
    return 0;
  };
}

function tellAhead(session: Session, key: string, placed: readonly Placed[]): Program<Learn>[] {
  const { report } = placed[0]!;
  const step = session.step(key);
  const differ = placed.some((one) => one.report.digest !== (step?.digest ?? report.digest));
  if (differ || (step !== undefined && step.phase !== "waiting")) return [];
  const routes = routesOf(placed);
  const places = placed.flatMap((one) => one.places);
  noteDuplicates(session, key, "waiting", places);
  const ahead: Ahead = { closedCount: session.root!.closedCount, touched: undefined };
  session.ahead.set(key, ahead);
  const name = session.name(key);
  const { marks, tallies } = session.barrier(key).waiting;
  const complete: CompleteMark[] = [];
  const programs: Program<Learn>[] = [];
  for (const { chunk, slots } of sharesOf(places)) {
    const mark = completeMark(chunk);
    if (marks.has(mark)) continue;
    const known = tallies.get(chunk.id);
    if (completes(requiredLives(chunk, report.event!), slots, known)) complete.push(mark);
    // Whoever sees that the table trigger waits must see its routes as well: they come in the same write, or before.
    else if (routes.length === 0) {
      const add = [...slots].filter((slot) => known?.has(slot) !== true);
      if (add.length > 0) programs.push(tellTally(chunk.id, add));
    }
  }
  if (step === undefined || complete.length > 0) programs.push(tellBarrier());
  return programs;

  function* tellTally(chunk: number, add: readonly number[]): Program<Learn> {
    const tally = yield* ask("touchTally", name, "waiting", chunk, { add });
    return () => {
      session.learnTally(key, "waiting", tally);
      return tally.stamp;
    };
  }

  function* tellBarrier(): Program<Learn> {
    const touched = yield* touchOpening(session, name, { bytes: report.bytes, routes }, complete);
    return () => {
      ahead.touched = touched;
      if (touched.done) session.learnItem(key, touched.item);
      return touched.item?.stamp ?? 0;
    };
  }
}
