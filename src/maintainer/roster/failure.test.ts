/** What a node says is wrong at it is kept with the node, coarsely, and shown to operators (decisions/0046). */
import { beforeEach, expect, it } from "vitest";
import { FAILURE_EVERY } from "../../barrier/membership.ts";
import { ComponentState } from "../../protocol/messages.ts";
import { MAX_FAILURE } from "../intake/membership.ts";
import { CHANGEFEED, d, ddl, everybody, node, type TestNode, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }]),
    world.registration(n1, [{ id: T, table: 0n }]),
    world.registration(n2, [{ id: d(10), table: 10n }]),
  );
});

/** A heartbeat with what is wrong; with the dispatcher that it is of, or with none. */
function beat(
  err: string,
  { of = d(10), from = n2, mode = "0" }: { of?: string; from?: TestNode; mode?: string } = {},
) {
  const status = world.status(from, of || T, 1n, ComponentState.Working);
  const body = {
    ...(JSON.parse(status.body) as object),
    changefeedID: { ...CHANGEFEED, high: String(CHANGEFEED.high), low: String(CHANGEFEED.low) },
    ...(of === "" && { statuses: [] }),
    ...(err && { err: { code: "CDC:ErrSink", message: err } }),
    mode,
  };
  return { ...status, body: JSON.stringify(body) };
}
const commits = () => world.requests["commitRoot"] ?? 0;
const failure = async () => {
  await world.sweep();
  return [...world.memory.spaces.values()][0]!.roster!.nodes.get("n2")?.failure;
};
async function told(...beats: ReturnType<typeof beat>[]) {
  const before = commits();
  const noted = [];
  for (const one of beats) {
    const { failed, observer } = await world.handle(one);
    expect(failed).toEqual([]);
    noted.push(...observer.seen.filter(({ what }) => what === "node-failed").map(({ detail }) => detail));
  }
  expect(world.deadLetters).toEqual([]);
  return { commits: commits() - before, noted };
}

it("is kept in one line, and named where a barrier is open", async () => {
  expect(await told(beat("no route\u001b[2J\u2028to the sink"))).toEqual({
    commits: 1,
    noted: ["CDC:ErrSink: no route [2J to the sink"],
  });
  await world.handle(world.waiting(n1, [T], ddl(100n), { BlockTables: everybody }));
  const open = (await world.sweep()).observer.seen.find(({ what }) => what === "barrier-open");
  expect(open?.detail).toContain("; node n2 says: CDC:ErrSink: no route [2J to the sink");
});

it("is kept without statuses too, in the mode that is named", async () => {
  expect((await told(beat("down", { of: "" }))).commits).toBe(1);
  expect(await failure()).toBe("CDC:ErrSink: down");
  expect((await told(beat("down", { of: "", mode: "1" }))).commits).toBe(0);
});

it("has a bound", async () => {
  await told(beat("ü".repeat(400)));
  expect(Buffer.byteLength((await failure())!)).toBeLessThanOrEqual(MAX_FAILURE);
});

it("is written once a minute at most, whatever is said, and taken out likewise", async () => {
  const many = Array.from({ length: 20 }, (_, index) => beat(index % 3 === 2 ? "" : `down ${index}`));
  expect((await told(...many)).commits).toBe(1);
  expect(await failure()).toBe("CDC:ErrSink: down 0");
  world.now += FAILURE_EVERY - 1;
  expect((await told(beat(""), beat("up"))).commits).toBe(0);
  world.now += 1;
  expect((await told(beat(""), beat("down again"))).commits).toBe(1);
  expect(await failure()).toBeUndefined();
  world.now += FAILURE_EVERY;
  expect((await told(beat(""), beat("down again"), beat("down again"))).commits).toBe(1);
  expect(await failure()).toBe("CDC:ErrSink: down again");
});

it("is not changed by a heartbeat that comes late", async () => {
  const late = beat("");
  world.now += 10 * FAILURE_EVERY;
  await told(beat("down"), late);
  expect(await failure()).toBe("CDC:ErrSink: down");
});

it("of a registration stands until a later heartbeat without it", async () => {
  const before = beat("");
  world.now += 10;
  const registration = world.registration(n2, [{ id: d(10), table: 10n }]);
  const body = { ...(JSON.parse(registration.body) as object), err: { message: "no sink" } };
  await world.handle({ ...registration, body: JSON.stringify(body) });
  await told(before);
  expect(await failure()).toBe("no sink");
  world.now += FAILURE_EVERY;
  await told(beat(""));
  expect(await failure()).toBeUndefined();
});

it("is not kept of a process that has not registered", async () => {
  expect(await told(beat("down", { from: { ...n2, start: 9_000 } }))).toEqual({ commits: 0, noted: [] });
  expect(await told(beat("down", { of: "", from: node("n9") }))).toEqual({ commits: 0, noted: [] });
});
