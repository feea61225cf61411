/** What the exhaustive checker found (docs/proof.md): the shortest way to each, told as a test. */
import { expect, it } from "vitest";
import { ComponentState } from "../../protocol/messages.ts";
import { A, ALTER, B, n1, n2, split, T } from "../testing/split.ts";
import { again, d, ddl, everybody, freezeAt, idsOf, normal, syncpoint, World } from "../testing/world.ts";

class Crash extends Error {}

it("takes the DONE of a grant that this environment does not know of yet", async () => {
  const world = await split();
  const key = ddl(100n);
  await world.handle(world.waiting(n1, [A], key, ALTER));
  await world.handle(world.waiting(n2, [B], key, ALTER));
  const restarted = { ...n2, start: 2 };
  await world.handle(world.registration(restarted, [{ id: B, table: 10n, start: "m", life: 2n }]));
  // Another environment gives B's new life the grant; this one remembers the root of before that.
  await world.handleCold(world.waiting(restarted, [{ id: B, life: 2n }], key, ALTER));
  await world.handle(world.done(restarted, [{ id: B, life: 2n }], key, "write"));
  expect(await world.phase(key)).toBe("passing");
});

it("sends Pass when the DONE of Write comes again to an environment that remembers phase writing", async () => {
  const world = await split();
  const key = ddl(100n);
  await world.handle(world.waiting(n1, [A], key, ALTER));
  await world.handle(world.waiting(n2, [B], key, ALTER));
  world.queues.clear();
  const done = world.done(n2, [B], key, "write");
  await expect(
    world.handleHooked((when, method) => {
      if (when === "before" && method === "send") throw new Crash();
    }, done),
  ).resolves.toMatchObject({ failed: [{}] });
  expect(await world.phase(key)).toBe("passing");
  await world.handle(again(done));
  expect(idsOf(world.told(n1), "pass", key)).toEqual([A]);
});

it("goes on with what waited for a change of the roster when the message that changed it comes again", async () => {
  const world = new World();
  const W = d(10);
  const C = d(20);
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
      { id: 30n, schema: 1n },
    ]),
    world.registration(n1, [{ id: T, table: 0n }]),
    world.registration(n2, [
      { id: W, table: 10n },
      { id: C, table: 20n },
    ]),
  );
  const rename = ddl(100n);
  const drop = ddl(105n);
  const renamed = {
    BlockTables: normal(10n, 20n),
    UpdatedSchemas: [{ TableID: 10n, OldSchemaID: 1n, NewSchemaID: 2n }],
  };
  await world.handle(world.waiting(n2, [W, C], rename, renamed));
  const [writer] = world.told(n2).find((one) => one.kind === "write")!.ids;
  await world.handle(world.none(n1, T, drop, { NeedDroppedTables: normal(30n) }));
  expect(await world.phase(drop), "not in its turn yet").toBe("written");
  const done = world.done(n2, [writer!], rename, "write");
  let committed = false;
  await world.handleHooked((when, method) => {
    if (committed) throw new Crash();
    if (when === "after" && method === "commitRoot") committed = true;
  }, done);
  expect(await world.phase(rename)).toBe("passing");
  expect(await world.phase(drop)).toBe("written");
  world.queues.clear();
  await world.handleCold(again(done));
  expect(await world.phase(drop)).toBeUndefined();
  expect(idsOf(world.told(n1), "ack", drop)).toEqual([T]);
});

it("looks again when the roster has changed while a change of it was being judged", async () => {
  const world = new World();
  const W = d(10);
  const C = d(20);
  const both = { BlockTables: normal(10n, 20n) };
  const key = ddl(100n);
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 20n, schema: 1n },
    ]),
    world.registration(n1, [
      { id: T, table: 0n },
      { id: W, table: 10n },
    ]),
    world.registration(n2, [{ id: C, table: 20n }]),
  );
  // W is split into A and B. A is there and waits, B has reported and is kept until it is registered.
  await world.handle(world.registration(n1, [{ id: A, table: 10n, end: "m" }]));
  await world.handle(
    world.waiting(n1, [A], key, both),
    world.waiting(n2, [C], key, both),
    world.waiting(n2, [B], key, both),
  );
  // W goes; before its chunk is marked complete B is registered and its report is counted.
  const gate = freezeAt(7);
  const methods: string[] = [];
  const gone = world.handleHooked(
    (when, method, index) => {
      if (when === "before") methods[index] = method;
      return gate.hook(when, method, index);
    },
    world.status(n1, W, 1n, ComponentState.Removed),
  );
  expect(await gate.frozen).toBe(true);
  expect(methods.at(-1), "it is about to mark the chunk").toBe("touchBarrier");
  await world.handleCold(world.registration(n2, [{ id: B, table: 10n, start: "m" }]));
  expect(await world.phase(key)).toBe("waiting");
  gate.release();
  await gone;
  expect(await world.phase(key)).toBe("writing");
});

