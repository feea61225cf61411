/** Old nodes from end to end, with functions that die at any operation (decisions/0054). */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { dispatcherId } from "../../barrier/dispatcher-id.ts";
import { Dice } from "../../chance/dice.ts";
import type { StateSchema } from "../../protocol/messages.ts";
import { tableRange } from "../../protocol/span.ts";
import { run } from "../base/program.ts";
import { evict } from "../operator/evict.ts";
import { OldWorld, TRIGGER } from "../testing/old-world.ts";
import { d, everybody, normal } from "../testing/world.ts";

type State = MessageInitShape<typeof StateSchema>;

const tablesOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    table: BigInt(11 + index),
    schema: 1n,
    node: `o${1 + (index % 2)}`,
  }));

/** Two nodes; the table trigger is on the first. */
function start(tables: number): OldWorld {
  const at = new OldWorld(["o1", "o2"], tablesOf(tables));
  at.killed = 0.3;
  return at;
}

/** A DDL of everybody, a syncpoint, a DROP of table 12, and a syncpoint. */
const LOG: readonly { readonly state: State; readonly tables?: readonly bigint[] }[] = [
  { state: { BlockTs: 100n, BlockTables: everybody } },
  { state: { BlockTs: 200n, IsSyncPoint: true, BlockTables: everybody } },
  {
    state: { BlockTs: 300n, BlockTables: normal(0n, 12n), NeedDroppedTables: normal(12n) },
    tables: [0n, 12n],
  },
  { state: { BlockTs: 500n, IsSyncPoint: true, BlockTables: everybody } },
];

/** Until nobody stands anywhere: repeats, complete heartbeats and sweeps come as they do. */
async function toTheEnd(at: OldWorld, dice: Dice, ids: readonly bigint[]): Promise<void> {
  const stands = () =>
    ids.flatMap((table) =>
      [...at.managers.values()].flatMap((one) => one.standsAt(dispatcherId(idOf(table))) ?? []),
    );
  const open = () => [...[...at.world.store.roots.values()][0]!.steps.keys()];
  for (let round = 0; round < 12; round++) {
    await at.pass(12_000, dice);
    for (const manager of at.managers.values()) manager.heartbeat();
    at.collect();
    await at.settle(dice);
    if (round > 2 && stands().length + open().length === 0) break;
  }
  expect(stands(), "nobody stands at an event").toEqual([]);
  expect(open(), "every barrier closes").toEqual([]);
}

const idOf = (table: bigint) => (table === 0n ? TRIGGER : d(Number(table)));

/** An event is written once, by one, before anybody passes it. */
function expectOnce(at: OldWorld, ts: bigint, isSyncPoint: boolean): void {
  const did = at.effects.filter((one) => one.ts === ts && one.isSyncPoint === isSyncPoint);
  expect(did.filter((one) => one.did === "write")).toHaveLength(1);
  expect(did[0]?.did).toBe("write");
}

/** Who passed an event, but for the dispatcher of the dropped table: it may come to the next one before it is removed. */
const passedBy = (at: OldWorld, ts: bigint) =>
  at.effects
    .filter((one) => one.did === "pass" && one.ts === ts && one.id !== "0/12")
    .map(({ id }) => id)
    .sort();

describe("old nodes, and functions that die", () => {
  it.each([1, 2, 3, 4])("each event is written once, and nobody is stuck (seed %i)", async (seed) => {
    const dice = new Dice(seed, "killed");
    const at = start(4);
    await at.settle(dice);
    for (const { state, tables } of LOG) at.event(state, tables);
    await at.settle(dice);
    await toTheEnd(at, dice, [0n, 11n, 12n, 13n, 14n]);
    for (const { state } of LOG) expectOnce(at, state.BlockTs!, state.IsSyncPoint ?? false);
    expect(at.manager("o2").has(dispatcherId(d(12)))).toBe(false);
    expect(passedBy(at, 500n)).toEqual(["0/11", "0/13", "0/14"]);
  });

  it.each([1, 2, 3, 4])("a dispatcher moves, and a node starts again (seed %i)", async (seed) => {
    const dice = new Dice(seed, "killed and moved");
    const at = start(4);
    await at.settle(dice);
    const creates = (node: string, table: bigint, startTs: bigint) => {
      const id = dispatcherId(idOf(table));
      at.manager(node).create({ id, tableId: table, schemaId: 1n, ...tableRange(table), startTs });
      for (const { state, tables } of LOG)
        if (tables?.includes(table) ?? true) at.manager(node).feed(id, { kind: "event", state });
    };
    for (const { state, tables } of LOG) at.event(state, tables);
    for (let step = dice.below(40); step > 0 && at.queue.length > 0; step--) {
      await at.world.handle(at.queue.shift()!);
      for (const node of at.managers.keys())
        for (const message of at.actions(node).splice(0)) at.obey(node, message);
    }
    // Table 11 goes to the other node; the other node's process ends, and comes back under another name.
    at.world.now += 1_000;
    at.manager("o1").remove(dispatcherId(d(11)));
    at.collect();
    creates("o2", 11n, 1n);
    at.register("o2");
    at.collect();
    await at.settle(dice);
    const left = [11n, 12n, 14n].filter((table) => at.manager("o2").has(dispatcherId(d(Number(table)))));
    at.managers.delete("o2");
    at.world.now += 1_000;
    at.addNode("o3");
    for (const table of left) creates("o3", table, 1n);
    at.register("o3");
    at.collect();
    await at.settle(dice);
    const [space] = await at.world.store.listSpaces();
    await run(evict(space!, { node: "o2" }, at.world.invocation()), at.world.port);
    await toTheEnd(at, dice, [0n, 11n, 12n, 13n, 14n]);
    for (const { state } of LOG) expectOnce(at, state.BlockTs!, state.IsSyncPoint ?? false);
  });

  it("1,000 dispatchers: each event is written once, and nobody is stuck", async () => {
    const dice = new Dice(1, "killed, many");
    const at = start(1_000);
    at.batchSize = 100;
    await at.settle(dice);
    for (const { state, tables } of LOG) at.event(state, tables);
    await at.settle(dice);
    await toTheEnd(at, dice, [0n, ...tablesOf(1_000).map(({ table }) => table)]);
    for (const { state } of LOG) expectOnce(at, state.BlockTs!, state.IsSyncPoint ?? false);
    expect(passedBy(at, 500n)).toHaveLength(999);
  }, 120_000);
});
