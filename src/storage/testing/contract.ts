import { describe } from "vitest";
import type { DynamoStore, StoreOptions } from "../dynamodb/store.ts";
import { MAX_ITEM_BYTES } from "../dynamodb/too-large.ts";
import { SUPERSEDED_SECONDS } from "../lifetimes.ts";
import { MemoryStore } from "../memory.ts";
import { itemContract } from "./item-contract.ts";
import { rootContract } from "./root-contract.ts";
import { sequenceContract } from "./sequences.ts";
import { weightContract } from "./weights.ts";

export const NOW = 1_700_000_000_000;

/** The store in memory as it is compared with others: it weighs, and knows what expires when. */
export const weighingMemory = () =>
  new MemoryStore({ maxItemBytes: MAX_ITEM_BYTES, now: () => NOW, supersededSeconds: SUPERSEDED_SECONDS });

/**
 * All that any store must do, whatever it is built on; the store in memory is what it is compared with.
 * @param make gives an empty store
 */
export function storeContract(
  name: string,
  make: (options: Pick<StoreOptions, "now">) => Promise<DynamoStore>,
): void {
  const store = () => make({ now: () => NOW });
  describe(`store: ${name}`, () => {
    rootContract(store);
    itemContract(store);
    weightContract(store);
  });
  describe(`the store in memory and ${name}`, () => {
    sequenceContract(async () => weighingMemory(), store);
  });
}
