import { expect, it } from "vitest";
import { OldWorld } from "../testing/old-world.ts";
import { again, normal } from "../testing/world.ts";

/** Actions of a node's queue, as the word and the commitTs. */
const actionsOf = (at: OldWorld, node: string) =>
  at.actions(node).filter((one) => one.type === "HeartBeatResponse" && one.about.length > 0).length;

it("does not give an old writer its Write once more while it may be at it, and does when a repeat is due", async () => {
  const at = new OldWorld(["o1"], [{ table: 11n, schema: 1n, node: "o1" }]);
  await at.settle();
  // TRUNCATE of a split table would wait for all; here the table trigger and table 11 wait.
  at.event({ BlockTs: 100n, BlockTables: normal(0n, 11n) });
  const waiting = at.queue.splice(0);
  await at.world.handle(...waiting);
  expect(actionsOf(at, "o1")).toBe(1);
  at.world.queues.clear();
  // Its first copy's invocation may have died: a new node is told at once, an old one when a repeat is due (protocol.md M21).
  await at.world.handle(...waiting.map(again));
  expect(actionsOf(at, "o1")).toBe(0);
  at.world.now += at.world.invocation().settings.repeatAfter;
  await at.world.handle(...waiting.map(again));
  expect(actionsOf(at, "o1")).toBe(1);
});
