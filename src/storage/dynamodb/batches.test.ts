import { describe, expect, it } from "vitest";
import { batches, inParallel, untilDone } from "./batches.ts";

describe("batches", () => {
  it("hold no more than so many, and no more than so many bytes", () => {
    expect(batches([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
    expect(batches([3, 3, 3, 9, 1], 10, 6, (size) => size)).toEqual([[3, 3], [3], [9], [1]]);
    expect(batches([], 2)).toEqual([]);
  });

  it("are worked on a few at a time", async () => {
    let open = 0;
    let most = 0;
    const done: number[] = [];
    await inParallel([...Array(40).keys()], async (one) => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 1));
      open--;
      done.push(one);
    });
    expect(most).toBe(8);
    expect(done).toHaveLength(40);
  });

  it("are asked for until nothing is left", async () => {
    const asked: number[][] = [];
    await untilDone("read", [1, 2, 3], async (rest) => {
      asked.push(rest);
      return rest.slice(1);
    });
    expect(asked).toEqual([[1, 2, 3], [2, 3], [3]]);
  });

  it("are given up where nothing comes", async () => {
    let attempts = 0;
    const nothing = untilDone("read", [1, 2], async (rest) => {
      attempts++;
      return rest;
    });
    await expect(nothing).rejects.toThrow("DynamoDB did not read 2 items in 8 attempts: it is throttled");
    expect(attempts).toBe(8);
  });
});
