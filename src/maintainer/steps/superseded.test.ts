/** Lives that several nodes number by clocks of their own, and events that were written without the coordinator. */
import { beforeEach, describe, expect, it } from "vitest";
import { d, ddl, everybody, idsOf, node, normal, schema, syncpoint, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const K = ddl(100n);
const split = { BlockTables: normal(20n) };

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.opening(n1, T, [{ id: 20n, schema: 1n }]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(21), table: 20n, end: "m" },
    ]),
    world.registration(n2, []),
    world.registration(n2, [{ id: d(22), table: 20n, start: "m" }]),
  );
});

const refused = (on: typeof n1) =>
  (world.take(on, "RegistrationResult") as { refused: { life: string; knownLife: string }[] }[]).flatMap(
    (result) => result.refused.map(({ life, knownLife }) => ({ life, knownLife })),
  );

describe("a dispatcher whose life was ended by one that came late (R4)", () => {
  it("is told when it waits, so that it is registered again, and the barrier goes on", async () => {
    // It was on n1 for a moment, whose clock is ahead, and went back: n1's registration comes when all is over.
    await world.handle(world.registration(n1, [{ id: d(22), table: 20n, start: "m", life: 900n }]));
    await world.handle(world.status(n1, d(22), 900n, 2));
    world.queues.clear();
    await world.handle(
      world.waiting(n1, [d(21)], K, split),
      world.waiting(n2, [{ id: d(22), life: 1n }], K, split),
    );
    expect(refused(n2)).toEqual([{ life: "1", knownLife: "900" }]);
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.registration(n2, [{ id: d(22), table: 20n, start: "m", life: 901n }]));
    await world.handle(world.waiting(n2, [{ id: d(22), life: 901n }], K, split));
    expect(await world.phase(K)).toBe("writing");
  });

  it("is not told while another has its place, nor if its own life is over as it knows", async () => {
    await world.handle(world.registration(n1, [{ id: d(22), table: 20n, start: "m", life: 900n }]));
    world.queues.clear();
    await world.handle(world.waiting(n2, [{ id: d(22), life: 1n }], K, split));
    expect(refused(n2)).toEqual([]);
    await world.handle(world.status(n1, d(22), 900n, 2));
    await world.handle(world.status(n1, d(21), 1n, 2));
    await world.handle(world.waiting(n1, [{ id: d(21), life: 1n }], K, split));
    expect([...refused(n1), ...refused(n2)]).toEqual([]);
  });
});

