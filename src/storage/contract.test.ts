/** What any store must do, tried on the store in memory and on DynamoDB's own expressions in an embedded engine. */
import { afterAll, beforeAll, describe } from "vitest";
import { MemoryStore } from "./memory.ts";
import { storeContract, weighingMemory } from "./testing/contract.ts";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "./testing/embedded.ts";
import { itemContract } from "./testing/item-contract.ts";
import { rootContract } from "./testing/root-contract.ts";
import { weightContract } from "./testing/weights.ts";

let embedded: EmbeddedDynamo;
beforeAll(async () => {
  embedded = await startEmbeddedDynamo();
});
afterAll(() => embedded.stop());

describe("store: memory", () => {
  rootContract(async () => new MemoryStore());
  itemContract(async () => new MemoryStore());
});
describe("store: memory that weighs", () => {
  rootContract(async () => weighingMemory());
  itemContract(async () => weighingMemory());
  weightContract(async () => weighingMemory());
});
storeContract("DynamoDB expressions", (options) => embedded.store(options));
