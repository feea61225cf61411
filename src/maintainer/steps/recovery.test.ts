/** Recovery by messages (protocol.md M14 to M17a): another coordinator before this one, lives that come and go. */
import { beforeEach, describe, expect, it } from "vitest";
import { BlockStage, ComponentState } from "../../protocol/messages.ts";
import {
  again,
  d,
  ddl,
  everybody,
  idsOf,
  node,
  normal,
  oldNode,
  syncpoint,
  type TestNode,
  type Told,
  World,
} from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const K = ddl(100n);
const split = { BlockTables: normal(20n) };
const truncate = {
  BlockTables: normal(0n, 10n),
  NeedDroppedTables: normal(10n),
  NeedAddedTables: [{ TableID: 11n, SchemaID: 1n }],
};

let world: World;
const told = (): Told[] => [...world.told(n1), ...world.told(n2)];
/** The block state of a registration, at a DDL unless told otherwise. */
const at = (stage: BlockStage, state: object, commitTs = 100n, IsSyncPoint = false) => ({
  blockState: { IsBlocked: true, BlockTs: commitTs, IsSyncPoint, stage, ...state },
});

/** Opens tables 10 and 20 (in two spans); each dispatcher registers with what is given for it. */
async function restored(
  states: { T?: object; d10?: object; d21?: object; d22?: object },
  epoch = 0n,
): Promise<void> {
  await world.handle(
    world.opening(
      n1,
      T,
      [
        { id: 10n, schema: 1n },
        { id: 20n, schema: 1n },
      ],
      { epoch },
    ),
  );
  await world.handle(
    world.registration(
      n1,
      [
        { id: T, table: 0n, checkpoint: 50n, ...states.T },
        { id: d(10), table: 10n, checkpoint: 50n, ...states.d10 },
        { id: d(21), table: 20n, end: "m", checkpoint: 50n, ...states.d21 },
      ],
      { epoch },
    ),
  );
  await world.handle(
    world.registration(n2, [{ id: d(22), table: 20n, start: "m", checkpoint: 50n, ...states.d22 }], {
      epoch,
    }),
  );
}

beforeEach(() => {
  world = new World();
});

