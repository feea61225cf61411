/** Waves to more queues than one invocation sends to (protocol.md M22). */
import { describe, expect, it } from "vitest";
import { SLICE_LIVES, sliceText } from "../base/slice.ts";
import { spaceOf } from "../base/space.ts";
import type { StatusMessage } from "../intake/input.ts";
import { again, CHANGEFEED, d, everybody, idsOf, node, PREFIX, syncpoint, World } from "../testing/world.ts";

const T = d(1);
const PER_NODE = 150;
const nodes = [node("n0"), node("n1")];
const idsOn = (index: number) => Array.from({ length: PER_NODE }, (_, one) => d(1_000 * (index + 1) + one));
const all = [...idsOn(0), ...idsOn(1), T].sort();
/** The writer is done with its DONE of Write: a repeat of Pass is for the others. */
const others = all.filter((id) => id !== T);
const key = syncpoint(500n);
const queueOf = (id: string) => `${PREFIX}${id}`;

/** 301 dispatchers with a queue each, in two chunks; an invocation sends 50 messages. */
async function open(): Promise<World> {
  const world = new World();
  world.settings = { ...world.settings, sendsAtOnce: 50 };
  await world.handle(world.opening(nodes[0]!, T, []));
  for (const [index, one] of nodes.entries())
    await world.handle(
      ...idsOn(index)
        .concat(index === 0 ? [T] : [])
        .map((id, table) =>
          world.registration(one, [{ id, table: id === T ? 0n : BigInt(index * PER_NODE + table + 1) }], {
            queue: queueOf(id),
          }),
        ),
    );
  world.handedOver = [];
  world.queues.clear();
  return world;
}

const waiting = (world: World) =>
  nodes.map((one, index) =>
    world.waiting(one, idsOn(index).concat(index === 0 ? [T] : []), key, { BlockTables: everybody }),
  );

/** Up to the grant, with everything handed over until then told. */
async function granted(): Promise<World> {
  const world = await open();
  await world.handle(...waiting(world));
  await tellAll(world);
  told(world, "ack");
  return world;
}

/** Delivers what was handed over, ten at a time. */
async function tellAll(world: World): Promise<void> {
  for (let batch = take(world); batch.length > 0; batch = take(world)) await world.handle(...batch);
}

const take = (world: World): StatusMessage[] => world.handedOver.splice(0, 10);

/** Who was told something, as often as they were, in order of their ids. */
function told(world: World, kind: "ack" | "write" | "pass"): string[] {
  const ids = all.flatMap((id) => idsOf(world.told(queueOf(id)), kind, key));
  return ids.sort();
}

/** Everything that was told about the barrier since the last time. */
const anything = (world: World) => all.flatMap((id) => world.told(queueOf(id)));

const writeDone = (world: World) => world.done(nodes[0]!, [T], key, "write");

