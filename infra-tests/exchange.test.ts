/** The exchange of docs/capture-nodes.md: the coordinator gets what the page sends, and answers what the page says. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type TestNode, World } from "../src/maintainer/testing/world.ts";
import type { MessageType } from "../src/protocol/codec.ts";
import { parsePage, ROOT } from "./docs/pages.ts";

const PATH = "docs/capture-nodes.md";
const N1: TestNode = { id: "n1", start: 1763942400000, queue: "weir-action-n1" };
/** The clock of the functions: the life of a dispatcher that the coordinator asks for. */
const NOW = 1763942400500;

/** What stands in an action queue: the type, and the body as it came. */
const taken = (world: World): { type: string; body: unknown }[] => {
  const all = [...world.queues].flatMap(([queue, messages]) => {
    expect(queue).toBe(N1.queue);
    return messages.map(({ type, body }) => ({ type, body: JSON.parse(body) as unknown }));
  });
  world.queues.clear();
  return all;
};

it("goes as the tutorial says, message by message", async () => {
  const world = new World();
  world.now = NOW;
  const blocks = parsePage(PATH, readFileSync(`${ROOT}${PATH}`, "utf8")).blocks.filter(
    ({ value }) => value.language === "json",
  );
  const said: string[] = [];
  let answers: { type: string; body: unknown }[] = [];
  for (const { line, value } of blocks) {
    const [way, type] = value.info.split(" ") as [string, string];
    said.push(way);
    if (way === "send") {
      expect(answers, `nothing else came before line ${line}`).toEqual([]);
      const reply = /Bootstrap/.test(type) ? { replyQueue: N1.queue } : {};
      const result = await world.handle(world.message(N1, type as MessageType, value.text, reply));
      expect(result.failed).toEqual([]);
      expect(world.deadLetters, `line ${line}`).toEqual([]);
      answers = taken(world);
    } else {
      expect(way, `line ${line}`).toBe("get");
      expect(answers.shift(), `line ${line}`).toEqual({ type, body: JSON.parse(value.text) });
    }
  }
  expect(answers).toEqual([]);
  expect(said.filter((way) => way === "send")).toHaveLength(8);
  expect(said.filter((way) => way === "get")).toHaveLength(9);
});
