import { describe } from "vitest";
import { MemoryStore, type Store } from "../memory.ts";
import { itemContract } from "./itemcontract.ts";
import { rootContract } from "./rootcontract.ts";
import { sequenceContract } from "./sequences.ts";

/**
 * All that any store must do, whatever it is built on; the store in memory is what it is compared with.
 * @param make gives an empty store
 */
export function storeContract(name: string, make: () => Promise<Store>): void {
  describe(`store: ${name}`, () => {
    rootContract(make);
    itemContract(make);
  });
  describe(`the store in memory and ${name}`, () => {
    sequenceContract(async () => new MemoryStore(), make);
  });
}
