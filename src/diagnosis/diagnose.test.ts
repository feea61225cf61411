/** Each verdict from what the coordinator really stored; and that what is said to go on does. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../maintainer/base/program.ts";
import { spaceOf } from "../maintainer/base/space.ts";
import { evict } from "../maintainer/operator/evict.ts";
import { readStored } from "../maintainer/operator/stored.ts";
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
import { RouteTableAdmissionAction } from "../protocol/messages.ts";
import { diagnose } from "./diagnose.ts";
import { headline, shellWord, wordsOf } from "./words.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const K = ddl(100n);
const space = spaceOf(CHANGEFEED, 0n);
const whole = { BlockTables: everybody };

let world: World;
beforeEach(() => {
  world = new World();
});

const seen = async () => diagnose((await run(readStored(space), world.port))!);
const verdict = async () => (await seen()).verdict;
const words = async () => wordsOf(await verdict(), { changefeed: space.text, now: world.now });

async function open(second = n2) {
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }]),
    world.registration(n1, [{ id: T, table: 0n }]),
    world.registration(second, [{ id: d(10), table: 10n }]),
  );
}

it("nothing is open", async () => {
  await open();
  expect(await seen()).toMatchObject({ verdict: { kind: "nothing-open" }, barriers: [], findings: [] });
});

it("dispatchers are missing, by node, with the queue there or not", async () => {
  await open();
  await world.handle(world.waiting(n1, [T], K, whole));
  expect((await seen()).worst).toMatchObject({
    phase: "waiting",
    reported: 1,
    expected: 2,
    since: world.now,
    verdict: {
      kind: "missing-dispatchers",
      count: 1,
      expected: 2,
      nodes: [
        { node: "n2", count: 1, dispatchers: [{ dispatcher: d(10), tableId: "10" }], queueGone: false },
      ],
    },
  });
  expect((await words()).sentence).toBe("1 of 2 dispatchers have not reported: 1 on n2");
  await world.handle(world.waiting(n2, [d(10)], K, whole));
  world.missingQueues.add(n2.queue);
  await world.handle(world.done(n1, [T], K, "write"));
  expect(await verdict()).toMatchObject({
    kind: "missing-dispatchers",
    nodes: [{ node: "n2", queueGone: true }],
  });
  expect((await words()).next[0]).toBe(
    `If node n2 is lost for good: weir evict --node=n2 --changefeed ${space.text}`,
  );
});

it("the changefeed is not opened", async () => {
  await world.handle(world.registration(n1, [{ id: T, table: 0n }]));
  await world.handle(world.waiting(n1, [T], K, whole));
  expect(await verdict()).toEqual({ kind: "not-opened", parts: 0, expected: 0 });
  await world.handle(world.opening(n1, T, [], { part: 2, parts: 3 }));
  expect(await verdict()).toEqual({ kind: "not-opened", parts: 1, expected: 3 });
  expect((await words()).evidence).toEqual(["1 of 3 parts of the opening have come"]);
});

it("the table trigger is gone, also while nothing is open", async () => {
  await open();
  await world.handle(world.registration({ ...n1, start: 2 }, []));
  expect(await verdict()).toEqual({ kind: "trigger-gone", dispatcher: T, openedBy: "n1" });
  await world.handle(world.waiting(n2, [d(10)], syncpoint(100n), whole));
  expect((await seen()).worst?.verdict).toEqual({ kind: "trigger-gone", dispatcher: T, openedBy: "n1" });
});

it("a table has a hole: who was asked, since when", async () => {
  await open();
  await world.handle(world.registration({ ...n2, start: 2 }, []));
  await world.handle(world.waiting(n1, [T], K, whole));
  const lostAt = world.now;
  const table = { tableId: "10", dispatchers: 0 };
  expect(await verdict()).toEqual({
    kind: "hole",
    count: 1,
    tables: [{ ...table, asked: [{ tableId: "10", dispatcher: d(10), since: lostAt }] }],
  });
  expect((await words()).sentence).toBe("no dispatcher for table 10");
  world.now += 61_000;
  await world.sweep();
  expect(await verdict()).toMatchObject({ tables: [{ asked: [{ since: world.now }] }] });
  expect((await words()).evidence[0]).toMatch(
    /^table 10: nobody hosts it; .* was asked to create it, 0 s ago$/,
  );
  await world.handle(world.registration({ ...n2, start: 2 }, [{ id: d(11), table: 10n, start: "m" }]));
  expect(await verdict()).toMatchObject({ kind: "hole", tables: [{ dispatchers: 1 }] });
  expect((await words()).sentence).toBe("no dispatcher for a part of table 10");
});

it("dispatchers were asked for and not created, while nothing is open", async () => {
  await open();
  await world.handle(world.registration(node("n3"), []));
  const like = { BlockTables: normal(0n), NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] };
  await world.handle(world.waiting(n1, [T], K, like));
  await world.handle(world.done(n1, [T], K, "write"));
  const asked = { tableId: "40", node: expect.stringMatching(/^n3$/), since: world.now };
  expect(await seen()).toMatchObject({
    barriers: [],
    verdict: { kind: "not-created", count: 1, asked: [asked] },
  });
  expect((await words()).next[1]).toContain("weir evict --node=n3 ");
});

it("waits for an earlier event", async () => {
  await open();
  const drop = { BlockTables: normal(10n), NeedDroppedTables: normal(10n) };
  await world.handle(world.waiting(n1, [T], K, whole));
  await world.handle(world.none(n1, T, ddl(90n), { NeedAddedTables: [{ TableID: 41n, SchemaID: 1n }] }));
  await world.handle(world.waiting(n2, [d(10)], ddl(80n), drop));
  await world.handle(world.none(n1, T, ddl(110n), { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] }));
  const all = await seen();
  const later = all.barriers.filter((one) => one.verdict.kind === "waits-for-earlier");
  expect(later.length).toBeGreaterThan(0);
  for (const one of later) {
    const { earlier } = one.verdict as { earlier: string };
    expect(earlier < one.key).toBe(true);
    expect(all.barriers.some(({ key }) => key === earlier)).toBe(true);
  }
  // What holds others up stands before them.
  expect(all.worst?.verdict.kind).not.toBe("waits-for-earlier");
});

it("the writer is silent since it was granted, or says what is wrong", async () => {
  await open();
  await world.handle(world.waiting(n2, [d(10)], K, { BlockTables: normal(10n) }));
  const since = world.now;
  world.now += 600_000;
  const who = { dispatcher: d(10), node: "n2", tableId: "10", since, queueGone: false };
  expect(await verdict()).toEqual({ kind: "writer-silent", ...who });
  expect((await words()).sentence).toBe("the writer on node n2 has not said DONE for 10 min");
  const beat = world.status(n2, d(10), 1n, 0);
  const body = {
    ...(JSON.parse(beat.body) as object),
    err: { code: "8200", message: "no such\ncolumn\u009b2J" },
  };
  await world.handle({ ...beat, body: JSON.stringify(body) });
  expect(await verdict()).toMatchObject({ kind: "writer-error", ...who, errorAt: world.now });
  expect((await words()).sentence).toMatch(/^the writer on node n2 says: 8200: no such column/);
});

it("routes conflict", async () => {
  await open();
  const admit = (SourceTableName: string) => ({
    Action: RouteTableAdmissionAction.ADMIT,
    SourceSchemaName: "s",
    SourceTableName,
    TargetSchemaName: "t",
    TargetTableName: "one",
  });
  const state = { BlockTables: normal(0n), RouteTableAdmissions: [admit("a"), admit("b")] };
  await world.handle(world.waiting(n1, [T], K, state));
  expect(await verdict()).toEqual({ kind: "route-conflict", reason: expect.stringContaining("s.b and s.a") });
});

it("reports are kept of lives that have not registered", async () => {
  await open();
  await world.handle(world.waiting(n2, [d(77)], K, whole));
  expect((await seen()).findings).toEqual([
    { kind: "kept-reports", nodes: [{ node: "n2", reports: 1, oldest: world.now, registered: true }] },
  ]);
  await world.handle(world.waiting(node("n9"), [d(78)], K, whole));
  const [found] = (await seen()).findings;
  expect(wordsOf(found!, { changefeed: "c", now: world.now }).evidence).toContain(
    "node n9: 1 message, the oldest from 0 s ago; it has not registered at all",
  );
});

it("names from outside steer nothing, and a command can be pasted", async () => {
  await open({ ...n2, id: "n\n$(rm -rf ~)\u009b'" });
  await world.handle(world.waiting(n1, [T], K, whole));
  const { sentence, evidence, next } = await words();
  const line = headline(await seen(), world.now);
  for (const text of [sentence, ...evidence, ...next, line]) expect(text).not.toMatch(/\p{C}/u);
  expect(next.join()).toContain("--node=$'n\\U0000000a$(rm -rf ~)\\U0000009b\\''");
  expect([shellWord("a b"), shellWord("it's"), shellWord("a;b")]).toEqual(["'a b'", "'it'\\''s'", "'a;b'"]);
});

describe("about to go on", () => {
  it("is said where an invocation died after what it recorded", async () => {
    await open();
    await world.handle(world.waiting(n1, [T], K, whole));
    const at: number[] = [];
    // Its last report is recorded, and the invocation ends before it judges.
    const dies = (when: string, method: string) => {
      if (when === "after" && method === "touchBarrier") throw new Error(`died after ${at.push(1)}`);
    };
    await world.handleHooked(dies, world.waiting(n2, [d(10)], K, whole));
    expect(at.length).toBeGreaterThan(0);
    expect(await verdict()).toEqual({ kind: "about-to-go-on" });
    await world.sweep();
    expect(await world.phase(K)).toBe("writing");
  });

  it("implies that the sweep moves it, whatever was reported and wherever invocations died", async () => {
    const adds = { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] };
    let said = 0;
    const event = fc.constantFrom(K, syncpoint(100n), ddl(90n));
    const action = fc.record({
      what: fc.constantFrom(
        "wait-trigger",
        "wait-table",
        "none",
        "write",
        "pass",
        "restart",
        "back",
        "evict",
      ),
      event,
      how: fc.constantFrom("all", "drops", "alone"),
      diesAt: fc.integer({ min: 0, max: 14 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 2, maxLength: 9 }), async (actions) => {
        world = new World();
        await open();
        let start = 1;
        for (const { what, event: key, how, diesAt } of actions) {
          const at = { ...n2, start };
          const table = { id: d(10), life: BigInt(start) };
          // "alone": an event of the reporter's own, so that nobody who waits later is past an earlier one.
          const own =
            what === "wait-table" ? { BlockTables: normal(10n) } : { BlockTables: normal(0n), ...adds };
          const drops = { ...whole, NeedDroppedTables: normal(10n) };
          const state = { all: whole, drops, alone: own }[how];
          if (what === "evict") await run(evict(space, { node: "n2" }, world.invocation()), world.port);
          else {
            if (what === "restart") start++;
            const message = {
              "wait-trigger": () => world.waiting(n1, [T], key, state),
              "wait-table": () => world.waiting(at, [table], key, state),
              // Changes the roster, so that later events that do wait for it.
              none: () => world.none(n1, T, key, adds),
              write: () => world.done(n1, [T], key, "write"),
              pass: () => world.done(at, [table], key, "pass"),
              restart: () => world.registration({ ...n2, start }, []),
              back: () =>
                world.registration(at, [{ id: d(10), table: 10n, life: BigInt(start), checkpoint: 80n }]),
            }[what]();
            await world
              .handleHooked((when, _, index) => {
                if (when === "after" && index === diesAt) throw new Error("died");
              }, message)
              .catch(() => undefined);
          }
          const before = (await seen()).barriers.filter((one) => one.verdict.kind === "about-to-go-on");
          if (before.length === 0) continue;
          said += before.length;
          const steps = (await run(readStored(space), world.port))!.root.steps;
          await world.sweep();
          const after = (await run(readStored(space), world.port))!.root.steps;
          // What can go on has gone on.
          expect((await seen()).barriers.filter((one) => one.verdict.kind === "about-to-go-on")).toEqual([]);
          for (const { key: one } of before) {
            const [was, is] = [steps.get(one)!, after.get(one)];
            expect(is && [is.phase, is.grants.length]).not.toEqual([was.phase, was.grants.length]);
          }
        }
      }),
      {
        numRuns: 300,
        // One waits at an event of its own, behind one that still has to change the roster.
        examples: [
          [
            [
              { what: "wait-trigger", event: ddl(90n), how: "alone", diesAt: 99 },
              { what: "wait-table", event: K, how: "alone", diesAt: 99 },
            ],
          ],
        ],
      },
    );
    expect(said).toBeGreaterThan(5);
  });
});
