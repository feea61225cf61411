import { completeMark } from "../../barrier/coverage.ts";
import type { Place } from "../../barrier/roster.ts";
import type { Count } from "../base/port.ts";
import type { Session } from "../session/session.ts";

/**
 * Notes lives whose report is recorded already, as far as this environment remembers: asking the store would cost a read for
 * a number that nothing depends on. To be called before anything of the report is recorded.
 */
export function noteDuplicates(session: Session, key: string, count: Count, places: readonly Place[]): void {
  const known = session.memory.barriers.get(key)?.[count];
  if (known === undefined) return;
  if (known.marks.size === 0 && known.tallies.size === 0) return;
  let repeated = 0;
  let looked:
    | { readonly of: Place["chunk"]; readonly complete: boolean; readonly tally: Set<number> | undefined }
    | undefined;
  for (const { chunk, life } of places) {
    if (looked?.of !== chunk)
      looked = {
        of: chunk,
        complete: known.marks.has(completeMark(chunk)),
        tally: known.tallies.get(chunk.id),
      };
    if (looked.complete || looked.tally?.has(life.slot)) repeated++;
  }
  if (repeated > 0)
    session.observer.note({ what: "report-duplicate", space: session.space.text, key, count: repeated });
}
