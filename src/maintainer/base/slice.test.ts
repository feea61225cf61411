import { expect, it } from "vitest";
import { n1 } from "../testing/split.ts";
import { World } from "../testing/world.ts";
import { parseSlice } from "./slice.ts";

it("a slice with a space that no key can hold is put aside with the reason", async () => {
  const world = new World();
  const body = JSON.stringify({
    space: `${"k".repeat(3_000)}/n/${"0".repeat(32)}/0`,
    epoch: "1",
    key: "00000000000000000100-0",
    kind: "pass",
    chunk: 1,
    from: 0,
    first: true,
  });
  expect(() => parseSlice(body)).toThrow("space is 3037 bytes long");
  const { failed } = await world.handle({
    ...world.message(n1, "HeartBeatRequest", body),
    attributes: { type: "Slice" },
  });
  expect(failed).toEqual([]);
  expect(world.deadLetters.map((letter) => letter.reason)).toEqual([
    expect.stringContaining("space is 3037 bytes long; only the coordinator sends messages of this type"),
  ]);
  expect(Object.keys(world.requests)).toEqual([]);
});
