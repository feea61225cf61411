/** What a barrier over as many dispatchers costs as a changefeed may have; `counts.test.ts` has the smaller ones. */
import { expect, it } from "vitest";
import { countBarrier, ONE_BY_ONE, shape } from "./counts.ts";

it("over 100,000 dispatchers on 100 nodes takes 207 DynamoDB requests, less for each than over 1,000", async () => {
  const row = await countBarrier(shape(100_000), ONE_BY_ONE);
  expect(row.requests).toBe(207);
  expect(row.units).toBeLessThanOrEqual(1_200);
  expect(row.requests / 100_000).toBeLessThan(27 / 1_000);
});
