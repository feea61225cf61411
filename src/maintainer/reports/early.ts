import type { Program } from "../base/program.ts";
import { readKept } from "../intake/early-reports.ts";
import type { SpaceInput, StatusMessage } from "../intake/input.ts";
import { putAside } from "../intake/put-aside.ts";
import { handleMembership } from "../roster/change.ts";
import type { Session } from "../session/session.ts";
import { handleReports } from "./reports.ts";

/**
 * Goes through what was kept for lives that were not known. What is still unknown is kept again, by itself; the item it was
 * in is dropped when what follows from the rest is sent (`flush`): its message is gone, so nobody else would bring it
 * again (invariants.md I7).
 */
export function* handleKept(session: Session): Program<void> {
  const kept = yield* readKept(session);
  if (kept.length === 0) return;
  const roster = yield* session.roster();
  const due = kept.filter(({ input }) => namesKnown(input, (id) => roster.find(id) ?? roster.ended(id)));
  if (due.length === 0) return;
  const refused = new Map<StatusMessage, string>();
  const statuses = due.filter(({ input }) => input.membership !== undefined).map(({ input }) => input);
  yield* handleMembership(session, statuses, ({ message }, reason) => refused.set(message, reason));
  yield* handleReports(
    session,
    due.flatMap(({ input }) => input.reports),
    ({ message }, reason) => refused.set(message, reason),
  );
  const settled = due.filter(({ id }) => !session.keptNow.has(id));
  // What is refused is put aside before it is dropped: by now its message is gone (invariants.md I10).
  for (const { input } of settled) {
    const reason = refused.get(input.message);
    if (reason !== undefined)
      yield* putAside(input.message, reason, session.space.text, session.observer, session.settings);
  }
  for (const { id } of settled) session.settledKept.add(id);
}

function namesKnown(input: SpaceInput, known: (id: string) => unknown): boolean {
  const { membership, reports } = input;
  const ids = membership?.kind === "status" ? membership.statuses.map((status) => status.id) : [];
  return [...ids, ...reports.flatMap((report) => report.lives.map((one) => one.id))].some(
    (id) => known(id) !== undefined,
  );
}
