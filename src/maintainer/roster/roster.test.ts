/** Who takes part (protocol.md R1 to R10), by messages in and messages out. */
import { beforeEach, describe, expect, it } from "vitest";
import { ComponentState } from "../../protocol/messages.ts";
import {
  again,
  d,
  ddl,
  everybody,
  idsOf,
  node,
  normal,
  oldNode,
  schema,
  syncpoint,
  World,
} from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const K = ddl(100n);
const life = (id: string, number: bigint) => ({ id, life: number });
const state = { BlockTables: normal(10n) };

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 30n, schema: 2n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
    ]),
    world.registration(n2, [{ id: d(30), table: 30n, schema: 2n }]),
  );
});
const results = (on: typeof n1) =>
  world.take(on, "RegistrationResult") as {
    accepted: { life: string }[];
    refused: { life: string; knownLife: string; reason: string }[];
    maintainerEpoch: string;
  }[];

describe("R1: the opening", () => {
  const parts = (part: number, id: bigint) => world.opening(n1, T, [{ id, schema: 1n }], { part, parts: 2 });

  it("lets no barrier advance before all parts have come, whatever their order", async () => {
    world = new World();
    const key = syncpoint(5n);
    await world.handle(world.registration(n1, [{ id: T, table: 0n }]));
    await world.handle(parts(2, 20n));
    await world.handle(world.waiting(n1, [T], key, { BlockTables: everybody }));
    expect(idsOf(world.told(n1), "ack", key)).toEqual([T]);
    await world.handle(parts(2, 20n));
    await world.handle(world.registration(n2, [{ id: d(20), table: 20n }]));
    await world.handle(world.waiting(n2, [d(20)], key, { BlockTables: everybody }));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(parts(1, 10n));
    expect(await world.phase(key)).toBe("waiting");
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n }]));
    await world.handle(world.waiting(n2, [d(10)], key, { BlockTables: everybody }));
    expect(idsOf(world.told(n1), "write", key)).toEqual([T]);
  });

  it("judges what was reported before it, and what came before anybody registered", async () => {
    world = new World();
    await world.handle(world.waiting(n1, [d(10)], K, state));
    await world.handle(world.registration(n1, [{ id: d(10), table: 10n }]));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.opening(n1, T, [{ id: 10n, schema: 1n }]));
    expect(idsOf(world.told(n1), "write", K)).toEqual([d(10)]);
  });

  it("starts a higher epoch empty and drops what belongs to a lower one", async () => {
    await world.handle(world.waiting(n1, [d(10)], K, state));
    await world.handle(world.registration(n1, [{ id: T, table: 0n, life: 5n }], { epoch: 2n }));
    expect(await world.phase(K)).toBeUndefined();
    expect(results(n1).at(-1)).toMatchObject({ accepted: [{ life: "5" }], maintainerEpoch: "2" });
    const before = world.store.clone();
    await world.handle(world.registration(n1, [{ id: d(10), table: 10n, life: 9n }], { epoch: 1n }));
    await world.handle(world.opening(n1, d(99), [{ id: 77n, schema: 1n }], { epoch: 1n }));
    expect(world.store.roots).toEqual(before.roots);
    // A late report and a late DONE of the earlier epoch find nobody.
    await world.handle(world.done(n1, [d(10)], K, "write"), world.waiting(n1, [d(10)], K, state));
    expect(await world.phase(K)).toBeUndefined();
  });

  // protocol.md R1b
  it("acknowledges a CREATE that its table trigger has registered behind it in a higher epoch", async () => {
    const add = { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] };
    const create = () => world.none(n1, { id: T, life: 5n }, K, add);
    await world.handle(
      world.registration(n1, [{ id: T, table: 0n, life: 5n, checkpoint: 100n }], { epoch: 2n }),
    );
    const before = world.store.clone();
    // The ACK of the former epoch was dropped: it stands still, and its node may not even close it (D3, D10a).
    await world.handle(create());
    expect(idsOf(world.told(n1), "ack", K)).toEqual([T]);
    await world.handle(world.opening(n1, T, [{ id: 40n, schema: 1n }], { epoch: 2n }));
    await world.handle(create());
    expect(idsOf(world.told(n1), "ack", K)).toEqual([T]);
    // It opens nothing: its tables are those of the opening, and may have been dropped when a late one comes.
    expect(world.store.barriers).toEqual(before.barriers);
  });

  // protocol.md R1b
  it("has who registered before the opening in the schema that the opening names", async () => {
    const drop = { BlockTables: schema(2n), NeedDroppedTables: schema(2n) };
    const later = ddl(300n);
    // It starts from before the rename of 10 to schema 2, which the table trigger has behind it.
    await world.handle(
      world.registration(n1, [{ id: d(10), table: 10n, schema: 1n, life: 5n, checkpoint: 100n }], {
        epoch: 2n,
      }),
      world.registration(n1, [{ id: T, table: 0n, life: 5n, checkpoint: 200n }], { epoch: 2n }),
      world.opening(n1, T, [{ id: 10n, schema: 2n }], { epoch: 2n }),
    );
    await world.handle(world.waiting(n1, [{ id: T, life: 5n }], later, drop));
    expect(idsOf(world.told(n1), "write", later)).toEqual([]);
    await world.handle(world.waiting(n1, [{ id: d(10), life: 5n }], later, drop));
    expect(idsOf(world.told(n1), "write", later)).toEqual([T]);
  });

  it("lets a node that restarted name another table trigger, and nobody else", async () => {
    const rename = (from: typeof n1, trigger: string) => world.handle(world.opening(from, trigger, []));
    const trigger = () => [...world.store.roots.values()][0]!.meta.trigger;
    await rename({ ...n2, start: 9 }, d(77));
    await rename(n1, d(78));
    expect(trigger()).toBe(T);
    await rename({ ...n1, start: 2 }, d(79));
    expect(trigger()).toBe(d(79));
  });
});

