/** What the conformance tests share: a changefeed in one call, and what its nodes were told in one line each. */

import { node, type TestNode, type TestSpan, type Told, World } from "../../src/maintainer/testing/world.ts";
import type { EventKey } from "../../src/protocol/event-key.ts";
import { InfluenceType } from "../../src/protocol/messages.ts";

export const n1 = node("n1");
export const n2 = node("n2");
export const n3 = node("n3");

/** Nodes with their dispatchers. The first node opens; the first of its dispatchers is the table trigger. */
export type Layout = readonly (readonly [TestNode, readonly TestSpan[]])[];

/** `registered`, with what that was answered with thrown away. */
export async function changefeed(...layout: Parameters<typeof registered>): Promise<World> {
  const world = await registered(...layout);
  world.queues.clear();
  return world;
}

/** Opens a changefeed whose tables are those of its dispatchers and `more`, and registers these. */
export async function registered(
  layout: Layout,
  more: readonly { id: bigint; schema: bigint }[] = [],
): Promise<World> {
  const world = new World();
  const tables = new Map(more.map((table) => [table.id, table]));
  for (const [, spans] of layout)
    for (const { table, schema = 1n } of spans) if (table !== 0n) tables.set(table, { id: table, schema });
  const [opener, [trigger]] = layout[0] as readonly [TestNode, readonly [TestSpan]];
  await world.handle(world.opening(opener, trigger.id, [...tables.values()]));
  for (const [from, spans] of layout) await world.handle(world.registration(from, spans));
  // Behind the registrations: what old nodes report from now on is of these lives (protocol.md R6).
  world.now += 5;
  return world;
}

/** `ack 100 10,21`, `write 100s 1` (a syncpoint), `pass 100 DB`, `pass 100 All`: kind, key, and who, as numbers. */
export function lines(told: readonly Told[]): string[] {
  return told.map(({ kind, key, ids, influence }) => {
    const commitTs = `${BigInt(key.slice(0, 20))}${key.endsWith("-1") ? "s" : ""}`;
    const who =
      ids.length > 0
        ? ids.map((id) => Number(`0x${id}`)).join(",")
        : influence === InfluenceType.DB
          ? "DB"
          : "All";
    return `${kind} ${commitTs} ${who}`;
  });
}

/** The bodies that came to a node and were not taken: how many messages the coordinator sent. */
export function messagesTo(world: World, to: TestNode): number {
  return world.queues.get(to.queue)?.length ?? 0;
}

/** What is in the store, to see that something changed nothing. */
export function stored(world: World) {
  const { roots, barriers, tallies, kept } = world.store.clone();
  return { roots, barriers, tallies, kept };
}

/** Tables of the create and remove requests that came to nodes: `create 11`, `remove 10`. */
export function scheduled(world: World, ...nodes: readonly TestNode[]): string[] {
  return nodes
    .flatMap(
      (one) =>
        world.take(one, "ScheduleDispatcherRequest") as {
          scheduleAction: number;
          config: { span: { TableID: bigint } };
        }[],
    )
    .map(
      ({ scheduleAction, config }) => `${scheduleAction === 0 ? "create" : "remove"} ${config.span.TableID}`,
    )
    .sort();
}

/** Who was told to write a key, of several nodes. */
export function writersOf(world: World, key: EventKey, ...nodes: readonly TestNode[]): number[] {
  const text = `${key.commitTs}${key.isSyncPoint ? "s" : ""}`;
  return nodes
    .flatMap((one) => lines(world.told(one)))
    .filter((line) => line.startsWith(`write ${text} `))
    .map((line) => Number(line.split(" ")[2]));
}
