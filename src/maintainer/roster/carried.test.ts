/** A node's id stays its principal's when the changefeed begins another epoch (protocol.md R7, decisions/0046). */
import { beforeEach, expect, it } from "vitest";
import { ComponentState } from "../../protocol/messages.ts";
import { run } from "../base/program.ts";
import { unbind } from "../operator/unbind.ts";
import { d, ddl, node, normal, World } from "../testing/world.ts";

const n1 = node("n1");
const n2 = node("n2");
const T = d(1);
const K = ddl(100n);
const tables = [{ id: 10n, schema: 1n }];
const as = (principal: string, message: ReturnType<World["waiting"]>) => ({ ...message, principal });
const restarted = { ...n2, start: 5_000 };
const register = (epoch: bigint, principal: string, who = n2) =>
  as(principal, world.registration(who, [{ id: d(10), table: 10n, life: epoch }], { epoch }));
const open = (epoch: bigint, principal = "AROA1") => as(principal, world.opening(n1, T, tables, { epoch }));

let world: World;
beforeEach(async () => {
  world = new World();
  const trigger = as("AROA1", world.registration(n1, [{ id: T, table: 0n }]));
  await world.handle(open(1n), trigger, register(1n, "AROA2"));
});

async function reasons(...messages: ReturnType<World["waiting"]>[]) {
  for (const message of messages) {
    world.now += 10;
    expect((await world.handleCold(message)).failed).toEqual([]);
  }
  return world.deadLetters.splice(0).map(({ reason }) => reason);
}
const stored = async () => [...world.store.roots.values()][0]!;
const notN2 = /sender AROA3 may not speak as node "n2", which AROA2 registered/;

it("is nobody else's before the node has registered in that epoch", async () => {
  expect(await reasons(open(2n))).toEqual([]);
  const refused = await reasons(
    register(2n, "AROA3", restarted),
    as("AROA3", world.waiting(n2, [{ id: d(10), life: 2n }], K, { BlockTables: normal(10n) })),
    as("AROA3", world.status(n2, d(10), 2n, ComponentState.Removed)),
  );
  expect(refused).toEqual([notN2, notN2, notN2].map((text) => expect.stringMatching(text)));
  expect(world.store.kept.size).toBe(0);
  expect(await reasons(register(2n, "AROA2"))).toEqual([]);
  expect(await reasons(register(2n, "AROA3", restarted))).toEqual([expect.stringMatching(notN2)]);
});

it("is its own over epochs in which it does not register, and whoever registers first begins one", async () => {
  expect(await reasons(open(2n), as("AROA1", world.registration(n1, [], { epoch: 3n })))).toEqual([]);
  expect((await stored()).epoch).toBe(3n);
  expect(await reasons(register(3n, "AROA3"))).toEqual([expect.stringMatching(notN2)]);
  expect(await reasons(register(3n, "AROA2"))).toEqual([]);
});

it("is not another's for beginning an epoch: nothing begins", async () => {
  const before = await stored();
  const [reason] = await reasons(open(2n, "AROA3"));
  expect(reason).toMatch(/AROA3 may not speak as node "n1", which AROA1 registered/);
  expect(await stored()).toEqual(before);
});

it("that was bound while the next epoch began is bound in that", async () => {
  const n3 = node("n3");
  let others = 0;
  await world.handleHooked(async (when, method) => {
    if (when !== "before" || method !== "commitRoot" || others++ > 0) return;
    await world.handleCold(as("AROA5", world.registration(n3, [{ id: d(30), table: 30n }])));
  }, open(2n));
  expect((await stored()).epoch).toBe(2n);
  const [reason] = await reasons(as("AROA3", world.registration(n3, [], { epoch: 2n })));
  expect(reason).toMatch(/AROA3 may not speak as node "n3", which AROA5 registered/);
});

it("is freed by an operator before the node has registered", async () => {
  await reasons(open(2n));
  const [space] = await world.store.listSpaces();
  expect(await run(unbind(space!, "n2", "", world.invocation()), world.port)).toBe("AROA2");
  expect(await reasons(register(2n, "AROA3"))).toEqual([]);
});

it("is anybody's when the node has been away for as long as anything is remembered", async () => {
  await reasons(open(2n));
  world.now += world.settings.rememberFor - 60_000;
  await world.sweep();
  expect(await reasons(register(2n, "AROA3"))).toEqual([expect.stringMatching(notN2)]);
  world.now += 60_000;
  await world.sweep();
  expect(await reasons(register(2n, "AROA3"))).toEqual([]);
});
