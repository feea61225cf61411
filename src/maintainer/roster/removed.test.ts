/** A changefeed that an operator has removed, while messages are on their way (protocol.md R14). */
import { expect, it } from "vitest";
import { EMPTY_META } from "../../barrier/roster.ts";
import { ComponentState } from "../../protocol/messages.ts";
import { spaceOf } from "../base/space.ts";
import { CHANGEFEED, d, ddl, everybody, idsOf, node, World } from "../testing/world.ts";

const T = d(1);
const K = ddl(100n);

it.each([
  ["that is gone", ComponentState.Removed, [T]],
  ["that goes on", ComponentState.Working, []],
])("a registration that comes late brings back only a dispatcher %s since", async (_, state, written) => {
  const world = new World();
  const n1 = node("n1");
  const n2 = node("n2");
  await world.handle(world.opening(n1, T, [], { epoch: 1n }));
  // `weir remove`
  const roster = { version: 1, meta: { ...EMPTY_META, removed: true as const }, pointers: [] };
  await world.store.commitRoot(spaceOf(CHANGEFEED, 0n), { epochIsNew: 2n }, { startEpoch: 2n, roster });
  // It has followed into epoch 3, and removed the dispatcher; what it says of that comes before the registration.
  await world.handle(world.status(n2, d(10), 5n, state));
  await world.handle(
    world.opening(n1, T, [], { epoch: 3n }),
    world.registration(n1, [{ id: T, table: 0n }], { epoch: 3n }),
  );
  await world.handle(world.registration(n2, [{ id: d(10), table: 10n, life: 5n }], { epoch: 3n }));
  await world.handle(world.waiting(n1, [T], K, { BlockTables: everybody }));
  expect(idsOf(world.told(n1), "write", K)).toEqual(written);
});
