/** How far dispatchers are, from their heartbeats: kept coarsely, so that one that is created again starts from there. */
import type { ChunkPosition } from "../../barrier/floor.ts";
import type { DispatcherChunk, Life } from "../../barrier/roster.ts";
import { ask, type Program } from "../base/program.ts";
import type { SpaceInput } from "../intake/input.ts";
import type { Session } from "../session/session.ts";
import { currentStatuses } from "./checkpoints.ts";

/**
 * Notes for each chunk of which every life is named how far the last of them is, at most once in `positionsEvery` (protocol.md M19).
 * It is a lower bound of the lives that stood in the chunk in the roster version that is known here, and stays one.
 */
export function* notePositions(session: Session, inputs: readonly SpaceInput[]): Program<void> {
  const positions: ChunkPosition[] = [];
  for (const { membership } of inputs) {
    if (membership?.kind !== "status" || session.root === undefined) continue;
    const roster = yield* session.roster();
    const reached = new Map<DispatcherChunk, Map<Life, bigint>>();
    for (const { place, checkpointTs } of currentStatuses(roster, membership, session.highestPlausible)) {
      let of = reached.get(place.chunk);
      if (of === undefined) {
        of = new Map();
        reached.set(place.chunk, of);
      }
      of.set(place.life, checkpointTs);
    }
    for (const [chunk, of] of reached) {
      if (of.size < chunk.lives.length || !isDue(session, chunk)) continue;
      const atLeast = chunk.lives.reduce<bigint | undefined>((least, life) => {
        const told = of.get(life)!;
        const at = told > life.since ? told : life.since;
        return least === undefined || at < least ? at : least;
      }, undefined);
      const { start } = membership.sender;
      if (atLeast !== undefined) positions.push({ chunk: chunk.id, version: roster.version, start, atLeast });
    }
  }
  if (positions.length > 0) yield* ask("notePositions", session.space, session.root!.epoch, positions);
}

function isDue(session: Session, chunk: DispatcherChunk): boolean {
  const { positionsAt } = session.memory;
  const noted = positionsAt.get(chunk.id);
  const age = session.now - (noted?.at ?? 0);
  if (noted?.version === chunk.version && age >= 0 && age < session.settings.positionsEvery) return false;
  positionsAt.set(chunk.id, { version: chunk.version, at: session.now });
  return true;
}
