/** Route admissions (protocol.md M23; ticdc.md T7), by messages in and messages out. */
import { beforeEach, describe, expect, it } from "vitest";
import { planRoutes, type RouteChange, sourceName, targetName } from "../../barrier/routes.ts";
import { RouteTableAdmissionAction } from "../../protocol/messages.ts";
import { again, d, ddl, idsOf, node, normal, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
      { id: d(21), table: 20n, end: "m" },
    ]),
    world.registration(n2, [{ id: d(22), table: 20n, start: "m" }]),
  );
  world.queues.clear();
});

const admit = (source: string, target: string) => ({
  Action: RouteTableAdmissionAction.ADMIT,
  SourceSchemaName: "a",
  SourceTableName: source,
  TargetSchemaName: "x",
  TargetTableName: target,
});
const release = (source: string) => ({
  Action: RouteTableAdmissionAction.RELEASE,
  SourceSchemaName: "a",
  SourceTableName: source,
});
const creates = (table: bigint, ...RouteTableAdmissions: object[]) => ({
  NeedAddedTables: [{ TableID: table, SchemaID: 1n }],
  RouteTableAdmissions,
});
const told = () => [...world.told(n1), ...world.told(n2)];
const root = () => [...world.store.roots.values()][0]!;
const chunksOf = (kind: string) =>
  [...world.store.chunks.values()].filter(
    (chunk) =>
      chunk.kind === kind &&
      root().pointers.some((one) => one.id === chunk.id && one.version === chunk.version),
  );
const routes = () =>
  chunksOf("routes").flatMap((chunk) =>
    chunk.kind === "routes" ? chunk.routes.map((one) => `${one.sourceTable}>${one.targetTable}`) : [],
  );

describe("admissions of events that are written already", () => {
  it("are applied in the order of events, and acknowledged then", async () => {
    await world.handle(world.none(n1, T, ddl(90n), creates(30n, admit("t30", "t"))));
    await world.handle(world.none(n1, T, ddl(95n), creates(31n, release("t30"), admit("t31", "t"))));
    expect(idsOf(told(), "ack", ddl(95n))).toEqual([T]);
    expect(routes()).toEqual(["t31>t"]);
  });

  it("that collide are an error that names both tables; nothing is applied and nobody else waits", async () => {
    await world.handle(world.none(n1, T, ddl(90n), creates(30n, admit("t30", "t"))));
    const second = world.none(n1, T, ddl(95n), creates(31n, admit("t31", "t")));
    const { observer } = await world.handle(second);
    const seen = told();
    expect(idsOf(seen, "ack", ddl(95n))).toEqual([]);
    expect(observer.seen.filter((one) => one.what === "route-conflict")).toMatchObject([
      { detail: expect.stringMatching(/a\.t31 and a\.t30 would both go to x\.t/) },
    ]);
    expect(routes()).toEqual(["t30>t"]);
    // Said once, whoever asks again.
    const repeated = await world.handle(again(second));
    expect(repeated.observer.seen.filter((one) => one.what === "route-conflict")).toEqual([]);

    const alter = ddl(97n);
    const state = { BlockTables: normal(20n) };
    await world.handle(world.waiting(n1, [d(21)], alter, state), world.waiting(n2, [d(22)], alter, state));
    expect(await world.phase(alter)).toBe("writing");
    const sweep = await world.sweep();
    expect(
      sweep.observer.seen.find((one) => one.what === "barrier-open" && one.detail?.includes("DDL 95")),
    ).toMatchObject({
      detail: expect.stringMatching(/written since .*a\.t31 and a\.t30 would both go to x\.t/),
    });
  });
});

