/**
 * Reports that are told to their barriers while the root is being read, so that both are one round trip (decisions/0024).
 * What they say is true of the roster that is remembered, and is judged on the one that is read.
 */
import { completeMark, requiredLives } from "../barrier/coverage.ts";
import { routesOf } from "./admission.ts";
import { noteDuplicates } from "./duplicates.ts";
import { touchOpening } from "./open.ts";
import type { Placed } from "./placed.ts";
import type { Root, Tally } from "./port.ts";
import { ask, type Program, together } from "./program.ts";
import { sharesOf } from "./record.ts";
import type { Session } from "./session.ts";

/**
 * Reads the root, and puts what WAITING reports say of blocking events beside it.
 * @param placed the reports, placed on the roster that the session remembers
 */
export function* readRootBeside(session: Session, placed: readonly Placed[]): Program<void> {
  const { closedCount } = session.root!;
  const answers: (() => number)[] = [];
  let root: Root | undefined;
  yield* together<unknown>([
    (function* () {
      root = yield* ask("readRoot", session.space);
    })(),
    ...[...Map.groupBy(placed, (one) => one.report.key)].flatMap(([key, of]) =>
      tellAhead(session, key, of, closedCount, (learn) => answers.push(learn)),
    ),
  ]);
  session.adopt(root);
  const stamp = Math.max(0, ...answers.map((learn) => learn()));
  // Who changed the roster meanwhile left a stamp: the reports are judged on that roster (design.md, no lost wake-up).
  if (root !== undefined && stamp > root.rosterVersion) yield* session.refresh();
}

/** @param answered gets, for each answer, what takes it over when the root is known and gives the stamp that it met */
function tellAhead(
  session: Session,
  key: string,
  placed: readonly Placed[],
  closedCount: number,
  answered: (learn: () => number) => void,
): Program<void>[] {
  const { report } = placed[0]!;
  const step = session.step(key);
  const differ = placed.some((one) => one.report.digest !== (step?.digest ?? report.digest));
  if (differ || (step !== undefined && step.phase !== "waiting")) return [];
  const routes = routesOf(placed);
  const places = placed.flatMap((one) => one.places);
  noteDuplicates(session, key, "waiting", places);
  session.toldAhead.add(key);
  const name = session.name(key);
  const event = report.event!;
  const { marks, tallies } = session.barrier(key).waiting;
  const complete: string[] = [];
  const programs: Program<void>[] = [];
  for (const { chunk, slots } of sharesOf(places)) {
    const mark = completeMark(chunk);
    if (marks.has(mark)) continue;
    const required = requiredLives(chunk, event);
    const known = tallies.get(chunk.id);
    const has = (slot: number) => slots.has(slot) || known?.has(slot) === true;
    if (required.length > 0 && required.every((life) => has(life.slot))) complete.push(mark);
    // Whoever sees that the table trigger waits must see its routes as well: they come in the same write, or before.
    else if (routes.length === 0) {
      const add = [...slots].filter((slot) => known?.has(slot) !== true);
      if (add.length > 0) programs.push(tellTally(ask("touchTally", name, "waiting", chunk.id, { add })));
    }
  }
  if (step === undefined || complete.length > 0) programs.push(tellBarrier());
  return programs;

  function* tellTally(touch: Program<Tally>): Program<void> {
    const tally = yield* touch;
    answered(() => {
      session.learnTally(key, "waiting", tally);
      return tally.stamp;
    });
  }

  function* tellBarrier(): Program<void> {
    const touched = yield* touchOpening(session, name, { bytes: report.bytes, routes }, complete);
    answered(() => {
      session.met.set(key, { touched, closedCount });
      if (touched.done) session.learnItem(key, touched.item);
      return touched.item?.stamp ?? 0;
    });
  }
}
