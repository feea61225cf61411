/** Dispatchers that a node is asked for and does not create go to another (protocol.md R11, M10, R9b). */
import { beforeEach, describe, expect, it } from "vitest";
import { dispatcherKey } from "../../barrier/dispatcher-id.ts";
import { ComponentState, type ScheduleDispatcherRequest } from "../../protocol/messages.ts";
import { run } from "../base/program.ts";
import { evict } from "../operator/evict.ts";
import { again, d, ddl, node, normal, oldNode, type TestNode, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const n3 = node("n3");
const T = d(1);
const created = { BlockTables: normal(0n), NeedAddedTables: [{ TableID: 30n, SchemaID: 1n }] };

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
    ]),
    world.registration(n2, []),
  );
  world.queues.clear();
});

interface Asked {
  readonly node: string;
  readonly id: string;
  readonly table: bigint;
  readonly life: bigint;
  readonly startTs: bigint;
}

const asked = (...nodes: TestNode[]): Asked[] =>
  nodes.flatMap((one) =>
    (world.take(one, "ScheduleDispatcherRequest") as ScheduleDispatcherRequest[]).map(({ config }) => ({
      node: one.id,
      id: dispatcherKey(config!.dispatcherID!),
      table: config!.span!.TableID,
      life: config!.life,
      startTs: config!.startTs,
    })),
  );

const create = () => world.handle(world.none(n1, T, ddl(100n), created));
const registers = (on: TestNode, { id, life, startTs }: Asked) =>
  world.handle(world.registration(on, [{ id, table: 30n, life, checkpoint: startTs }]));
const answered = (on: TestNode) =>
  world.take(on, "RegistrationResult") as { accepted: unknown[]; refused: { reason: string }[] }[];
const hostOf = async () => {
  const [root] = world.store.roots.values();
  const chunks = await world.store.readChunks((await world.store.listSpaces())[0]!, root!.pointers);
  return chunks.flatMap((chunk) =>
    chunk?.kind === "dispatchers" ? chunk.lives.filter((life) => life.tableId === 30n) : [],
  );
};

