/** Dispatchers that are lost with their node, by messages in and messages out (protocol.md R5, R9b, R11; ticdc.md TM59, TM60). */
import { beforeEach, describe, expect, it } from "vitest";
import { dispatcherKey } from "../../barrier/dispatcher-id.ts";
import { mergedStart, restartAt } from "../../barrier/restart.ts";
import {
  ComponentState,
  OperatorType,
  ScheduleAction,
  type ScheduleDispatcherRequest,
} from "../../protocol/messages.ts";
import { run } from "../base/program.ts";
import { type Evicted, evict } from "../operator/evict.ts";
import { d, ddl, everybody, idsOf, node, normal, syncpoint, type TestNode, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const n3 = node("n3");
const T = d(1);
const split = { BlockTables: normal(20n) };
const all = { BlockTables: everybody };

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n, checkpoint: 50n },
      { id: d(10), table: 10n, checkpoint: 50n },
      { id: d(21), table: 20n, end: "m", checkpoint: 50n },
    ]),
    world.registration(n2, [{ id: d(22), table: 20n, start: "m", checkpoint: 50n }]),
    world.registration(n3, []),
  );
  world.queues.clear();
});

async function evicted(who: Evicted): Promise<void> {
  const [space] = await world.store.listSpaces();
  await run(evict(space!, who, world.invocation()), world.port);
}

const asked = (...nodes: TestNode[]) =>
  nodes.flatMap((one) =>
    (world.take(one, "ScheduleDispatcherRequest") as ScheduleDispatcherRequest[]).map((request) => ({
      node: one.id,
      id: dispatcherKey(request.config!.dispatcherID!),
      table: request.config!.span!.TableID,
      start: Buffer.from(request.config!.span!.StartKey).toString(),
      startTs: request.config!.startTs,
      skip: request.config!.skipDMLAsStartTs,
      move: request.operatorType === OperatorType.O_Move,
      create: request.scheduleAction === ScheduleAction.Create,
    })),
  );
/** What is asked for d(22) after its node is evicted. */
async function again22() {
  await evicted({ node: "n2" });
  const [request, ...more] = asked(n1, n2, n3);
  expect(more).toEqual([]);
  expect(request).toMatchObject({ node: "n3", id: d(22), table: 20n, start: "m", move: true, create: true });
  return { startTs: request!.startTs, skip: request!.skip };
}

describe("a node that is evicted", () => {
  it("has its dispatchers created on the node with the fewest, from their checkpoint", async () => {
    expect(await again22()).toEqual({ startTs: 50n, skip: false });
  });

  it("at a DDL: they start just before it, and drop the rows of its commitTs", async () => {
    await world.handle(world.waiting(n2, [d(22)], ddl(100n), split));
    expect(await again22()).toEqual({ startTs: 99n, skip: true });
  });

  it("at a syncpoint: they start at it, and get it first", async () => {
    await world.handle(world.waiting(n2, [d(22)], syncpoint(100n), all));
    expect(await again22()).toEqual({ startTs: 100n, skip: false });
  });

  it("behind a barrier that they have passed, closed or not: they do not go back before it", async () => {
    const key = ddl(100n);
    await world.handle(world.waiting(n1, [d(21)], key, split), world.waiting(n2, [d(22)], key, split));
    const told = [...world.told(n1), ...world.told(n2)];
    const [writer] = idsOf(told, "write", key);
    await world.handle(
      world.done(n1, [d(21)], key, writer === d(21) ? "write" : "pass"),
      world.done(n2, [d(22)], key, writer === d(22) ? "write" : "pass"),
      world.done(n1, [d(21)], key, "pass"),
    );
    expect(await world.phase(key)).toBeUndefined();
    expect(await again22()).toEqual({ startTs: 100n, skip: false });
  });

  it("is created again also when a life of it that never stood here is said to be over", async () => {
    await evicted({ dispatcher: d(22) });
    asked(n1, n2, n3);
    await world.handle(world.status(n2, d(22), 900n, ComponentState.Removed));
    world.now += 120_000;
    await world.sweep();
    const again = [n1, n2, n3].flatMap(
      (one) => world.take(one, "ScheduleDispatcherRequest") as ScheduleDispatcherRequest[],
    );
    const configs = again.map((request) => request.config!);
    expect(configs.map((one) => [dispatcherKey(one.dispatcherID!), one.startTs])).toEqual([[d(22), 50n]]);
    // In a life that is not over.
    expect(configs[0]!.life).toBeGreaterThan(900n);
  });

  it("at a barrier that it had not reached: they start from their checkpoint and meet it", async () => {
    await world.handle(world.waiting(n1, [d(21)], ddl(100n), split));
    expect(await again22()).toEqual({ startTs: 50n, skip: false });
  });

  it("does not get them itself, asks for nothing twice from elsewhere, and has its barriers close", async () => {
    const key = ddl(100n);
    await world.handle(world.waiting(n1, [d(21)], key, split), world.waiting(n2, [d(22)], key, split));
    await evicted({ node: "n2" });
    const first = asked(n1, n2, n3);
    await world.sweep();
    world.now += 120_000;
    await world.sweep();
    const repeated = asked(n1, n2, n3);
    expect(repeated.length).toBeGreaterThan(0);
    expect(new Set(repeated.map((one) => JSON.stringify(one, bigints)))).toEqual(
      new Set(first.map((one) => JSON.stringify(one, bigints))),
    );
    // The new life reports; from then on nobody is asked any more.
    await world.handle(
      world.registration(n3, [{ id: d(22), table: 20n, start: "m", life: 9n, checkpoint: 99n }]),
      world.waiting(n3, [{ id: d(22), life: 9n }], key, split),
    );
    const told = [n1, n2, n3].flatMap((one) => world.told(one));
    const writes = told.filter((one) => one.kind === "write");
    const writer = writes.at(-1)!;
    expect(writer.key).toBe("00000000000000000100-0");
    const isNew = writer.ids[0] === d(22);
    await world.handle(
      world.done(isNew ? n3 : n1, [{ id: writer.ids[0]!, life: writer.lives[0]! }], key, "write"),
      world.done(n1, [d(21)], key, "pass"),
      world.done(n3, [{ id: d(22), life: 9n }], key, "pass"),
    );
    expect(await world.phase(key)).toBeUndefined();
    await world.sweep();
    expect(asked(n1, n2, n3)).toEqual([]);
  });

  it("comes back by a registration, and is asked again from then on", async () => {
    await evicted({ node: "n2" });
    asked(n1, n2, n3);
    await world.handle(world.registration({ ...n2, start: 2 }, []));
    await evicted({ dispatcher: d(10) });
    expect(asked(n1, n2, n3).map((one) => one.id)).toContain(d(10));
  });

  it("is helped by the one scheduler, if the deployment names one", async () => {
    world.settings = { ...world.settings, schedulerQueue: "weir-action-scheduler" };
    await evicted({ node: "n2" });
    expect(asked(n1, n2, n3)).toEqual([]);
    expect(asked(node("scheduler"))).toMatchObject([{ id: d(22), startTs: 50n }]);
  });
});