describe("admissions of a barrier", () => {
  const rename = ddl(100n);
  const state = { BlockTables: normal(0n, 10n) };

  it("are the table trigger's, whoever reported first, and are applied when it is written", async () => {
    await world.handle(world.waiting(n1, [d(10)], rename, state));
    await world.handle(
      world.waiting(n1, [T], rename, { ...state, RouteTableAdmissions: [admit("t10", "u")] }),
    );
    expect(world.deadLetters).toEqual([]);
    expect(await world.phase(rename)).toBe("writing");
    expect(routes()).toEqual([]);
    await world.handle(world.done(n1, [T], rename, "write"));
    expect(routes()).toEqual(["t10>u"]);
    expect(root().pending).toEqual([]);
  });

  it("are known before Write is granted, though the table trigger is the second of two who open the barrier", async () => {
    const key = ddl(100n);
    const [opens, reports] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    /** Stops before its first write of the root, until the other one may have gone on. */
    const stopped = (until: Promise<void>, reached: () => void) => {
      let first = true;
      return async (when: "before" | "after", method: string) => {
        if (when !== "before" || method !== "commitRoot" || !first) return;
        first = false;
        reached();
        await until;
      };
    };
    const touched = { BlockTables: normal(0n, 20n) };
    const [there, triggerThere] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const other = world.handleHooked(
      stopped(opens.promise, there.resolve),
      again(world.waiting(n2, [d(22)], key, touched)),
    );
    await there.promise;
    const trigger = world.handleHooked(
      stopped(reports.promise, triggerThere.resolve),
      world.waiting(n1, [T, d(21)], key, { ...touched, RouteTableAdmissions: [admit("t10", "t")] }),
    );
    await triggerThere.promise;
    opens.resolve();
    await other;
    reports.resolve();
    await trigger;
    expect(told().filter((one) => one.kind === "write").length).toBeGreaterThan(0);
    await world.handle(world.done(n1, [T], key, "write"));
    expect(routes()).toEqual(["t10>t"]);
  });

  it("that collide are never granted, and a barrier behind it is not held by that", async () => {
    await world.handle(world.none(n1, T, ddl(90n), creates(30n, admit("t30", "t"))));
    await world.handle(
      world.waiting(n1, [T, d(10)], rename, { ...state, RouteTableAdmissions: [admit("t10", "t")] }),
    );
    expect(await world.phase(rename)).toBe("waiting");
    expect(idsOf(told(), "write", rename)).toEqual([]);
    const alter = ddl(110n);
    const split = { BlockTables: normal(20n) };
    await world.handle(world.waiting(n1, [d(21)], alter, split), world.waiting(n2, [d(22)], alter, split));
    expect(await world.phase(alter)).toBe("writing");
  });

  it("frees what waited behind it when the conflict is found last", async () => {
    await world.handle(world.none(n1, T, ddl(90n), creates(30n, admit("t30", "t"))));
    await world.handle(world.waiting(n1, [d(10)], rename, { ...state, NeedDroppedTables: normal(10n) }));
    const alter = ddl(110n);
    const split = { BlockTables: normal(20n) };
    await world.handle(world.waiting(n1, [d(21)], alter, split), world.waiting(n2, [d(22)], alter, split));
    expect(await world.phase(alter)).toBe("waiting");
    await world.handle(
      world.waiting(n1, [T], rename, {
        ...state,
        NeedDroppedTables: normal(10n),
        RouteTableAdmissions: [admit("t10", "t")],
      }),
    );
    expect(await world.phase(rename)).toBe("waiting");
    expect(await world.phase(alter)).toBe("writing");
  });

  it("are invalid without their names: kept with what is missing, the rest of the message counts", async () => {
    const nameless = { ...admit("t10", "u"), TargetTableName: "" };
    await world.handle(
      world.waiting(n1, [T, d(10)], rename, { ...state, RouteTableAdmissions: [nameless] }),
      world.waiting(n1, [d(10)], ddl(100n), state),
    );
    expect(world.deadLetters[0]!.reason).toMatch(/RouteTableAdmissions\[0\]: TargetTableName is absent/);
    expect(idsOf(told(), "ack", rename)).toEqual([d(10)]);
  });
});

describe("planRoutes", () => {
  const none = { bySource: new Map(), byTarget: new Map() };
  const table = (name: string) => ({ sourceSchema: "a", sourceTable: name });
  const to = (name: string, target: string) =>
    ({ action: "admit", ...table(name), targetSchema: "x", targetTable: target }) as const;
  const plan = (changes: RouteChange[], from: readonly RouteChange[] = []) => {
    const before = from.flatMap((one) => (one.action === "admit" ? [one] : []));
    const routes = before.map(({ action: _, ...route }) => route);
    return planRoutes(
      {
        bySource: new Map(routes.map((route) => [sourceName(route), route])),
        byTarget: new Map(routes.map((route) => [targetName(route), route])),
      },
      changes,
    );
  };

  it("takes a source's new target for its old one", () => {
    expect(plan([to("t", "u")], [to("t", "v")])).toMatchObject({ put: [{ targetTable: "u" }], removed: [] });
    expect(plan([to("t", "u"), to("s", "v")], [to("t", "v")])).toMatchObject({ removed: [] });
  });

  it("releases a schema, and knows that what is admitted again is no change", () => {
    expect(
      plan([{ action: "release-schema", sourceSchema: "a" }], [to("t", "u"), to("s", "v")]),
    ).toMatchObject({
      put: [],
      removed: [{ sourceTable: "t" }, { sourceTable: "s" }],
    });
    expect(plan([to("t", "u")], [to("t", "u")])).toEqual({ put: [], removed: [] });
    expect(planRoutes(none, [{ action: "release", ...table("t") }])).toEqual({ put: [], removed: [] });
  });
});
