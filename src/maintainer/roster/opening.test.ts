/** How a barrier is opened: what is written before the root is known, and opening and grant in one write (decisions/0024). */
import { describe, expect, it } from "vitest";
import { keyText } from "../../protocol/event-key.ts";
import type { Port } from "../base/port.ts";
import { A, ALTER, B, n1, n2, split, T } from "../testing/split.ts";
import { d, ddl, everybody, freezeAt, idsOf, normal, World } from "../testing/world.ts";

/** The operations of the invocation that handles a message, in their order. */
async function operations(
  world: World,
  warm: boolean,
  ...messages: Parameters<World["handle"]>
): Promise<(keyof Port)[]> {
  const methods: (keyof Port)[] = [];
  const hook = (when: "before" | "after", method: keyof Port) => {
    if (when === "before") methods.push(method);
  };
  if (warm) await world.handleHookedWarm(hook, ...messages);
  else await world.handleHooked(hook, ...messages);
  return methods;
}

describe("the last WAITING in an environment that does not know the barrier", () => {
  it("is told to the barrier while the root is read, and grants where the barrier is open", async () => {
    const world = await split();
    const key = ddl(100n);
    await world.handleCold(world.waiting(n1, [A], key, ALTER));
    expect(await operations(world, true, world.waiting(n2, [B], key, ALTER))).toEqual([
      "readRoot",
      "touchBarrier",
      "commitRoot",
      "send",
    ]);
    expect(idsOf(world.told(n2), "write", key)).toEqual([B]);
  });

  it("opens the barrier and grants in one write where nobody has opened it yet", async () => {
    const world = await split();
    const key = ddl(100n);
    // A's invocation dies between the barrier's item and the root.
    const dies = world.handleHooked(
      (when, method) => {
        if (when === "before" && method === "commitRoot") throw new Error("dies");
      },
      world.waiting(n1, [A], key, ALTER),
    );
    await dies;
    expect(await world.phase(key)).toBeUndefined();
    const did = await operations(world, true, world.waiting(n2, [B], key, ALTER));
    expect(did).toEqual(["readRoot", "touchBarrier", "commitRoot", "send"]);
    expect(await world.phase(key)).toBe("writing");
    expect(idsOf(world.told(n2), "write", key)).toEqual([B]);
  });

  it("does so too where what it remembers is from long ago", async () => {
    const world = await split();
    const key = ddl(100n);
    await world.handle(world.waiting(n1, [A], key, ALTER));
    world.now += 3_600_000;
    expect(await operations(world, true, world.waiting(n2, [B], key, ALTER))).toEqual([
      "readRoot",
      "touchBarrier",
      "commitRoot",
      "send",
    ]);
  });
});

describe("a barrier that two open and grant at a time", () => {
  it("is granted once: the later one finds it as it is by then (I2)", async () => {
    const world = await split();
    const key = ddl(100n);
    const dies = (when: "before" | "after", method: keyof Port) => {
      if (when === "before" && method === "commitRoot") throw new Error("dies");
    };
    await world.handleHooked(dies, world.waiting(n1, [A], key, ALTER));
    // B's report is delivered twice. Each sees that everybody waits, and that the barrier is not open.
    const gate = Promise.withResolvers<void>();
    const stands = Promise.withResolvers<void>();
    const late = world.handleHooked(
      async (when, method) => {
        if (when !== "before" || method !== "commitRoot") return;
        stands.resolve();
        await gate.promise;
      },
      world.waiting(n2, [B], key, ALTER),
    );
    await stands.promise;
    await world.handleCold(world.waiting(n2, [B], key, ALTER));
    await world.handleCold(world.done(n2, [B], key, "write"));
    expect(await world.phase(key)).toBe("passing");
    gate.resolve();
    await late;
    expect(await world.phase(key)).toBe("passing");
    expect(idsOf(world.told(n2), "write", key)).toEqual([B]);
  });
});