const bigints = (_: string, value: unknown) => (typeof value === "bigint" ? `${value}n` : value);

describe("a node that started again", () => {
  const restarted = { ...n2, start: 2 };

  it("has a minute to bring its dispatchers back, then others are asked for them", async () => {
    await world.handle(world.registration(restarted, []));
    await world.sweep();
    expect(asked(n1, n2, n3)).toEqual([]);
    world.now += 61_000;
    await world.sweep();
    expect(asked(n1, n2, n3)).toMatchObject([{ id: d(22), startTs: 50n }]);
  });

  it("keeps what it registers again, also under other ids", async () => {
    await world.handle(
      world.registration(restarted, [{ id: d(29), table: 20n, start: "m", checkpoint: 60n }]),
    );
    world.now += 61_000;
    await world.sweep();
    expect(asked(n1, n2, n3)).toEqual([]);
  });
});

describe("a dispatcher that went on purpose", () => {
  it("is not created again: who removed it goes on with a split, a merge or a move", async () => {
    await world.handle(world.status(n2, d(22), 1n, ComponentState.Removed));
    world.now += 3_600_000;
    await world.sweep();
    expect(asked(n1, n2, n3)).toEqual([]);
  });

  it("is not created again with a table that was dropped", async () => {
    await world.handle(world.none(n1, T, ddl(90n), { NeedDroppedTables: normal(20n) }));
    asked(n1, n2, n3);
    await evicted({ node: "n2" });
    world.now += 3_600_000;
    await world.sweep();
    expect(asked(n1, n2, n3)).toEqual([]);
  });
});

describe("where a dispatcher starts", () => {
  const stands = (key: ReturnType<typeof ddl>) => [{ key, passed: false }];

  it("never goes below its checkpoint, and skips rows only at the DDL itself (ticdc.md TM59)", () => {
    expect(restartAt(50n, stands(ddl(100n)))).toEqual({ startTs: 99n, skipDMLAsStartTs: true });
    expect(restartAt(100n, stands(ddl(100n)))).toEqual({ startTs: 100n, skipDMLAsStartTs: false });
    expect(restartAt(120n, stands(syncpoint(100n)))).toEqual({ startTs: 120n, skipDMLAsStartTs: false });
    expect(restartAt(50n, [])).toEqual({ startTs: 50n, skipDMLAsStartTs: false });
    expect(restartAt(50n, [{ key: ddl(100n), passed: true }, ...stands(syncpoint(100n))])).toEqual({
      startTs: 100n,
      skipDMLAsStartTs: false,
    });
  });

  it("of a merge is the event at which all sources wait, else the lowest checkpoint (ticdc.md TM60)", () => {
    const at = (checkpointTs: bigint, waitsAt?: ReturnType<typeof ddl>) => ({ checkpointTs, waitsAt });
    const key = ddl(100n);
    expect(mergedStart([at(90n, key), at(95n, key)])).toEqual({ startTs: 99n, skipDMLAsStartTs: true });
    expect(mergedStart([at(90n, syncpoint(100n)), at(95n, syncpoint(100n))])).toEqual({
      startTs: 100n,
      skipDMLAsStartTs: false,
    });
    expect(mergedStart([at(90n, key), at(95n, syncpoint(100n))])).toEqual({
      startTs: 90n,
      skipDMLAsStartTs: false,
    });
    expect(mergedStart([at(90n, key), at(80n)])).toEqual({ startTs: 80n, skipDMLAsStartTs: false });
    expect(() => mergedStart([])).toThrow(RangeError);
  });
});
