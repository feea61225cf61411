/** What any store must do, tried on the store in memory and on DynamoDB's own expressions in an embedded engine. */
import { afterAll, beforeAll, describe } from "vitest";
import { MemoryStore, type Store } from "./memory.ts";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "./testing/embedded.ts";
import { itemContract } from "./testing/itemcontract.ts";
import { rootContract } from "./testing/rootcontract.ts";
import { sequenceContract } from "./testing/sequences.ts";

let embedded: EmbeddedDynamo;
beforeAll(async () => {
  embedded = await startEmbeddedDynamo();
});
afterAll(() => embedded.stop());

const engines: readonly [string, () => Promise<Store>][] = [
  ["memory", async () => new MemoryStore()],
  ["DynamoDB expressions", () => embedded.store()],
];

describe.each(engines)("store: %s", (_, make) => {
  rootContract(make);
  itemContract(make);
});

describe("both stores", () => {
  sequenceContract(
    async () => new MemoryStore(),
    () => embedded.store(),
  );
});
