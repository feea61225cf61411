import type { ChunkPosition } from "../../barrier/floor.ts";
import { type Item, integer, long, N, text } from "./values.ts";

/** How far a chunk is, as an item without its keys and its TTL. */
export function positionItem({ version, atLeast }: ChunkPosition): Item {
  return { version: N(version), atLeast: N(atLeast) };
}

/** The inverse: chunk and start stand in the sort key. */
export function positionFrom(item: Item): ChunkPosition {
  const [chunk = "", start = "0"] = text(item["sk"]).split("#");
  return {
    chunk: Number(chunk),
    version: integer(item["version"]),
    start: BigInt(start),
    atLeast: long(item["atLeast"]),
  };
}
