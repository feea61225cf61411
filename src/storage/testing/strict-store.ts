import { isDeepStrictEqual } from "node:util";
import type { Chunk, ChunkPointer } from "../../barrier/roster.ts";
import type {
  BarrierChanges,
  BarrierConditions,
  BarrierName,
  BarrierResult,
  Kept,
  RootChanges,
  RootConditions,
  RootResult,
} from "../../maintainer/base/port.ts";
import type { Space } from "../../maintainer/base/space.ts";
import { decodeChunk, encodeChunk } from "../chunk-codec.ts";
import { barrierUpdate } from "../dynamodb/barrier-item.ts";
import { rootUpdate } from "../dynamodb/root-item.ts";
import { MAX_ITEM_BYTES } from "../dynamodb/too-large.ts";
import { MemoryStore } from "../memory.ts";

/** Bytes of a key of DynamoDB, with room for what the adapter puts around the name of a space. */
const KEY_BYTES = 1_800;

/**
 * The store in memory, as strict as the table: what is written must be what the adapter can write, read back as it was,
 * and no larger than an item may be.
 */
export class StrictStore extends MemoryStore {
  constructor() {
    super({ maxItemBytes: MAX_ITEM_BYTES });
  }

  override async commitRoot(
    space: Space,
    conditions: RootConditions,
    changes: RootChanges,
  ): Promise<RootResult> {
    checkKey(space.text);
    rootUpdate(conditions, changes, "token").expressions();
    return super.commitRoot(space, conditions, changes);
  }

  override async putChunks(
    space: Space,
    chunks: readonly { pointer: ChunkPointer; chunk: Chunk }[],
  ): Promise<void> {
    for (const { chunk } of chunks) {
      const bytes = encodeChunk(chunk);
      if (!isDeepStrictEqual(encodeChunk(decodeChunk(bytes)), bytes))
        throw new Error("a roster chunk does not come back as it was");
    }
    await super.putChunks(space, chunks);
  }

  override async touchBarrier(
    name: BarrierName,
    conditions: BarrierConditions,
    changes: BarrierChanges,
  ): Promise<BarrierResult> {
    checkKey(name.space.text);
    barrierUpdate(conditions, changes).expressions();
    return super.touchBarrier(name, conditions, changes);
  }

  override async keep(space: Space, kept: Kept): Promise<void> {
    checkKey(space.text);
    await super.keep(space, kept);
  }
}

function checkKey(text: string): void {
  if (Buffer.byteLength(text) > KEY_BYTES) throw new Error(`key of ${Buffer.byteLength(text)} bytes`);
}