describe("a barrier that was closed", () => {
  // invariants.md S4, I9
  it("is not opened by who wrote its item before and reads the root after", async () => {
    const world = await split();
    const key = ddl(100n);
    // This environment knows nothing of the barrier. Its write of the item is done, its reading of the root is not.
    const gate = Promise.withResolvers<void>();
    const late = world.handleHookedWarm(
      async (when, method) => {
        if (when === "before" && method === "readRoot") await gate.promise;
      },
      world.waiting(n1, [A], key, ALTER),
    );
    await world.handleCold(world.waiting(n1, [A], key, ALTER));
    await world.handleCold(world.waiting(n2, [B], key, ALTER));
    await world.handleCold(world.done(n2, [B], key, "write"));
    await world.handleCold(world.done(n1, [A], key, "pass"));
    expect(await world.phase(key)).toBeUndefined();
    gate.resolve();
    await late;
    expect(await world.phase(key)).toBeUndefined();
    expect(idsOf(world.told(n1), "pass", key)).toContain(A);
  });

  it("leaves the highest key in the root, whatever the order in which barriers are closed", async () => {
    const world = new World();
    const [C, D] = [d(21), d(22)];
    await world.handle(
      world.opening(n1, T, [
        { id: 10n, schema: 1n },
        { id: 20n, schema: 1n },
      ]),
      world.registration(n1, [
        { id: T, table: 0n },
        { id: A, table: 10n, end: "m" },
        { id: C, table: 20n, end: "m" },
      ]),
      world.registration(n2, [
        { id: B, table: 10n, start: "m" },
        { id: D, table: 20n, start: "m" },
      ]),
    );
    const [low, high] = [ddl(90n), ddl(110n)];
    const highest = () => [...world.store.roots.values()][0]!.closedUpTo;
    for (const [key, table, first, second] of [
      [low, 10n, A, B],
      [high, 20n, C, D],
    ] as const) {
      await world.handleCold(world.waiting(n1, [first], key, { BlockTables: normal(table) }));
      await world.handleCold(world.waiting(n2, [second], key, { BlockTables: normal(table) }));
      await world.handleCold(world.done(n2, [second], key, "write"));
    }
    // The one that closes last has seen the root before the other closed.
    let commits = 0;
    const gate = Promise.withResolvers<void>();
    const stands = Promise.withResolvers<void>();
    const slow = world.handleHooked(
      async (when, method) => {
        if (when !== "before" || method !== "commitRoot" || commits++ > 0) return;
        stands.resolve();
        await gate.promise;
      },
      world.done(n1, [A], low, "pass"),
    );
    await stands.promise;
    await world.handleCold(world.done(n1, [C], high, "pass"));
    expect(highest()).toBe(keyText(high));
    gate.resolve();
    await slow;
    expect(await world.phase(low)).toBeUndefined();
    expect(highest()).toBe(keyText(high));
  });
});

describe("marks", () => {
  it("are made for the event that stands, not for another that a report of the same key names", async () => {
    const world = await split();
    const key = ddl(100n);
    const dies = (when: "before" | "after", method: keyof Port) => {
      if (when === "before" && method === "commitRoot") throw new Error("dies");
    };
    // The first report concerns everybody, and is not in the root yet. Another one says that it is about table 10 alone.
    await world.handleHooked(dies, world.waiting(n2, [B], key, { BlockTables: everybody }));
    await world.handle(world.waiting(n1, [A], key, ALTER));
    const [item] = [...world.store.barriers.values()];
    const chunkOfA = [...world.store.chunks.values()].find(
      (chunk) => chunk.kind === "dispatchers" && chunk.lives.some((life) => life.id === A),
    )!;
    expect([...item!.waiting]).not.toContain(`${chunkOfA.id}.${chunkOfA.version}`);
    expect(world.deadLetters).toHaveLength(1);
    expect(await world.phase(key)).toBe("waiting");
  });

  // invariants.md S5
  it("are not lost when the roster changes between the root and the barrier", async () => {
    const world = await split();
    const key = ddl(100n);
    await world.handle(world.waiting(n1, [A], key, ALTER));
    world.now += 3_600_000;
    // The root that this one reads is from before B's node starts again, its write of the barrier from after.
    let release = () => {};
    const { hook, frozen, release: go } = freezeAt(1);
    release = go;
    const late = world.handleHookedWarm(hook, world.waiting(n2, [B], key, ALTER));
    await frozen;
    const restarted = { ...n2, start: 2 };
    await world.handleCold(world.registration(restarted, [{ id: B, table: 10n, start: "m", life: 2n }]));
    release();
    await late;
    expect(await world.phase(key)).toBe("waiting");
    await world.handleCold(world.waiting(restarted, [{ id: B, life: 2n }], key, ALTER));
    expect(await world.phase(key)).toBe("writing");
  });
});