describe("R4 to R6: lives", () => {
  it("change nothing by late copies of an earlier life's messages, after a restart and after a move", async () => {
    const first = [
      world.registration(n1, [{ id: d(10), table: 10n }]),
      world.status(n1, d(10), 1n, ComponentState.Removed),
      world.status(n1, d(10), 1n, ComponentState.Preparing),
      world.waiting(n1, [d(10)], K, state),
      world.done(n1, [d(10)], K, "write"),
      world.done(n1, [d(10)], K, "pass"),
    ];
    // Moved to another node, then that node restarted: three lives one after the other.
    for (const move of [
      world.registration(n2, [{ id: d(10), table: 10n, life: 2n }]),
      world.registration({ ...n2, start: 2 }, [
        { id: d(10), table: 10n, life: 3n },
        { id: d(30), table: 30n, schema: 2n, life: 3n },
      ]),
    ]) {
      await world.handle(move);
      const before = world.store.clone();
      await world.handle(...first.map(again));
      await world.handleCold(...first.map(again));
      expect(world.store.roots).toEqual(before.roots);
      expect(world.store.tallies).toEqual(before.tallies);
      expect(await world.phase(K)).toBeUndefined();
    }
    expect(world.deadLetters).toEqual([]);
    world.told(n1);
    await world.handle(world.waiting({ ...n2, start: 2 }, [life(d(10), 3n)], K, state));
    expect(idsOf(world.told(n2), "write", K)).toEqual([d(10)]);
  });

  it("are refused with the known life, and told so", async () => {
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 4n }]));
    results(n2);
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 3n }]));
    expect(results(n2)[0]!.refused).toMatchObject([
      { life: "3", knownLife: "4", reason: "a higher life is registered" },
    ]);
    await world.handle(world.registration(n1, [{ id: d(10), table: 10n, life: 4n }]));
    expect(results(n1).at(-1)!.refused[0]!.reason).toMatch(/registered on node "n2"/);
    await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 4n }]));
    expect(results(n2)[0]!.accepted).toMatchObject([{ life: "4" }]);
  });

  it("are not revived by a late copy after they ended", async () => {
    const registration = world.registration(n1, [{ id: d(10), table: 10n, life: 3n }]);
    await world.handle(registration);
    await world.handle(world.status(n1, d(10), 3n, ComponentState.Stopped));
    results(n1);
    await world.handle(again(registration));
    expect(results(n1)[0]!.refused).toMatchObject([{ knownLife: "3", reason: "this life is over" }]);
    await world.handle(world.registration(n1, [{ id: d(10), table: 10n, life: 4n }]));
    expect(results(n1)[0]!.accepted).toMatchObject([{ life: "4" }]);
  });

  it("end for a node that starts again, and messages of the earlier start are dropped", async () => {
    const old = world.registration(n1, [{ id: d(55), table: 10n, life: 99n }]);
    await world.handle(world.registration({ ...n1, start: 7 }, [{ id: T, table: 0n, life: 2n }]));
    await world.handle(world.waiting({ ...n1, start: 7 }, [life(d(10), 1n)], K, state));
    expect(await world.phase(K)).toBeUndefined();
    const before = world.store.clone();
    await world.handle(old);
    expect(world.store.roots).toEqual(before.roots);
    await world.handle(world.waiting(n1, [life(d(55), 99n)], K, state));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("keep a status that comes before the registration", async () => {
    await world.handle(world.status(n2, d(50), 1n, ComponentState.Working));
    world.now += 10;
    const late = world.registration(n2, [{ id: d(50), table: 10n, state: ComponentState.Initializing }]);
    await world.handle({ ...late, sentAt: late.sentAt - 20 });
    await world.handle(world.waiting(n2, [d(50)], K, state));
    expect(idsOf(world.told(n2), "ignored", K)).toEqual([]);
  });
});

