/** Dispatchers that an event over thousands of tables makes others create and remove: nobody who stands at the barrier waits for that. */
import { describe, expect, it } from "vitest";
import type { ActionMessage, Port } from "../base/port.ts";
import { d, ddl, node, normal, World } from "../testing/world.ts";

const T = d(1);
const n1 = node("n1");
const key = ddl(100n);

/** A world that knows which messages went out together. */
class Watched extends World {
  readonly sends: ActionMessage[][] = [];

  override get port(): Port {
    const { port } = { port: super.port };
    return Object.assign(Object.create(port) as Port, {
      send: (messages: readonly ActionMessage[]) => {
        this.sends.push([...messages]);
        return port.send(messages);
      },
    });
  }
}

/** TRUNCATE of a table with so many partitions, up to the DONE of its writer. @returns the types of what goes out together then */
async function truncated(count: number) {
  const world = new Watched();
  const tables = Array.from({ length: count }, (_, one) => BigInt(one + 10));
  const ids = tables.map((table) => d(Number(table)));
  await world.handle(
    world.opening(
      n1,
      T,
      tables.map((id) => ({ id, schema: 1n })),
    ),
  );
  const spans = ids.map((id, index) => ({ id, table: tables[index]! }));
  await world.handle(world.registration(n1, [{ id: T, table: 0n }, ...spans]));
  const state = {
    BlockTables: normal(0n, ...tables),
    NeedDroppedTables: normal(...tables),
    NeedAddedTables: tables.map((table) => ({ TableID: table + 10_000n, SchemaID: 1n })),
  };
  await world.handle(world.waiting(n1, [T, ...ids], key, state));
  expect(await world.phase(key)).toBe("writing");
  world.sends.length = 0;
  await world.handle(world.done(n1, [T], key, "write"));
  return world.sends.map((messages) => {
    const counts: Record<string, number> = {};
    for (const { type } of messages) counts[type] = (counts[type] ?? 0) + 1;
    return counts;
  });
}

describe("Removes and Creates", () => {
  it("go out behind the Pass where they are many", async () => {
    expect(await truncated(300)).toEqual([{ HeartBeatResponse: 1 }, { ScheduleDispatcherRequest: 600 }]);
  });

  it("go out beside it where they are few: that is one request", async () => {
    expect(await truncated(3)).toEqual([{ HeartBeatResponse: 1, ScheduleDispatcherRequest: 6 }]);
  });
});
