import { keyText, parseKeyText } from "../protocol/event-key.ts";
import { spokenFor } from "./coverage.ts";
import { type BlockEvent, involvesTrigger, TRIGGER_TABLE, touches } from "./event.ts";
import type { Life, Roster } from "./roster.ts";

/** How far the lives of a chunk are at least, of those who stood in it in one roster version. */
export interface ChunkPosition {
  readonly chunk: number;
  /** The roster version that the lives were looked up in. */
  readonly version: number;
  /** The node's `start` under which it was said: what a restarted one says does not replace it. */
  readonly start: bigint;
  /** A commitTs: everything up to it is behind each of them, but for the syncpoint at it (protocol.md R10). */
  readonly atLeast: bigint;
}

/** An event whose barrier is closed, and the roster version on which everybody was done with it. */
export interface ClosedEvent {
  readonly event: BlockEvent;
  readonly closedOn: number;
}

/** Below every key: nothing is known to be behind everybody. */
export const NO_FLOOR = "-";

/** The key that comes right before another. */
function before(key: string): string {
  const { commitTs, isSyncPoint } = parseKeyText(key);
  return isSyncPoint
    ? keyText({ commitTs, isSyncPoint: false })
    : keyText({ commitTs: commitTs - 1n, isSyncPoint: true });
}

/** The key up to which who is at a checkpoint has everything behind it (protocol.md R10). */
const reachedAt = (checkpointTs: bigint) => keyText({ commitTs: checkpointTs, isSyncPoint: false });

/** Closed events by what they touch, the highest key first. */
class Closings {
  readonly #all: ClosedEvent[] = [];
  readonly #ofSchema = new Map<bigint, ClosedEvent[]>();
  readonly #ofTable = new Map<bigint, ClosedEvent[]>();

  constructor(closed: readonly ClosedEvent[]) {
    const push = (map: Map<bigint, ClosedEvent[]>, id: bigint, one: ClosedEvent) => {
      const list = map.get(id);
      if (list) list.push(one);
      else map.set(id, [one]);
    };
    const newest = [...closed].sort((a, b) => (keyText(a.event.key) < keyText(b.event.key) ? 1 : -1));
    for (const one of newest) {
      const { influence } = one.event;
      if (influence.type === "All") this.#all.push(one);
      else if (influence.type === "DB") {
        push(this.#ofSchema, influence.schemaId, one);
        push(this.#ofTable, TRIGGER_TABLE, one);
      } else for (const tableId of influence.tableIds) push(this.#ofTable, tableId, one);
    }
  }

  /** The highest key that a life is known to be done with; `NO_FLOOR`: none. */
  reached(life: Life, counts: (event: BlockEvent) => boolean): string {
    let highest = NO_FLOOR;
    for (const list of [this.#all, this.#ofSchema.get(life.schemaId), this.#ofTable.get(life.tableId)]) {
      const found = list?.find(
        ({ event, closedOn }) => touches(event, life) && spokenFor(life, [closedOn], event) && counts(event),
      );
      if (found === undefined) continue;
      const key = keyText(found.event.key);
      if (key > highest) highest = key;
    }
    return highest;
  }
}

/**
 * The key up to which every dispatcher of a changefeed is known to be done with everything: what was written there is
 * written, and nothing new can come. undefined: it cannot be told now, because a table is not covered, the table trigger is gone, or
 * the opening is not whole.
 *
 * A life is as far as its registration said, as far as its chunk is known to be, and past every closed barrier that it took
 * part in.
 * @param open keys of open barriers (`keyText`): the floor stays below them
 */
export function floorOf(
  roster: Roster,
  positions: readonly ChunkPosition[],
  closed: readonly ClosedEvent[],
  open: Iterable<string>,
): string | undefined {
  if (!roster.opened || roster.trigger() === undefined || roster.untiled().size > 0) return undefined;
  let floor: string | undefined;
  const lower = (key: string) => {
    if (floor === undefined || key < floor) floor = key;
  };
  const closings = new Closings(closed);
  const byChunk = Map.groupBy(positions, (one) => one.chunk);
  for (const chunk of roster.dispatchers) {
    const known = byChunk.get(chunk.id) ?? [];
    for (const life of chunk.lives) {
      let reached = reachedAt(life.since);
      for (const { version, atLeast } of known)
        if (life.addedAt <= version && reachedAt(atLeast) > reached) reached = reachedAt(atLeast);
      // An old node's table trigger goes into a barrier of listed tables while an event that adds tables is not acknowledged
      // yet (protocol.md D3): that one is not behind it.
      const isOldTrigger = life.tableId === TRIGGER_TABLE && roster.isOld(life.node);
      const key = closings.reached(
        life,
        ({ influence }) => !isOldTrigger || (influence.type !== "Normal" && involvesTrigger(influence)),
      );
      lower(key > reached ? key : reached);
    }
  }
  for (const key of open) lower(before(key));
  return floor;
}