describe("M1: a dispatcher that does not replicate yet", () => {
  it("is told that its WAITING was ignored, and counts once it works", async () => {
    await world.handle(
      world.registration(n2, [{ id: d(10), table: 10n, life: 2n, state: ComponentState.Initializing }]),
    );
    await world.handle(world.waiting(n2, [life(d(10), 2n)], K, state));
    expect(idsOf(world.told(n2), "ignored", K)).toEqual([d(10)]);
    expect(await world.phase(K)).toBeUndefined();
    world.now += 10;
    await world.handle(world.status(n2, d(10), 2n, ComponentState.Working));
    await world.handle(world.waiting(n2, [life(d(10), 2n)], K, state));
    expect(idsOf(world.told(n2), "write", K)).toEqual([d(10)]);
  });
});

describe("R7: only the host may speak", () => {
  const as = (principal: string, message: ReturnType<World["waiting"]>) => ({ ...message, principal });

  it("binds a node to the principal that registered it first", async () => {
    const n3 = node("n3");
    await world.handle(as("AROA1", world.registration(n3, [{ id: d(50), table: 10n }])));
    const before = world.store.clone();
    await world.handle(
      as("AROA2", world.registration(n3, [{ id: d(51), table: 10n }])),
      as("AROA2", world.waiting(n3, [d(50)], K, state)),
      as("AROA2", world.status(n3, d(50), 1n, ComponentState.Removed)),
    );
    expect(world.store.roots).toEqual(before.roots);
    expect(world.deadLetters).toHaveLength(3);
    for (const { reason } of world.deadLetters) expect(reason).toMatch(/AROA2 may not speak as node "n3"/);
  });
});