describe("a wave to many queues", () => {
  it("is handed over in slices before its message is acknowledged, and reaches each dispatcher once", async () => {
    const world = await granted();
    const { failed } = await world.handle(writeDone(world));
    expect(failed).toEqual([]);
    expect(told(world, "pass")).toEqual([]);
    // Slots 0 to 149 of one chunk and 0 to 150 of the other.
    expect(world.handedOver.length).toBe(4);
    await tellAll(world);
    expect(told(world, "pass")).toEqual(all);
  });

  it("leaves an invocation no more than ten slices and what it may send by itself", async () => {
    const world = await granted();
    await world.handle(writeDone(world));
    for (const slice of world.handedOver.splice(0)) {
      await world.handle(slice);
      const sent = told(world, "pass").length;
      expect(sent).toBeGreaterThan(0);
      expect(sent).toBeLessThanOrEqual(SLICE_LIVES);
    }
    expect(world.handedOver).toEqual([]);
  });

  it("sends Write at once, whatever there is to acknowledge beside it", async () => {
    const world = await open();
    await world.handle(...waiting(world));
    expect(idsOf(world.told(queueOf(T)), "write", key)).toEqual([T]);
    expect(world.handedOver.length).toBe(4);
    await tellAll(world);
    // The ACK of the writer went with its Write, or comes with the others.
    expect([...new Set([...told(world, "ack"), T])].sort()).toEqual(all);
  });

  it("leaves out ACKs that come after the Pass, which counts as one", async () => {
    const world = await open();
    await world.handle(...waiting(world));
    const acks = world.handedOver.splice(0);
    await world.handle(writeDone(world));
    await tellAll(world);
    expect(told(world, "pass")).toEqual(all);
    await world.handle(...acks);
    expect(anything(world)).toEqual([]);
  });

  it("comes back with its message when it could not be handed over", async () => {
    const world = await granted();
    const message = writeDone(world);
    const { failed } = await world.handleHookedWarm((when, method) => {
      if (when === "before" && method === "handOver") throw new Error("the queue is not there");
    }, message);
    expect(failed.map((one) => one.messageId)).toEqual([message.messageId]);
    await world.handle(again(message));
    await tellAll(world);
    expect(told(world, "pass")).toEqual(others);
  });

  it("goes on where it stopped: what dies with an invocation is told again, to those who have not answered", async () => {
    const world = await granted();
    await world.handle(writeDone(world));
    const [lost, ...rest] = take(world) as [StatusMessage, ...StatusMessage[]];
    await world.handle(...rest);
    const first = told(world, "pass");
    expect(first.length).toBeGreaterThan(0);
    // All who were told answer; some of the lost slice were told as well before its invocation died.
    const partly = idsOn(0)
      .slice(0, 30)
      .filter((id) => !first.includes(id));
    const answered = new Set([...first, ...partly]);
    for (const [index, one] of nodes.entries()) {
      const ids = [...idsOn(index), ...(index === 0 ? [T] : [])].filter((id) => answered.has(id));
      await world.handle(world.done(one, ids, key, "pass"));
    }
    await world.handle(again(lost));
    expect(told(world, "pass")).toEqual(all.filter((id) => !answered.has(id)));
  });

  // protocol.md M18; invariants.md Q4
  it("is repeated by whoever reports, if nothing of it was sent for some seconds, to those who are missing", async () => {
    const world = await granted();
    await world.handle(writeDone(world));
    const [first] = take(world) as [StatusMessage];
    world.handedOver = [];
    await world.handle(first);
    const reached = told(world, "pass");
    world.now += world.settings.repeatAfter + 1;
    const mine = idsOn(0).filter((id) => reached.includes(id));
    await world.handle(world.done(nodes[0]!, mine, key, "pass"));
    await tellAll(world);
    expect(told(world, "pass")).toEqual(others.filter((id) => !mine.includes(id)));
  });

  // protocol.md M18: when it was sent counts, not when it is handled.
  it("is not repeated for a report that was sent before it could be answered, however late that is handled", async () => {
    const world = await granted();
    await world.handle(writeDone(world));
    await tellAll(world);
    told(world, "pass");
    const early = world.done(nodes[0]!, idsOn(0).slice(0, 10), key, "pass");
    world.now += 60_000;
    await world.handle(early);
    expect([...anything(world), ...world.handedOver]).toEqual([]);
    const late = world.done(nodes[0]!, idsOn(0).slice(10, 20), key, "pass");
    await world.handle(late);
    await tellAll(world);
    expect(told(world, "pass").length).toBe(others.length - 20);
  });

  it("loses nothing when an invocation dies at any of its operations", async () => {
    for (let operation = 0; ; operation++) {
      const world = await granted();
      await world.handle(writeDone(world));
      const [slice, ...rest] = take(world) as [StatusMessage, ...StatusMessage[]];
      let died = false;
      await world
        .handleHooked((when, _, index) => {
          if (when !== "before" || index !== operation) return;
          died = true;
          throw new Error("dead");
        }, slice)
        .catch(() => undefined);
      await world.handle(again(slice), ...rest);
      expect([...new Set(told(world, "pass"))].sort()).toEqual(all);
      if (!died) break;
      expect(operation).toBeLessThan(20);
    }
  });
});

