import { type CheckpointLimit, checkpointLimit, type OpenEvent } from "../../barrier/checkpoint.ts";
import { eventFromBytes } from "../../barrier/event.ts";
import { Roster } from "../../barrier/roster.ts";
import { WeirError } from "../../error/weir-error.ts";
import { parseKeyText } from "../../protocol/event-key.ts";
import { ask, type Program } from "../base/program.ts";
import type { Space } from "../base/space.ts";

/** How often a roster that changes while it is read is read again. */
const ATTEMPTS = 5;

/**
 * Answers how far a changefeed's checkpoint may go (protocol.md M13, D10). Reads only.
 * @returns undefined if nobody has registered with this changefeed
 */
export function* readCheckpointLimit(space: Space): Program<CheckpointLimit | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const root = yield* ask("readRoot", space);
    if (root === undefined) return undefined;
    const chunks = root.pointers.length > 0 ? yield* ask("readChunks", space, root.pointers) : [];
    const whole = chunks.filter((chunk) => chunk !== undefined);
    // The root has moved on, and what it pointed to has expired.
    if (whole.length < chunks.length) continue;
    const open: OpenEvent[] = [];
    for (const [key, step] of root.steps) {
      const bytes =
        step.event ??
        (yield* ask("readBarrier", { space, epoch: root.epoch, key }))?.event ??
        new Uint8Array();
      if (step.phase !== "closed")
        open.push({ key: parseKeyText(key), phase: step.phase, event: eventFromBytes(bytes) });
    }
    return checkpointLimit(new Roster(root.rosterVersion, root.meta, whole), open);
  }
  throw new WeirError("contention", `${space.text}: its roster changes too fast to be read, try again`);
}
