/** A dispatcher of a new node is lost where there are old nodes too (protocol.md R6, R11). */
import { expect, it } from "vitest";
import type { ScheduleDispatcherRequest } from "../../protocol/messages.ts";
import { run } from "../base/program.ts";
import { evict } from "../operator/evict.ts";
import { d, node, oldNode, World } from "../testing/world.ts";

it.each([
  ["an old node, which has fewer dispatchers", -1, "o3"],
  ["a new one if its life was ahead of the time, for an old one's would be below that", 3_600_000, "n1"],
])("it is asked of %s", async (_, ahead, whom) => {
  const world = new World();
  const [n1, n2, o3] = [node("n1"), node("n2"), oldNode("o3")];
  const tables = [10n, 20n, 30n].map((id) => ({ id, schema: 1n }));
  await world.handle(
    world.opening(n1, d(1), tables),
    world.registration(n1, [
      { id: d(1), table: 0n },
      { id: d(11), table: 10n, end: "m" },
      { id: d(12), table: 10n, start: "m" },
    ]),
    world.registration(n2, [{ id: d(20), table: 20n, life: BigInt(world.now + ahead) }]),
    world.registration(o3, [
      { id: d(31), table: 30n, end: "m" },
      { id: d(32), table: 30n, start: "m" },
    ]),
  );
  world.queues.clear();
  const [space] = await world.store.listSpaces();
  await run(evict(space!, { node: "n2" }, world.invocation()), world.port);
  const told = [n1, n2, o3].filter((one) =>
    (world.take(one, "ScheduleDispatcherRequest") as ScheduleDispatcherRequest[]).some(
      ({ config }) => config!.span!.TableID === 20n,
    ),
  );
  expect(told.map(({ id }) => id)).toEqual([whom]);
});
