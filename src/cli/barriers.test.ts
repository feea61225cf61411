/** What `weir barriers` says of what is stored: of a deployment in memory, by the code that the command runs. */
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../maintainer/base/program.ts";
import { spaceOf } from "../maintainer/base/space.ts";
import { evict } from "../maintainer/operator/evict.ts";
import {
  CHANGEFEED,
  d,
  ddl,
  everybody,
  node,
  normal,
  syncpoint,
  World,
} from "../maintainer/testing/world.ts";
import { barrierLines, type ListedChangefeed, listChangefeed } from "./barriers.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const space = spaceOf(CHANGEFEED, 0n);

let world: World;
beforeEach(() => {
  world = new World();
});

async function open(second = n2) {
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }]),
    world.registration(n1, [{ id: T, table: 0n }]),
    world.registration(second, [{ id: d(10), table: 10n }]),
  );
}
const listed = async () => (await run(listChangefeed(space, 10, world.now), world.port))!;
const shown = async () => barrierLines([await listed()], undefined);

it("counts since when from the phase, and not from the opening", async () => {
  await open();
  const K = ddl(100n);
  await world.handle(world.waiting(n1, [T], K, { BlockTables: everybody }));
  world.now += 3_600_000;
  expect((await shown())[1]).toContain("DDL 100 waiting since 3600.0 s: held up by …0000000a on n2");
  await world.handle(world.waiting(n2, [d(10)], K, { BlockTables: everybody }));
  world.now += 2_000;
  expect((await shown())[1]).toContain("DDL 100 writing since 2.0 s: held up by …00000001 on n1");
});

it.each([
  "n\nDDL 999 writing since 1.0 s: forged",
  "n\u001b[2J",
  "n\u009b2J",
  "n\u2028x",
  "n\u0085x",
  "n\u202ex",
])("shows the node %j in one line that a terminal obeys nothing of", async (id) => {
  await open({ ...n2, id });
  await world.handle(world.waiting(n1, [T], ddl(100n), { BlockTables: everybody }));
  const lines = await shown();
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(/ on n\\u[0-9a-f]{4}.* \(table 10\)$/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there
  expect(lines[1]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/);
  // The sweep's log has the same line.
  expect((await world.sweep()).observer.seen.find(({ what }) => what === "barrier-open")?.detail).toBe(
    lines[1]!.trim(),
  );
});

it("shows no writer that was evicted, nor its dispatcher's next life as the writer", async () => {
  await open();
  const K = ddl(100n);
  const state = { BlockTables: normal(10n) };
  await world.handle(world.waiting(n2, [d(10)], K, state));
  expect((await listed()).barriers[0]).toMatchObject({ phase: "writing", writer: d(10) });
  await run(evict(space, { node: "n2" }, world.invocation()), world.port);
  expect((await listed()).barriers[0]).toMatchObject({ phase: "writing", writer: "", missing: [] });
  expect((await shown())[1]).toMatch(/: held up; no dispatcher for table 10$/);
  await world.handle(world.registration(n1, [{ id: d(10), table: 10n, life: 5n, checkpoint: 99n }]));
  const [view] = (await listed()).barriers;
  expect(view).toMatchObject({ phase: "writing", writer: "", missing: [{ dispatcher: d(10), node: "n1" }] });
});

describe("that nobody is missing and it is about to go on", () => {
  it("is not said of a changefeed that is not opened", async () => {
    await world.handle(world.registration(n1, [{ id: T, table: 0n }]));
    await world.handle(world.waiting(n1, [T], ddl(100n), { BlockTables: everybody }));
    expect((await shown())[1]).toMatch(/: held up; the changefeed is not opened$/);
  });

  it("is not said where the table trigger is gone", async () => {
    await open();
    await world.handle(world.waiting(n2, [d(10)], syncpoint(100n), { BlockTables: everybody }));
    await world.handle(world.registration({ ...n1, start: 2 }, []));
    expect((await shown())[1]).toMatch(/: held up; there is no table trigger$/);
  });
});

it("is short where nothing is wrong, and the sick come first", () => {
  const closed = Array.from({ length: 10 }, (_, at) => ({
    key: `k${at}`,
    commitTs: `46240691702988${8000 + at}`,
    isSyncPoint: false,
    phase: "closed",
    influence: "All",
    writer: d(1),
    reported: 5,
    expected: 5,
    missing: [],
    missingCount: 0,
    uncoveredTables: [],
    waitsFor: undefined,
    conflict: undefined,
    goesOn: false,
    ageMs: 900,
    phaseMs: 900,
  }));
  const changefeeds = Array.from(
    { length: 20 },
    (_, at): ListedChangefeed => ({
      changefeed: `default/cf${at}/00/0`,
      epoch: "1",
      opened: true,
      dispatchers: 5,
      barriers: closed,
    }),
  );
  const lines = barrierLines(changefeeds, undefined);
  expect(lines).toHaveLength(40);
  expect(lines[1]).toBe("  no barrier is open; the last one closed was DDL 462406917029888000, after 0.9 s");
  expect(lines.join("\n").length).toBeLessThan(3_000);
  const sick = { ...closed[0]!, phase: "waiting", phaseMs: 5_000 };
  const last = { ...changefeeds[19]!, changefeed: "default/sick/00/0", barriers: [sick] };
  expect(barrierLines([...changefeeds, last], undefined)[0]).toContain("default/sick/");
  expect(barrierLines(changefeeds.slice(0, 1), 10).join("\n")).toContain("│ 462406917029888009 │");
});

it("evicts nobody where the node is not known, and names those that are", async () => {
  await open();
  await world.handle(world.registration({ ...n1, start: 2 }, []));
  const before = world.requests["commitRoot"];
  const result = await run(evict(space, { node: "nosuch" }, world.invocation()), world.port);
  expect(result).toEqual({ lives: [], otherNodes: ["n1", "n2"] });
  expect(world.requests["commitRoot"]).toBe(before);
});
