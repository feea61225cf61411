/** How far the checkpoint may go (protocol.md M13, D10). */
import { beforeEach, expect, it } from "vitest";
import { ComponentState } from "../../protocol/messages.ts";
import { run } from "../base/program.ts";
import { spaceOf } from "../base/space.ts";
import { CHANGEFEED, d, ddl, everybody, node, normal, syncpoint, World } from "../testing/world.ts";
import { readCheckpointLimit } from "./checkpoint.ts";

const n1 = node("n1");
const T = d(1);
const K = ddl(100n);
const truncate = {
  BlockTables: normal(0n, 10n),
  NeedDroppedTables: normal(10n),
  NeedAddedTables: [{ TableID: 11n, SchemaID: 1n }],
};

let world: World;
beforeEach(async () => {
  world = new World();
  await world.handle(
    world.registration(n1, [
      { id: T, table: 0n },
      { id: d(10), table: 10n },
    ]),
  );
});
const limit = () => run(readCheckpointLimit(spaceOf(CHANGEFEED, 0n)), world.port);
const open = () => world.handle(world.opening(n1, T, [{ id: 10n, schema: 1n }]));

it("is nothing at all before the changefeed is open, and free while nothing holds it", async () => {
  expect(await limit()).toEqual({ atMost: 0n, because: "the changefeed is not opened yet" });
  await open();
  expect((await limit())!.atMost).toBeUndefined();
  expect(
    await run(readCheckpointLimit(spaceOf({ ...CHANGEFEED, name: "none" }, 0n)), world.port),
  ).toBeUndefined();
});

it("stays below a DDL that is not written, and at one that adds tables until they have dispatchers", async () => {
  await open();
  await world.handle(world.waiting(n1, [T], K, truncate));
  expect(await limit()).toMatchObject({
    atMost: 99n,
    because: expect.stringMatching(/DDL 100 is not written/),
  });
  await world.handle(world.waiting(n1, [d(10)], K, truncate));
  expect((await limit())!.atMost).toBe(99n);
  await world.handle(world.done(n1, [T], K, "write"));
  expect(await world.phase(K)).toBeUndefined();
  expect(await limit()).toEqual({ atMost: 100n, because: "table 11 is not covered by dispatchers" });
  await world.handle(world.registration(n1, [{ id: d(11), table: 11n, checkpoint: 100n }]));
  expect((await limit())!.atMost).toBeUndefined();
});

it("may reach a syncpoint that is not written, and no more", async () => {
  await open();
  await world.handle(world.waiting(n1, [T], syncpoint(100n), { BlockTables: everybody }));
  expect((await limit())!.atMost).toBe(100n);
});

it("stays at an event that adds tables and is not in its turn", async () => {
  await open();
  await world.handle(
    world.waiting(n1, [d(10)], ddl(90n), { BlockTables: normal(10n), NeedDroppedTables: normal(10n) }),
  );
  await world.handle(world.none(n1, T, K, { NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }] }));
  expect((await limit())!.atMost).toBe(89n);
  await world.handle(world.done(n1, [d(10)], ddl(90n), "write"));
  expect((await limit())!.atMost).toBe(100n);
});

it("stays where a lost dispatcher is created again, and is not lost by a removal on purpose", async () => {
  await open();
  await world.handle(world.waiting(n1, [d(10)], K, { BlockTables: normal(10n, 0n) }));
  await world.handle(
    world.registration({ ...n1, start: 2 }, []),
    world.registration({ ...n1, start: 2 }, [{ id: T, table: 0n, life: 2n }]),
  );
  expect((await limit())!.atMost).toBe(1n);
  world.now += 61_000;
  await world.sweep();
  expect(await limit()).toEqual({ atMost: 99n, because: expect.stringMatching(/DDL 100|table 10/) });
  await world.handle(
    world.registration({ ...n1, start: 2 }, [{ id: d(10), table: 10n, life: 2n, checkpoint: 99n }]),
  );
  await world.handle(world.status({ ...n1, start: 2 }, d(10), 2n, ComponentState.Removed));
  expect((await limit())!.atMost).toBe(0n);
});

it("stays at an event that adds tables until its barrier is closed, also when they have dispatchers (M13)", async () => {
  await open();
  const like = { BlockTables: normal(0n, 10n), NeedAddedTables: truncate.NeedAddedTables };
  await world.handle(world.waiting(n1, [T, d(10)], K, like));
  await world.handle(world.done(n1, [T], K, "write"));
  await world.handle(world.registration(n1, [{ id: d(11), table: 11n, checkpoint: 100n }]));
  expect(await world.phase(K)).toBe("passing");
  expect(await limit()).toMatchObject({ atMost: 100n, because: "DDL 100 adds tables and is passing" });
});