// protocol.md D13
describe("a dispatcher that carries its table alone and wrote the event by itself (D1)", () => {
  it("ends the barrier that those opened who were merged into it", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    await world.handle(world.status(n1, d(21), 1n, 2), world.status(n2, d(22), 1n, 2));
    await world.handle(world.registration(n2, [{ id: d(23), table: 20n, checkpoint: 99n }]));
    expect(await world.phase(K)).toBe("waiting");
    await world.handleCold(world.none(n2, d(23), K, {}));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("ends it too if those who were merged are heard of last", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    await world.handle(world.registration(n2, [{ id: d(23), table: 20n, checkpoint: 99n }]));
    await world.handle(world.none(n2, d(23), K, {}));
    expect(await world.phase(K)).toBe("passing");
    await world.handle(world.status(n1, d(21), 1n, 2), world.status(n2, d(22), 1n, 2));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("ends nothing while it shares the table, or if the event touches others", async () => {
    await world.handle(world.waiting(n1, [d(21)], K, split));
    await world.handle(world.none(n2, d(22), K, {}));
    expect(await world.phase(K)).toBe("waiting");
    const wide = ddl(200n);
    const both = { BlockTables: normal(0n, 20n) };
    await world.handle(world.status(n1, d(21), 1n, 2), world.status(n2, d(22), 1n, 2));
    await world.handle(world.registration(n2, [{ id: d(23), table: 20n, checkpoint: 150n }]));
    await world.handle(world.waiting(n1, [T], wide, both));
    await world.handle(world.none(n2, d(23), wide, {}));
    expect(await world.phase(wide)).toBe("waiting");
  });
});

describe("where a lost dispatcher stood", () => {
  it("is not what its chunk had complete before a rename brought it under the event", async () => {
    const rename = ddl(100n);
    const drop = ddl(110n);
    world = new World();
    await world.handle(
      world.opening(n1, T, [
        { id: 10n, schema: 1n },
        { id: 20n, schema: 2n },
      ]),
      world.registration(n1, []),
      world.registration(n1, [{ id: T, table: 0n }]),
      world.registration(n2, [
        { id: d(10), table: 10n, schema: 1n, checkpoint: 50n },
        { id: d(20), table: 20n, schema: 2n, checkpoint: 50n },
      ]),
    );
    const renames = {
      BlockTables: normal(0n, 20n),
      UpdatedSchemas: [{ TableID: 20n, OldSchemaID: 2n, NewSchemaID: 1n }],
    };
    const drops = { BlockTables: schema(1n), NeedDroppedTables: schema(1n) };
    // The one of schema 1 waits at the DROP: its chunk is complete, for the other is not of this schema yet.
    await world.handle(world.waiting(n2, [d(10)], drop, drops));
    await world.handle(world.waiting(n1, [T], rename, renames), world.waiting(n2, [d(20)], rename, renames));
    expect(idsOf(world.told(n1), "write", rename)).toEqual([T]);
    await world.handle(world.done(n1, [T], rename, "write"));
    await world.handle(world.done(n2, [d(20)], rename, "pass"));
    // Its node starts again without it, and a minute later it is given away: from behind the rename, before the rows that follow.
    await world.handle(
      world.registration({ ...n2, start: n2.start! + 1 }, [
        { id: d(10), table: 10n, schema: 1n, checkpoint: 109n, life: 2n },
      ]),
    );
    world.now += 61_000;
    await world.sweep();
    const [request] = [
      ...world.take(n1, "ScheduleDispatcherRequest"),
      ...world.take(n2, "ScheduleDispatcherRequest"),
    ] as {
      config: { startTs: bigint; skipDMLAsStartTs: boolean };
    }[];
    expect(request?.config).toMatchObject({ startTs: 100n, skipDMLAsStartTs: false });
  });

  it("is not what its chunk had complete after it was lost, seen by an invocation that is behind", async () => {
    world = new World();
    const point = syncpoint(100n);
    const all = { BlockTables: everybody };
    await world.handle(
      world.opening(n1, T, [
        { id: 10n, schema: 1n },
        { id: 20n, schema: 1n },
        { id: 30n, schema: 1n },
      ]),
      world.registration(n1, []),
      world.registration(n1, [{ id: T, table: 0n }]),
      world.registration(n2, [
        { id: d(10), table: 10n, checkpoint: 50n },
        { id: d(20), table: 20n, checkpoint: 50n },
      ]),
    );
    await world.handle(world.waiting(n1, [T], point, all));
    const again = { ...n2, start: n2.start! + 1 };
    let lost = false;
    await world.handleHooked(
      async (when, method) => {
        if (when !== "before" || method !== "touchTally" || lost) return;
        lost = true;
        // The node starts again without 20; who is left completes the chunk as it is then.
        await world.handleCold(
          world.registration(again, [{ id: d(10), table: 10n, checkpoint: 50n, life: 2n }]),
        );
        await world.handleCold(world.waiting(again, [{ id: d(10), life: 2n }], point, all));
      },
      world.registration(n2, [{ id: d(30), table: 30n, checkpoint: 50n }]),
    );
    expect(lost).toBe(true);
    world.now += 61_000;
    await world.sweep();
    const requests = (
      [n1, n2].flatMap((one) => world.take(one, "ScheduleDispatcherRequest")) as {
        config: { startTs: bigint; span: { TableID: bigint } };
      }[]
    ).map(({ config }) => [config.span.TableID, config.startTs]);
    expect(requests.sort()).toEqual([
      [20n, 50n],
      [30n, 50n],
    ]);
  });
});
