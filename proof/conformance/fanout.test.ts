/** One barrier from the first report to the last: TiCDC's barrier_test.go (docs/conformance.md). */
import { describe, expect, it } from "vitest";
import { d, ddl, everybody, normal, schema, syncpoint } from "../../src/maintainer/testing/world.ts";
import { changefeed, lines, messagesTo, n1, n2, scheduled, stored } from "./testing.ts";

const T = d(1);
const S = syncpoint(100n);
const K = ddl(100n);
const all = { BlockTables: everybody };

describe("one barrier", () => {
  it("#1 a syncpoint over the table trigger and a table: ACK, then Write in one message; a repeat is one Write; late DONEs change nothing", async () => {
    const world = await changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(10), table: 10n },
        ],
      ],
    ]);
    await world.handle(world.waiting(n1, [T, d(10)], S, all));
    expect(messagesTo(world, n1)).toBe(1);
    expect(lines(world.told(n1))).toEqual(["ack 100s 1,10", "write 100s 1"]);

    // A report that comes within the interval repeats nothing, one behind it the Write, once.
    world.now += 2_999;
    await world.handle(world.waiting(n1, [d(10)], S, all));
    expect(lines(world.told(n1))).toEqual(["ack 100s 10"]);
    world.now += 1;
    await world.handle(world.waiting(n1, [d(10)], S, all));
    expect(lines(world.told(n1))).toEqual(["ack 100s 10", "write 100s 1"]);

    const dones = [world.done(n1, [T], S, "write"), world.done(n1, [d(10)], S, "pass")];
    await world.handle(dones[0]!);
    expect(lines(world.told(n1))).toEqual(["pass 100s 1,10"]);
    await world.handle(dones[1]!);
    expect(await world.phase(S)).toBeUndefined();
    const before = stored(world);
    await world.handle(...dones);
    expect(stored(world)).toEqual(before);
    // DONE is not ACKed at all (protocol.md D4).
    expect(messagesTo(world, n1)).toBe(0);
  });

  it("#2 a Normal event over three tables on two nodes: the last reporter writes, and all three are waited for", async () => {
    const world = await changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(10), table: 10n },
          { id: d(20), table: 20n },
        ],
      ],
      [n2, [{ id: d(30), table: 30n }]],
    ]);
    const state = { BlockTables: normal(10n, 20n, 30n) };
    await world.handle(world.waiting(n1, [d(10), d(20)], K, state));
    expect(lines(world.told(n1))).toEqual(["ack 100 10,20"]);
    await world.handle(world.waiting(n2, [d(30)], K, state));
    expect(lines(world.told(n2))).toEqual(["ack 100 30", "write 100 30"]);
    const before = await world.phase(K);
    await world.handle(world.waiting(n1, [d(10)], K, state), world.waiting(n1, [d(20)], K, state));
    expect(await world.phase(K)).toBe(before);
    expect(lines(world.told(n1))).toEqual(["ack 100 10,20"]);
    await world.handle(world.done(n2, [d(30)], K, "write"));
    await world.handle(world.done(n1, [d(10)], K, "pass"));
    expect(await world.phase(K)).toBe("passing");
    await world.handle(world.done(n1, [d(20)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("#3 the table trigger writes though another reported last; the dropped table holds nothing any more", async () => {
    const world = await changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(10), table: 10n },
        ],
      ],
      [
        n2,
        [
          { id: d(20), table: 20n },
          { id: d(50), table: 50n },
        ],
      ],
    ]);
    const state = {
      BlockTables: normal(0n, 10n, 20n),
      NeedDroppedTables: normal(20n),
      NeedAddedTables: [{ TableID: 30n, SchemaID: 1n }],
    };
    await world.handle(world.waiting(n1, [T], K, state));
    await world.handle(world.waiting(n1, [d(10)], K, state));
    await world.handle(world.waiting(n2, [d(20)], K, state));
    expect(lines(world.told(n2))).toEqual(["ack 100 20"]);
    expect(lines(world.told(n1))).toEqual(["ack 100 1", "ack 100 10", "write 100 1"]);
    expect(scheduled(world, n1, n2)).toEqual([]);
    await world.handle(world.done(n1, [T], K, "write"));
    expect(scheduled(world, n1, n2)).toEqual(["create 30", "remove 20"]);
    // Its dispatcher is told all the same, so that it does not hang; nobody waits for its DONE.
    expect(lines(world.told(n2))).toEqual(["pass 100 20"]);
    expect(await world.phase(K)).toBe("passing");
    await world.handle(world.done(n1, [d(10)], K, "pass"));
    expect(await world.phase(K)).toBeUndefined();
  });

  it("#10 a schema's tables and the table trigger: drops and an add after its DONE, and the barrier is closed with that", async () => {
    const world = await changefeed([
      [
        n1,
        [
          { id: T, table: 0n },
          { id: d(10), table: 10n },
          { id: d(20), table: 20n },
        ],
      ],
      [n2, [{ id: d(30), table: 30n, schema: 2n }]],
    ]);
    const state = {
      BlockTables: schema(1n),
      NeedDroppedTables: schema(1n),
      NeedAddedTables: [{ TableID: 40n, SchemaID: 3n }],
    };
    await world.handle(world.waiting(n1, [d(10), d(20)], K, state));
    expect(await world.phase(K)).toBe("waiting");
    await world.handle(world.waiting(n1, [T], K, state));
    expect(lines(world.told(n1))).toEqual(["ack 100 10,20", "ack 100 1", "write 100 1"]);
    await world.handle(world.waiting(n1, [d(10)], K, state));
    expect(lines(world.told(n1))).toEqual(["ack 100 10"]);
    await world.handle(world.done(n1, [T], K, "write"));
    expect(scheduled(world, n1, n2)).toEqual(["create 40", "remove 10", "remove 20"]);
    expect(await world.phase(K)).toBeUndefined();
  });
});
