/** What the name of a chunk version tells of the attempt that wrote it (decisions/0044). */
import type { ChunkPointer } from "./roster.ts";

/**
 * A name for a chunk version.
 * @param epoch the one of the root that is to point to it
 * @param attempt what no other attempt and no other chunk of it is called
 */
export const chunkName = (epoch: bigint, attempt: string): string => `${epoch}:${attempt}`;

/** The epoch of the root that was to point to it; undefined: named by a version that did not say so. */
export function epochOfChunk(name: string): bigint | undefined {
  const end = name.indexOf(":");
  return end < 0 ? undefined : BigInt(name.slice(0, end));
}

/**
 * Whether the attempt that wrote a chunk version cannot commit any more: each commit makes the next version of its epoch, and a
 * root never goes back. What is over and not pointed to is never pointed to again, however late its writer wakes.
 */
export function attemptIsOver(
  { name, version }: Pick<ChunkPointer, "name" | "version">,
  root: { readonly epoch: bigint; readonly rosterVersion: number },
): boolean {
  const epoch = epochOfChunk(name);
  if (epoch === undefined) return false;
  return epoch < root.epoch || (epoch === root.epoch && version <= root.rosterVersion);
}
