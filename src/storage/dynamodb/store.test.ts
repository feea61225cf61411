/** The store on DynamoDB's own expressions in an embedded engine. */
import type { UpdateItemCommandInput } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dynamoContract } from "../testing/dynamo-contract.ts";
import { type EmbeddedDynamo, startEmbeddedDynamo } from "../testing/embedded.ts";
import { roster, space } from "../testing/samples.ts";

let embedded: EmbeddedDynamo;
beforeAll(async () => {
  embedded = await startEmbeddedDynamo();
});
afterAll(() => embedded.stop());

dynamoContract(() => embedded, false);

it("makes one request of a failed condition too, where the engine says what is there as DynamoDB does", async () => {
  const store = await embedded.store();
  await store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });
  const item = await store.table.get({ pk: space.text, sk: "ROOT" });
  embedded.client.middlewareStack.add(
    (next) => async (args) => {
      const { ReturnValuesOnConditionCheckFailure } = args.input as UpdateItemCommandInput;
      try {
        return await next(args);
      } catch (error) {
        if (ReturnValuesOnConditionCheckFailure === "ALL_OLD") Object.assign(error as Error, { Item: item });
        throw error;
      }
    },
    { step: "initialize", name: "itemInError" },
  );
  const before = { ...store.table.counts };
  const result = await store.commitRoot(space, { sameEpoch: 7n }, { countClosed: true });
  embedded.client.middlewareStack.remove("itemInError");
  expect(store.table.counts).toEqual({ ...before, UpdateItem: before["UpdateItem"]! + 1 });
  expect(result).toEqual({ committed: false, root: await store.readRoot(space) });
});