describe("a slice", () => {
  const slice = (kind: "ack" | "pass", more: object = {}) => ({
    ...JSON.parse(
      sliceText({
        space: spaceOf(CHANGEFEED, 0n),
        epoch: 1n,
        key: "00000000000000000500-1",
        kind,
        chunk: 2,
        from: 0,
        first: true,
      }),
    ),
    ...more,
  });
  const message = (body: unknown): StatusMessage => ({
    messageId: "s",
    body: typeof body === "string" ? body : JSON.stringify(body),
    attributes: { type: "Slice" },
    sentAt: 0,
    receiveCount: 1,
    principal: "somebody",
  });

  it("brings about nothing that the state does not say, whoever sends it", async () => {
    const world = await open();
    const [one, other] = waiting(world) as [StatusMessage, StatusMessage];
    const nobody = async (...slices: object[]) => {
      world.queues.clear();
      await world.handle(...slices.map(message));
      expect(anything(world)).toEqual([]);
    };
    const chunks = [1, 2, 3, 4, 5];
    // No barrier, no changefeed, no such epoch.
    await nobody(
      ...chunks.map((chunk) => slice("pass", { chunk })),
      slice("pass", { space: "a/b/00000000000000000000000000000000/0" }),
    );
    await world.handle(one);
    // Waiting: nobody may pass (invariants.md I3).
    await nobody(...chunks.map((chunk) => slice("pass", { chunk })));
    await nobody(...chunks.map((chunk) => slice("ack", { chunk, epoch: "2" })));
    // ACKs go to those whose WAITING is recorded, and to no other (protocol.md M7).
    world.queues.clear();
    await world.handle(...chunks.map((chunk) => message(slice("ack", { chunk }))));
    await world.handle(...chunks.map((chunk) => message(slice("ack", { chunk, from: 100 }))));
    expect(told(world, "ack")).toEqual([...idsOn(0), T].sort());
    await world.handle(other);
    // Writing: still nobody.
    await nobody(...chunks.map((chunk) => slice("pass", { chunk })));
    expect(world.deadLetters).toEqual([]);
  });

  it.each([
    ["{", "no JSON object"],
    [slice("ack", { kind: "write" }), "kind"],
    [slice("ack", { space: "x" }), "space"],
    [slice("ack", { epoch: 1 }), "epoch"],
    [slice("ack", { key: "500" }), "key"],
    [slice("ack", { chunk: -1 }), "chunk"],
    [slice("ack", { from: "0" }), "from"],
    [slice("ack", { first: 1 }), "first"],
  ])("that is none is kept with the reason: %s", async (body, what) => {
    const world = new World();
    const { failed } = await world.handle(message(body));
    expect(failed).toEqual([]);
    expect(world.deadLetters.map((letter) => letter.reason)).toEqual([expect.stringContaining(what)]);
  });
});

it.each([
  ["no JSON", "{"],
  ["a space that nobody can take apart", JSON.stringify({ ...good(), space: `%zz/x/${"0".repeat(32)}/0` })],
  ["no chunk", JSON.stringify({ ...good(), chunk: -1 })],
  ["another key", JSON.stringify({ ...good(), key: "100" })],
])("a slice with %s is put aside, and stops nobody else", async (_, body) => {
  const world = new World();
  const slice = { ...world.message(node("n1"), "BlockStatusRequest", body), attributes: { type: "Slice" } };
  const result = await world.handle(slice, world.registration(node("n1"), [{ id: d(1), table: 0n }]));
  expect(result.failed).toEqual([]);
  expect(world.deadLetters.map((letter) => letter.reason)).toEqual([
    expect.stringMatching(/body is not a Slice/),
  ]);
  expect(world.store.roots.size).toBe(1);
});

function good() {
  return {
    space: `default/orders/${"0".repeat(32)}/0`,
    epoch: "1",
    key: "00000000000000000100-0",
    kind: "pass",
    chunk: 1,
    from: 0,
    first: true,
  };
}
