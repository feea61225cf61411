import { describe, expect, it } from "vitest";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import { Dice } from "../../chance/dice.ts";
import { tableRange } from "../../protocol/span.ts";
import { run } from "../base/program.ts";
import { evict } from "../operator/evict.ts";
import { OldWorld } from "../testing/old-world.ts";
import { d, everybody, normal } from "../testing/world.ts";

/** The table trigger and table 11 on the first old node, 12 and 13 on the second. */
function world(): OldWorld {
  return new OldWorld(
    ["o1", "o2"],
    [
      { table: 11n, schema: 1n, node: "o1" },
      { table: 12n, schema: 1n, node: "o2" },
      { table: 13n, schema: 1n, node: "o2" },
    ],
  );
}

const rosterOf = (at: OldWorld) => [...at.world.memory.spaces.values()][0]!.roster!;
const requests = (at: OldWorld, node: string) =>
  at.actions(node).filter((one) => one.type === "ScheduleDispatcherRequest");

describe("an old node that was evicted", () => {
  it("is brought back by no copy of what it has registered, and asked for nothing", async () => {
    const at = world();
    const copies = [...at.queue];
    await at.settle();
    at.world.now += 1_000;
    at.register("o2");
    copies.push(...at.queue);
    await at.settle();
    const [space] = await at.world.store.listSpaces();
    await run(evict(space!, { node: "o2" }, at.world.invocation()), at.world.port);
    at.world.queues.clear();
    await at.world.handle(...copies.filter((one) => one.attributes["from"] === "o2"));
    expect(rosterOf(at).find(d(12))).toBeUndefined();
    expect(rosterOf(at).nodes.get("o2")?.nodeQueue).toBe("");
    const added = [20n, 21n, 22n].map((TableID) => ({ TableID, SchemaID: 1n }));
    at.event({ BlockTs: 100n, BlockTables: normal(0n), NeedAddedTables: added }, [0n]);
    await at.world.handle(...at.queue.splice(0));
    expect([requests(at, "o1").length, requests(at, "o2").length]).toEqual([3, 0]);
  });

  it("comes back with what it registers later", async () => {
    const at = world();
    await at.settle();
    const [space] = await at.world.store.listSpaces();
    await run(evict(space!, { node: "o2" }, at.world.invocation()), at.world.port);
    at.world.now += 1_000;
    at.register("o2");
    await at.settle();
    expect(rosterOf(at).find(d(12))?.life.node).toBe("o2");
    expect(rosterOf(at).nodes.get("o2")?.nodeQueue).not.toBe("");
  });
});

describe("a dispatcher of an old node that is registered when its table is gone", () => {
  it("is removed, for nobody will answer what it reports", async () => {
    const at = world();
    at.addNode("o3");
    await at.settle();
    const drop = { BlockTs: 100n, BlockTables: normal(0n, 12n), NeedDroppedTables: normal(12n) };
    at.event(drop, [0n, 12n]);
    await at.settle();
    at.world.now += 1_000;
    const id = dispatcherId(d(12));
    at.manager("o3").create({ id, tableId: 12n, schemaId: 1n, ...tableRange(12n), startTs: 50n });
    at.register("o3");
    await at.settle();
    expect(at.manager("o3").has(id)).toBe(false);
  });
});

describe("a dispatcher that an old node has closed", () => {
  it("does not come back with a registration that is handled later, while its former life still stands", async () => {
    const at = world();
    at.addNode("o3");
    await at.settle();
    const id = dispatcherId(d(12));
    at.world.now += 1_000;
    at.manager("o3").create({ id, tableId: 12n, schemaId: 1n, ...tableRange(12n), startTs: 50n });
    at.register("o3");
    const [registered] = at.queue.splice(0);
    at.world.now += 1_000;
    at.manager("o3").remove(id);
    at.collect();
    await at.settle();
    expect(rosterOf(at).find(d(12))?.life.node).toBe("o2");
    await at.world.handle(registered!);
    expect(rosterOf(at).find(d(12))).toBeUndefined();
  });
});

describe("an old node whose only dispatcher is the table trigger", () => {
  it("is asked for the tables that come, on the queue that it has named", async () => {
    const at = new OldWorld(["o1"], []);
    await at.settle();
    const added = [{ TableID: 20n, SchemaID: 1n }];
    at.event({ BlockTs: 100n, BlockTables: normal(0n), NeedAddedTables: added }, [0n]);
    await at.settle();
    expect(rosterOf(at).ofTable(20n)).toMatchObject([{ node: "o1" }]);
  });
});

describe("a wave to old nodes that is larger than one invocation sends", () => {
  it("tells nobody twice, though what it hands over comes twice", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const at = new OldWorld(
        ["o1", "o2", "o3", "o4"],
        [11n, 12n, 13n, 14n].map((table) => ({ table, schema: 1n, node: `o${table - 10n}` })),
      );
      at.world.settings = { ...at.world.settings, sendsAtOnce: 1 };
      const dice = new Dice(seed, "slices");
      const settle = async () => {
        do {
          await at.settle(dice);
          for (const slice of at.world.handedOver.splice(0)) at.queue.push(slice, slice);
        } while (at.queue.length > 0);
      };
      await settle();
      at.event({ BlockTs: 100n, BlockTables: normal(12n, 13n, 14n) }, [12n, 13n, 14n]);
      // Table 11 is behind: nobody may pass the syncpoint.
      at.event({ BlockTs: 100n, IsSyncPoint: true, BlockTables: everybody }, [0n, 12n, 13n, 14n]);
      await settle();
      expect([seed, at.outcome(100n, false), at.outcome(100n, true)]).toEqual([seed, "write pass pass", ""]);
    }
  });
});