describe("a table that was given to a node", () => {
  it("goes to another in the same sweep when the node's queue is gone, and the node is asked for nothing more", async () => {
    world.missingQueues.add(n2.queue);
    await create();
    await world.sweep();
    const [first] = asked(n1);
    expect(first).toMatchObject({ node: "n1", table: 30n, startTs: 100n });
    await registers(n1, first!);
    expect((await hostOf()).map((life) => life.node)).toEqual(["n1"]);
    await world.handle(
      world.none(n1, T, ddl(110n), { ...created, NeedAddedTables: [{ TableID: 31n, SchemaID: 1n }] }),
    );
    expect(asked(n1)).toMatchObject([{ table: 31n }]);
  });

  it("goes to another when the node does not obey for long, from the same event and in a higher life", async () => {
    await create();
    const [first] = asked(n2);
    world.now += 120_000;
    await world.sweep();
    expect(asked(n1, n2)).toEqual([first]);
    world.now += 61_000;
    await world.sweep();
    const [second, ...more] = asked(n1, n2);
    expect(more).toEqual([]);
    expect(second).toEqual({ ...first, node: "n1", life: second!.life });
    expect(second!.life).toBeGreaterThan(first!.life);
    await world.sweep();
    expect(asked(n1, n2)).toEqual([second]);
  });

  it.each(["before", "after"])("is not taken from whoever has it by one who obeys late, %s", async (when) => {
    await create();
    const [first] = asked(n2);
    world.now += 181_000;
    await world.sweep();
    const [second] = asked(n1);
    if (when === "before") await registers(n2, first!);
    await registers(n1, second!);
    if (when === "after") await registers(n2, first!);
    const reason = when === "before" ? "this life is over" : "a higher life is registered";
    expect(answered(n2)).toMatchObject([{ accepted: [], refused: [{ reason }] }]);
    expect((await hostOf()).map((life) => life.node)).toEqual(["n1"]);
  });

  it("goes to another when the node is evicted", async () => {
    await create();
    expect(asked(n2)).toHaveLength(1);
    const [space] = await world.store.listSpaces();
    await run(evict(space!, { node: "n2" }, world.invocation()), world.port);
    await world.sweep();
    expect(asked(n1)).toMatchObject([{ table: 30n }]);
  });

  it("is asked for when there was nobody at all, and a node comes", async () => {
    world = new World();
    const silent = { ...n1, queue: "" };
    await world.handle(
      world.opening(n1, T, []),
      world.registration(silent, [{ id: T, table: 0n }], { queue: "weir-action-own" }),
    );
    await create();
    await world.sweep();
    expect(asked(n1, n2)).toEqual([]);
    await world.handle(world.registration(n2, []));
    await world.sweep();
    expect(asked(n2)).toMatchObject([{ table: 30n, startTs: 100n }]);
  });

  it("that its dispatcher left on purpose has as long to come back, then another is asked, in a life that counts", async () => {
    await create();
    const [first] = asked(n2);
    await registers(n2, first!);
    world.now += 1_000_000;
    await world.handle(world.status(n2, first!.id, first!.life, ComponentState.Removed));
    await world.sweep();
    expect(asked(n1, n2)).toEqual([]);
    world.now += 181_000;
    await world.sweep();
    const [second] = asked(n1, n2);
    expect(second!.id).toBe(first!.id);
    await registers(n1, second!);
    expect((await hostOf()).map((life) => life.life)).toEqual([second!.life]);
  });

  it("stays with an old node that can be told, for nobody could refuse what it begins", async () => {
    world = new World();
    const old = oldNode("o1");
    await world.handle(
      world.opening(old, T, []),
      world.registration(old, [
        { id: T, table: 0n },
        { id: d(10), table: 10n },
      ]),
      world.registration(n1, [
        { id: d(11), table: 11n },
        { id: d(12), table: 12n },
        { id: d(13), table: 13n },
      ]),
    );
    world.queues.clear();
    await world.handle(world.none(old, T, ddl(100n), created));
    expect(asked(old)).toMatchObject([{ life: 0n }]);
    world.now += 3_600_000;
    await world.sweep();
    expect(asked(n1)).toEqual([]);
    expect(asked(old)).toMatchObject([{ life: 0n }]);
    world.missingQueues.add(old.queue);
    await world.sweep();
    expect(asked(n1)).toMatchObject([{ table: 30n }]);
  });

  it("asks one node with dispatchers and not one after the other of many that may be gone", async () => {
    await world.handle(...Array.from({ length: 20 }, (_, at) => world.registration(node(`a${at}`), [])));
    await create();
    world.now += 181_000;
    await world.sweep();
    expect(asked(n1)).toMatchObject([{ table: 30n }]);
  });
});

describe("a lost dispatcher that was given to a node", () => {
  it("goes to another when the node does not obey, and one who obeys late is refused", async () => {
    await world.handle(world.registration(n3, [{ id: d(40), table: 10n }]), world.registration(n2, []));
    const [space] = await world.store.listSpaces();
    await run(evict(space!, { dispatcher: d(10) }, world.invocation()), world.port);
    await run(evict(space!, { node: "n3" }, world.invocation()), world.port);
    const first = asked(n1, n2).find((one) => one.id === d(10))!;
    world.now += 181_000;
    await world.sweep();
    const second = asked(n1, n2).find((one) => one.id === d(10))!;
    expect(second.node).not.toBe(first.node);
    expect(second).toMatchObject({ startTs: first.startTs });
    const on = (one: Asked) => (one.node === "n1" ? n1 : n2);
    answered(n1);
    answered(n2);
    const late = world.registration(on(first), [{ id: d(10), table: 10n, life: first.life }]);
    await world.handle(late);
    expect(answered(on(first))).toMatchObject([{ accepted: [], refused: [{ reason: "this life is over" }] }]);
    await world.handle(world.registration(on(second), [{ id: d(10), table: 10n, life: second.life }]));
    await world.handle(again(late));
    expect(answered(on(second))).toMatchObject([{ refused: [] }]);
  });
});