describe("M14: block states that come with registrations", () => {
  it("WAITING of all is enough: nobody has to report again (ticdc.md T-A2)", async () => {
    const waits = at(BlockStage.WAITING, split);
    await restored({ d21: waits, d22: waits });
    expect(await world.phase(K)).toBe("writing");
    expect(idsOf(told(), "write", K)).toHaveLength(1);
  });

  it("WAITING and WRITING: the one that writes is the writer, the other gets its Pass (ticdc.md T-A1)", async () => {
    await restored({ d21: at(BlockStage.WAITING, split), d22: at(BlockStage.WRITING, split) });
    expect(await world.phase(K)).toBe("writing");
    // It is executing already: nothing is sent to it, and nobody else is granted anything.
    expect(idsOf(told(), "write", K)).toEqual([]);
    await world.handle(world.done(n2, [d(22)], K, "write"));
    expect(idsOf(told(), "pass", K)).toEqual([d(21), d(22)]);
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("WRITING that was a Pass: its DONE says that the event is written (ticdc.md T-A4)", async () => {
    await restored({ d21: at(BlockStage.WAITING, split), d22: at(BlockStage.WRITING, split) });
    await world.handle(world.done(n2, [d(22)], K, "pass"));
    expect(idsOf(told(), "write", K)).toEqual([]);
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("WRITING of an event that changes the roster is applied with its DONE (ticdc.md T-A3)", async () => {
    await restored({ T: at(BlockStage.WRITING, truncate), d10: at(BlockStage.WAITING, truncate) });
    expect(await world.phase(K)).toBe("writing");
    await world.handle(world.done(n1, [T], K, "write"));
    expect([...[...world.store.roots.values()][0]!.pending]).toEqual([]);
    const told = [n1, n2].flatMap((one) => world.take(one, "ScheduleDispatcherRequest")) as {
      config: { span: { TableID: bigint } };
    }[];
    expect(told.map((request) => request.config.span.TableID).sort()).toEqual([10n, 11n]);
    expect(await world.phase(K)).toBeUndefined();
  });

  it("WRITING takes nothing from who has a grant", async () => {
    const waits = at(BlockStage.WAITING, split);
    await restored({ d21: waits, d22: waits });
    const [writer] = idsOf(told(), "write", K);
    const other = writer === d(21) ? d(22) : d(21);
    const from = other === d(21) ? n1 : n2;
    const span = other === d(21) ? { end: "m" } : { start: "m" };
    await world.handle(
      world.registration(from, [{ id: other, table: 20n, ...span, ...at(BlockStage.WRITING, split) }]),
    );
    await world.handle(world.done(from, [other], K, "write"), world.done(from, [other], K, "pass"));
    expect(await world.phase(K)).toBe("writing");
    expect(idsOf(told(), "pass", K)).toEqual([]);
  });

  it.each([
    ["WRITING", BlockStage.WRITING],
    ["DONE", BlockStage.DONE],
  ])("%s lets nobody else be granted Write, wherever its invocation dies", async (_, stage) => {
    for (let dies = 0, ended = false; !ended; dies++) {
      world = new World();
      await restored({ d21: at(BlockStage.WAITING, split) });
      told();
      const registration = world.registration(n2, [
        { id: d(22), table: 20n, start: "m", life: 2n, ...at(stage, split) },
      ]);
      ended = true;
      await world
        .handleHooked((when, _method, index) => {
          if (when === "before" && index === dies) {
            ended = false;
            throw new Error("dies");
          }
        }, registration)
        .catch(() => undefined);
      await world.sweep();
      expect(
        idsOf(told(), "write", K).filter((id) => id !== d(22)),
        `before operation ${dies}`,
      ).toEqual([]);
    }
  });

  it("DONE says that the event is written", async () => {
    await restored({ d21: at(BlockStage.WAITING, split), d22: at(BlockStage.DONE, split) });
    expect(await world.phase(K)).toBe("passing");
    expect(idsOf(told(), "pass", K)).toContain(d(21));
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("a late copy changes nothing, open or closed, also of an earlier epoch", async () => {
    const waits = at(BlockStage.WAITING, split);
    await restored({ d21: waits, d22: waits });
    const copy = world.registration(n2, [
      { id: d(22), table: 20n, start: "m", ...at(BlockStage.WRITING, split) },
    ]);
    const [writer] = idsOf(told(), "write", K);
    await world.handle(world.done(writer === d(21) ? n1 : n2, [writer!], K, "write"));
    const other = writer === d(21) ? d(22) : d(21);
    await world.handle(world.done(other === d(21) ? n1 : n2, [other], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
    const closed = world.store.clone();
    await world.handle(again(copy));
    expect(world.store.roots).toEqual(closed.roots);
    expect(world.store.barriers).toEqual(closed.barriers);

    await restored({}, 2n);
    const before = world.store.clone();
    await world.handle(again(copy));
    expect(world.store.roots).toEqual(before.roots);
    expect(world.deadLetters).toEqual([]);
  });

  it("counts for old nodes as well, whose life is the time of the registration", async () => {
    const old = oldNode("old");
    await world.handle(world.opening(old, T, [{ id: 20n, schema: 1n }]));
    await world.handle(
      world.registration(old, [
        { id: T, table: 0n },
        { id: d(20), table: 20n, ...at(BlockStage.WAITING, split) },
      ]),
    );
    expect(idsOf(world.told(old), "write", K)).toEqual([d(20)]);
  });

  it("keeps one that cannot be, with where it stands, and registers its dispatcher all the same", async () => {
    await restored({ d10: at(BlockStage.WAITING, {}, 0n), d21: at(7 as BlockStage, split) });
    expect(world.deadLetters[0]!.reason).toMatch(
      /spans\[1\]\.block_state: BlockTs is 0.*spans\[2\]\.block_state: stage 7 is unknown/s,
    );
    expect([...world.store.roots.values()][0]!.rosterVersion).toBeGreaterThan(1);
  });
});

describe("M15: who is provably past a barrier", () => {
  const waitAt = (from: TestNode, id: string, key = K, state: object = split) =>
    world.handle(world.waiting(from, [id], key, state));

  beforeEach(() => restored({}));

  it("shows by a later key that it was written: straight to Pass, no Write", async () => {
    await waitAt(n1, d(21));
    await waitAt(n2, d(22), ddl(150n));
    const seen = told();
    expect(idsOf(seen, "write", K)).toEqual([]);
    expect(idsOf(seen, "pass", K)).toContain(d(21));
    await world.handle(world.done(n1, [d(21)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
    expect(await world.phase(ddl(150n))).toBe("waiting");
  });

  it("is past the DDL at a commitTs when it waits at the syncpoint there", async () => {
    await waitAt(n1, d(21));
    await waitAt(n2, d(22), syncpoint(100n), { BlockTables: everybody });
    expect(await world.phase(K)).toBe("passing");
  });

  it("shows it by its checkpoint, if that is greater; equal is not past, and the highest says nothing", async () => {
    const progress = (checkpoint: bigint) =>
      world.handle(world.status(n2, d(22), 1n, ComponentState.Working, checkpoint));
    await waitAt(n1, d(21));
    await progress(100n);
    await progress(2n ** 64n - 1n);
    expect(await world.phase(K)).toBe("waiting");
    await progress(101n);
    expect(await world.phase(K)).toBe("passing");
  });

  it("is done with a barrier in phase passing, by its checkpoint", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split), world.waiting(n2, [d(22)], K, split));
    const [writer] = idsOf(told(), "write", K);
    await world.handle(world.done(writer === d(21) ? n1 : n2, [writer!], K, "write"));
    const [from, other] = writer === d(21) ? [n2, d(22)] : [n1, d(21)];
    await world.handle(world.status(from, other, 1n, ComponentState.Working, 120n));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("applies the changes of the roster that the event brings (ticdc.md T-A13)", async () => {
    await waitAt(n1, T, K, truncate);
    await waitAt(n1, d(10), ddl(130n), { BlockTables: normal(10n, 20n) });
    const [root] = world.store.roots.values();
    expect(root!.pending).toEqual([]);
    expect(await world.phase(K)).toBe("passing");
    const told = [n1, n2].flatMap((one) => world.take(one, "ScheduleDispatcherRequest"));
    expect(told).toHaveLength(2);
  });

  it("says nothing by another life, by another node, or of an event that does not touch it", async () => {
    await waitAt(n1, d(21));
    await world.handle(world.status(n2, d(22), 7n, ComponentState.Working, 200n));
    await world.handle(world.status(n1, d(22), 1n, ComponentState.Working, 200n));
    await world.handle(world.status(n1, d(10), 1n, ComponentState.Working, 200n));
    await waitAt(n1, d(10), ddl(300n), { BlockTables: normal(10n) });
    expect(await world.phase(K)).toBe("waiting");
  });

  it("frees the dispatcher that took over both parts and wrote a DDL of one table by itself", async () => {
    // Split, both wait; merged into one that carries the whole table: to it the DDL does not block (D1).
    await world.handle(world.waiting(n1, [d(21)], K, split));
    await world.handle(
      world.status(n1, d(21), 1n, ComponentState.Removed),
      world.status(n2, d(22), 1n, ComponentState.Removed),
      world.registration(n1, [{ id: d(29), table: 20n, checkpoint: 99n }]),
    );
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.status(n1, d(29), 1n, ComponentState.Working, 140n));
    expect(await world.phase(K)).toBeUndefined();
  });
});

describe("M16: a writer that left before its DONE", () => {
  beforeEach(() => restored({}));

  /** The writer leaves, another takes its span and is granted Write. */
  async function replaced() {
    await world.handle(world.waiting(n1, [d(21)], K, split), world.waiting(n2, [d(22)], K, split));
    const [writer] = idsOf(told(), "write", K) as [string];
    const [from, to, span] =
      writer === d(21) ? ([n1, n2, { end: "m" }] as const) : ([n2, n1, { start: "m" }] as const);
    await world.handle(world.status(from, writer, 1n, ComponentState.Removed));
    // Its span is covered by nobody: nothing is granted before somebody has it and has reported.
    expect(idsOf(told(), "write", K)).toEqual([]);
    await world.handle(world.registration(to, [{ id: d(29), table: 20n, checkpoint: 99n, ...span }]));
    await world.handle(world.waiting(to, [d(29)], K, split));
    const granted = idsOf(told(), "write", K);
    expect(granted).toHaveLength(1);
    expect(granted).not.toContain(writer);
    const second = granted[0]!;
    return { writer, from, second, on: second === d(29) ? to : second === d(21) ? n1 : n2 };
  }

  it("is replaced by another reporter when it left for good, whose Write is awaited though the first one's DONE comes", async () => {
    const { writer, from, second, on } = await replaced();
    await world.handle(world.done(from, [writer], K, "write"));
    expect(await world.phase(K), "the second Write may be on its way (protocol.md M8)").toBe("writing");
    expect(idsOf(told(), "pass", K)).toEqual([]);
    await world.handle(world.done(on, [second], K, "write"));
    expect(await world.phase(K)).toBe("passing");
  });

  it("has written the event, if its late DONE comes when the second one has left too", async () => {
    const { writer, from, second, on } = await replaced();
    await world.handle(world.status(on, second, 1n, ComponentState.Removed));
    await world.handle(world.done(from, [writer], K, "write"));
    expect(await world.phase(K)).toBe("passing");
  });

  it("does not take a late DONE of Pass for it", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split), world.waiting(n2, [d(22)], K, split));
    const [writer] = idsOf(told(), "write", K) as [string];
    const from = writer === d(21) ? n1 : n2;
    await world.handle(world.status(from, writer, 1n, ComponentState.Removed));
    await world.handle(world.done(from, [writer], K, "pass"));
    expect(await world.phase(K)).toBe("writing");
  });
});

describe("a roster that changes while a barrier is open", () => {
  const key = syncpoint(100n);
  const all = { BlockTables: everybody };
  beforeEach(() => restored({}));

  it("a registration that names fewer dispatchers ends none", async () => {
    await world.handle(world.registration(n1, [{ id: T, table: 0n, checkpoint: 50n }]));
    await world.handle(world.waiting(n1, [T], key, all), world.waiting(n2, [d(22)], key, all));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.waiting(n1, [d(10), d(21)], key, all));
    expect(await world.phase(key)).toBe("writing");
  });

  it("a table that an earlier DDL dropped holds nothing in a later one that names it", async () => {
    const drop = { BlockTables: normal(0n, 10n), NeedDroppedTables: normal(10n) };
    await world.handle(world.waiting(n1, [T, d(10)], K, drop));
    await world.handle(world.done(n1, [T], K, "write"));
    const later = ddl(120n);
    const both = { BlockTables: normal(0n, 10n, 20n) };
    await world.handle(world.waiting(n1, [T, d(21)], later, both), world.waiting(n2, [d(22)], later, both));
    expect(idsOf(told(), "write", later)).toEqual([T]);
  });

  it("a dispatcher that is created meanwhile is waited for; one that starts behind the event is not", async () => {
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, all));
    await world.handle(world.registration(n2, [{ id: d(60), table: 60n, checkpoint: 50n }]));
    await world.handle(world.waiting(n2, [d(22)], key, all));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.waiting(n2, [d(60)], key, all));
    expect(await world.phase(key)).toBe("writing");
  });

  it("a table trigger that moved reports again and gets a grant of its own; its earlier life gets nothing", async () => {
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, all), world.waiting(n2, [d(22)], key, all));
    told();
    await world.handle(world.registration(n2, [{ id: T, table: 0n, life: 2n, checkpoint: 100n }]));
    world.now += 60_000;
    await world.handle(world.waiting(n1, [d(10)], key, all));
    await world.sweep();
    expect(told().filter((one) => one.kind === "write")).toEqual([]);
    await world.handle(world.waiting(n2, [{ id: T, life: 2n }], key, all));
    expect(told().filter((one) => one.kind === "write")).toMatchObject([{ ids: [T], lives: [2n] }]);
  });

  it("another table trigger takes over what the former one had been granted (R1)", async () => {
    const other = d(2);
    await world.handle(world.waiting(n1, [T, d(10), d(21)], key, all), world.waiting(n2, [d(22)], key, all));
    told();
    const restarted = { ...n1, start: 2 };
    await world.handle(
      world.registration(restarted, [
        { id: other, table: 0n, checkpoint: 99n },
        { id: d(10), table: 10n, life: 2n, checkpoint: 99n },
        { id: d(21), table: 20n, end: "m", life: 2n, checkpoint: 99n },
      ]),
      world.opening(restarted, other, []),
    );
    await world.handle(
      world.waiting(
        restarted,
        [
          { id: d(10), life: 2n },
          { id: d(21), life: 2n },
        ],
        key,
        all,
      ),
    );
    expect(told().filter((one) => one.kind === "write")).toEqual([]);
    await world.handle(world.waiting(restarted, [other], key, all));
    expect(idsOf(told(), "write", key)).toEqual([other]);
  });

  it("a report that counted for a table stays with its life when the table is renamed", async () => {
    const rename = {
      BlockTables: normal(0n, 10n),
      UpdatedSchemas: [{ TableID: 10n, OldSchemaID: 1n, NewSchemaID: 2n }],
    };
    await world.handle(world.waiting(n1, [T, d(10)], K, rename));
    await world.handle(world.done(n1, [T], K, "write"), world.done(n1, [d(10)], K, "pass"));
    const later = syncpoint(110n);
    await world.handle(
      world.waiting(n1, [T, d(10), d(21)], later, all),
      world.waiting(n2, [d(22)], later, all),
    );
    expect(await world.phase(later)).toBe("writing");
  });
});
