import { epochOfChunk } from "../../barrier/chunk-name.ts";
import type { ChunkPointer } from "../../barrier/roster.ts";
import type { BarrierName, Count } from "../../maintainer/base/port.ts";
import type { Space } from "../../maintainer/base/space.ts";
import { pointerText } from "./pointer-text.ts";

/** Names an item of the table. */
export type Key = { readonly pk: string; readonly sk: string };

/** The partition of the registry of spaces. */
export const SPACES = "SPACES";

/** Beside the registry, so that whoever reads that has it: where the next sweep begins. No space is called so. */
export const SWEEP_FROM: Key = { pk: SPACES, sk: "#FROM" };

export const rootKey = (space: Space): Key => ({ pk: space.text, sk: "ROOT" });

export const epochPartition = (space: Space, epoch: bigint) => `${space.text}#${epoch}`;

export const barrierKey = ({ space, epoch, key }: BarrierName): Key => ({
  pk: epochPartition(space, epoch),
  sk: `B#${key}`,
});

export const tallyPartition = ({ space, epoch, key }: BarrierName, count: Count) =>
  `${epochPartition(space, epoch)}#${key}#${count}`;

export const tallyKey = (name: BarrierName, count: Count, chunk: number): Key => ({
  pk: tallyPartition(name, count),
  sk: chunk.toString().padStart(8, "0"),
});

export const positionPartition = (space: Space, epoch: bigint) => `${epochPartition(space, epoch)}#POSITIONS`;

export const positionKey = (space: Space, epoch: bigint, chunk: number, start: bigint): Key => ({
  pk: positionPartition(space, epoch),
  sk: `${chunk.toString().padStart(8, "0")}#${start}`,
});

/** Partitions over which the chunks of a changefeed are spread: reading a large roster is spread over the table. */
export const CHUNK_PARTITIONS = 32;
const chunkPartition = (space: Space, id: number) => `${space.text}#CHUNKS#${id % CHUNK_PARTITIONS}`;
export const chunkPartitions = (space: Space): string[] =>
  Array.from({ length: CHUNK_PARTITIONS }, (_, index) => chunkPartition(space, index));

/** Where a chunk version stands. What was named before names told their epoch has a partition of its own each (decisions/0044). */
export const chunkKey = (space: Space, pointer: ChunkPointer): Key =>
  epochOfChunk(pointer.name) === undefined
    ? formerChunkKey(space, pointer.name)
    : { pk: chunkPartition(space, pointer.id), sk: pointerText(pointer) };

export const formerChunkKey = (space: Space, name: string): Key => ({
  pk: `${space.text}#C#${name}`,
  sk: "CHUNK",
});

export const keptPartition = (space: Space) => `${space.text}#KEPT`;
export const keptKey = (space: Space, id: string): Key => ({ pk: keptPartition(space), sk: id });

export const spaceKey = (space: Space): Key => ({ pk: SPACES, sk: space.text });