describe("R8, R10: what is expected", () => {
  it("is held by a table of the changefeed without a dispatcher, not by one that a new node filtered out", async () => {
    await world.handle(world.waiting(n1, [T, d(10)], K, { BlockTables: normal(0n, 10n, 999n) }));
    expect(await world.phase(K)).toBe("writing");
    const held = ddl(200n);
    await world.handle(world.status(n2, d(30), 1n, ComponentState.Removed));
    await world.handle(world.waiting(n1, [d(10)], held, { BlockTables: normal(10n, 30n) }));
    expect(await world.phase(held)).toBe("waiting");
  });

  it("is held by an unknown table where the table trigger does not say that it was filtered (decisions/0017)", async () => {
    await world.handle(world.waiting(n1, [d(10)], K, { BlockTables: normal(10n, 40n) }));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.none(n1, T, ddl(90n), { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] }));
    await world.handle(world.registration(n2, [{ id: d(40), table: 40n, checkpoint: 90n }]));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.waiting(n2, [d(40)], K, { BlockTables: normal(10n, 40n) }));
    expect(await world.phase(K)).toBe("writing");
  });

  it("is held by an unknown table of an old node, whose table may only be late", async () => {
    const old = oldNode("old");
    await world.handle(world.registration(old, [{ id: d(60), table: 60n }]));
    world.now += 5;
    await world.handle(world.waiting(old, [d(60)], K, { BlockTables: normal(60n, 999n) }));
    expect(await world.phase(K)).toBe("waiting");
  });

  it.each([
    ["the DDL at it, which is written then", ddl(100n), "passing"],
    ["not the syncpoint at it", syncpoint(100n), "waiting"],
  ])("takes a life as past what lies at or below its checkpoint: %s", async (_, key, phase) => {
    await world.handle(world.registration(n2, [{ id: d(40), table: 30n, schema: 2n, checkpoint: 100n }]));
    await world.handle(world.waiting(n1, [T, d(10)], key, { BlockTables: everybody }));
    await world.handle(world.waiting(n2, [d(30)], key, { BlockTables: everybody }));
    expect(await world.phase(key)).toBe(phase);
  });

  it("takes a renamed table as part of its new schema from the rename on", async () => {
    const before = ddl(95n);
    const rename = ddl(100n);
    const ofSchema = { BlockTables: schema(2n) };
    await world.handle(
      world.waiting(n1, [T], before, ofSchema),
      world.waiting(n2, [d(30)], before, ofSchema),
    );
    await world.handle(world.done(n1, [T], before, "write"));
    const moved = {
      BlockTables: normal(0n, 10n),
      UpdatedSchemas: [{ TableID: 10n, OldSchemaID: 1n, NewSchemaID: 2n }],
    };
    await world.handle(world.waiting(n1, [T, d(10)], rename, moved));
    world.told(n1);
    await world.handle(world.done(n1, [T], rename, "write"));
    // Its own dispatcher passes the rename; the earlier event of its new schema is none of its business.
    expect(idsOf(world.told(n1), "pass", rename)).toEqual([T, d(10)]);
    await world.handle(world.done(n2, [d(30)], before, "pass"), world.done(n1, [d(10)], rename, "pass"));
    expect(await world.phase(before)).toBeUndefined();
    expect(await world.phase(rename)).toBeUndefined();
    const after = ddl(110n);
    await world.handle(world.waiting(n1, [T], after, ofSchema), world.waiting(n2, [d(30)], after, ofSchema));
    expect(await world.phase(after)).toBe("waiting");
    await world.handle(world.waiting(n1, [d(10)], after, ofSchema));
    expect(await world.phase(after)).toBe("writing");
  });
});

describe("M2, M3", () => {
  it("take who reports a later key as done with an earlier one", async () => {
    const key = syncpoint(100n);
    await world.handle(world.waiting(n1, [T, d(10)], key, { BlockTables: everybody }));
    await world.handle(world.waiting(n2, [d(30)], key, { BlockTables: everybody }));
    await world.handle(world.done(n1, [T], key, "write"), world.done(n2, [d(30)], key, "pass"));
    expect(await world.phase(key)).toBe("passing");
    await world.handle(world.waiting(n1, [d(10)], ddl(150n), state));
    expect(await world.phase(key)).toBeUndefined();
  });

  it("let the first report stand, and keep one that says otherwise", async () => {
    await world.handle(world.waiting(n1, [T], syncpoint(100n), { BlockTables: everybody }));
    await world.handle(world.waiting(n1, [d(10)], syncpoint(100n), { BlockTables: normal(10n) }));
    expect(world.deadLetters.map((letter) => letter.reason)).toEqual([
      expect.stringMatching(/names other tables/),
    ]);
    await world.handle(world.waiting(n2, [d(30)], syncpoint(100n), { BlockTables: everybody }));
    expect(await world.phase(syncpoint(100n))).toBe("writing");
  });
});

describe("M12: old nodes", () => {
  it("are told Pass by influence, without lives, and by id where a queue serves one", async () => {
    world = new World();
    const old = oldNode("old");
    await world.handle(
      world.opening(old, T, []),
      world.registration(old, [
        { id: T, table: 0n },
        { id: d(10), table: 10n },
      ]),
      world.registration(old, [{ id: d(20), table: 20n }], { queue: "weir-action-single" }),
    );
    world.now += 5;
    const key = syncpoint(100n);
    await world.handle(world.waiting(old, [T, d(10), d(20)], key, { BlockTables: everybody }));
    world.told(old);
    await world.handle(world.done(old, [T], key, "untyped"));
    const shared = world.told(old).filter((one) => one.kind === "pass");
    expect(shared).toMatchObject([{ ids: [], lives: [], influence: 0 }]);
    expect(world.told("weir-action-single").filter((one) => one.kind === "pass")).toMatchObject([
      { ids: [d(20)], lives: [] },
    ]);
    expect(world.take(old, "RegistrationResult")).toEqual([]);
  });
});