it("asks nobody else to write when the writer comes back from behind the event", async () => {
  const world = await split();
  const key = ddl(100n);
  await world.handle(world.waiting(n1, [A], key, ALTER));
  await world.handle(world.waiting(n2, [B], key, ALTER));
  expect(idsOf(world.told(n2), "write", key)).toEqual([B]);
  world.queues.clear();
  // B writes, and moves before its DONE has come: its new life starts behind the DDL.
  await world.handle(world.registration(n1, [{ id: B, table: 10n, start: "m", life: 2n, checkpoint: 100n }]));
  const told = world.told(n1);
  expect(idsOf(told, "write", key)).toEqual([]);
  expect(idsOf(told, "pass", key)).toEqual([A]);
});

it("keeps an early report until what follows from it is sent", async () => {
  const world = await split();
  const key = ddl(100n);
  await world.handle(world.waiting(n1, [A], key, ALTER));
  await world.handle(world.waiting(n2, [B], key, ALTER));
  await world.handle(world.done(n2, [B], key, "write"));
  await world.handle(world.done(n1, [A], key, "pass"));
  expect(await world.phase(key), "closed").toBeUndefined();
  world.queues.clear();
  // B comes back below the closed barrier, and its report overtakes its registration.
  const restarted = { ...n2, start: 2 };
  await world.handle(world.waiting(restarted, [{ id: B, life: 2n }], key, ALTER));
  const registration = world.registration(restarted, [{ id: B, table: 10n, start: "m", life: 2n }]);
  await world.handleHooked((when, method) => {
    if (when === "before" && (method === "send" || method === "handOver")) throw new Crash();
  }, registration);
  await world.handleCold(again(registration));
  expect(idsOf(world.told(n2), "pass", key)).toEqual([B]);
  expect([...world.store.kept]).toEqual([]);
});

it("does not take what it remembers of a former epoch for this one's", async () => {
  const world = await split();
  const key = ddl(100n);
  // This environment has recorded A, in epoch 1.
  await world.handle(world.waiting(n1, [A], key, ALTER));
  // Others open the changefeed again, and B has come to the event again; A has not.
  const epoch = 2n;
  await world.handleCold(
    world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch }),
    world.registration(
      n1,
      [
        { id: T, table: 0n },
        { id: A, table: 10n, end: "m" },
      ],
      { epoch },
    ),
    world.registration(n2, [{ id: B, table: 10n, start: "m" }], { epoch }),
  );
  const report = world.waiting(n2, [B], key, ALTER);
  await world.handleCold(report);
  // So long after that the remembered root is read again.
  world.now += world.settings.rootMaxAge + 1;
  await world.handle(report);
  expect(await world.phase(key)).toBe("waiting");
});

it("adds no table again that a later event has dropped", async () => {
  const world = new World();
  const X = d(40);
  // The opening names table 40, which the event at 90 had added: the table trigger was behind that.
  await world.handle(
    world.opening(n1, T, [
      { id: 10n, schema: 1n },
      { id: 40n, schema: 1n },
    ]),
    world.registration(n1, [{ id: T, table: 0n, checkpoint: 95n }]),
    world.registration(n2, [
      { id: B, table: 10n },
      { id: X, table: 40n },
    ]),
  );
  const drop = ddl(100n);
  const dropped = { BlockTables: normal(0n, 40n), NeedDroppedTables: normal(40n) };
  await world.handle(world.waiting(n1, [T], drop, dropped), world.waiting(n2, [X], drop, dropped));
  await world.handle(world.done(n1, [T], drop, "write"));
  await world.handle(world.done(n1, [T], drop, "pass"));
  // It starts again below, and says once more what it wrote by itself.
  const restarted = { ...n1, start: 2 };
  await world.handle(world.registration(restarted, [{ id: T, table: 0n, life: 2n, checkpoint: 80n }]));
  await world.handle(
    world.none(restarted, { id: T, life: 2n }, ddl(90n), {
      NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }],
    }),
  );
  expect(idsOf(world.told(n1), "ack", ddl(90n))).toEqual([T]);
  const sync = syncpoint(110n);
  await world.handle(
    world.waiting(restarted, [{ id: T, life: 2n }], sync, { BlockTables: everybody }),
    world.waiting(n2, [B], sync, { BlockTables: everybody }),
  );
  expect(await world.phase(sync)).toBe("writing");
  // A later event may well bring it back.
  await world.handle(world.done(restarted, [{ id: T, life: 2n }], sync, "write"));
  await world.handle(
    world.none(restarted, { id: T, life: 2n }, ddl(120n), {
      NeedAddedTables: [{ TableID: 40n, SchemaID: 1n }],
    }),
  );
  await world.handle(
    world.waiting(restarted, [{ id: T, life: 2n }], syncpoint(130n), { BlockTables: everybody }),
    world.waiting(n2, [B], syncpoint(130n), { BlockTables: everybody }),
  );
  expect(await world.phase(syncpoint(130n))).toBe("waiting");
});
