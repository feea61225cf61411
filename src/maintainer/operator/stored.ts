import { Roster } from "../../barrier/roster.ts";
import { WeirError } from "../../error/weir-error.ts";
import type { Root } from "../base/port.ts";
import { ask, type Program, together } from "../base/program.ts";
import type { Space } from "../base/space.ts";
import { countOf, type StoredBarrier, type StoredChangefeed } from "../count/standing.ts";
import { pendingChanges } from "../session/session.ts";

/** How often a roster that changes while it is read is read again. */
const ATTEMPTS = 5;

/** Reads what is stored of a changefeed. Changes nothing. @returns undefined if nobody has registered with it */
export function* readStored(space: Space): Program<StoredChangefeed | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const root = yield* ask("readRoot", space);
    if (root === undefined) return undefined;
    const chunks = root.pointers.length > 0 ? yield* ask("readChunks", space, root.pointers) : [];
    const whole = chunks.filter((chunk) => chunk !== undefined);
    // The root has moved on, and what it pointed to has expired.
    if (whole.length < chunks.length) continue;
    const roster = new Roster(root.rosterVersion, root.meta, whole);
    const kept = yield* ask("readKept", space);
    const keys = [...root.steps.keys()].sort();
    const barriers = yield* together(keys.map((key) => readBarrier(space, root, key)));
    return {
      space,
      root,
      roster,
      pending: pendingChanges(root),
      barriers: barriers.filter((one) => one !== undefined),
      kept,
    };
  }
  throw new WeirError("contention", `${space.text}: its roster changes too fast to be read, try again`);
}

function* readBarrier(space: Space, root: Root, key: string): Program<StoredBarrier | undefined> {
  const name = { space, epoch: root.epoch, key };
  const step = root.steps.get(key)!;
  const item = yield* ask("readBarrier", name);
  if (item === undefined) return undefined;
  return { key, step, item, tallies: yield* ask("readTallies", name, countOf(step)) };
}
