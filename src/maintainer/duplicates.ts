import { completeMark } from "../barrier/coverage.ts";
import type { Place } from "../barrier/roster.ts";
import type { Count } from "./port.ts";
import type { Session } from "./session.ts";

/**
 * Notes lives whose report is recorded already, as far as this environment remembers: asking the store would cost a read for
 * a number that nothing depends on. To be called before anything of the report is recorded.
 */
export function noteDuplicates(session: Session, key: string, count: Count, places: readonly Place[]): void {
  const known = session.memory.barriers.get(key)?.[count];
  if (known === undefined) return;
  const repeated = places.filter(
    ({ chunk, life }) => known.marks.has(completeMark(chunk)) || known.tallies.get(chunk.id)?.has(life.slot),
  ).length;
  if (repeated > 0)
    session.observer.note({ what: "report-duplicate", space: session.space.text, key, count: repeated });
}
