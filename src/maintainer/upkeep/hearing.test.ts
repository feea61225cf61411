/** Changefeeds that nobody speaks for (protocol.md R15). */
import { beforeEach, describe, expect, it } from "vitest";
import { keyText } from "../../protocol/event-key.ts";
import { ComponentState } from "../../protocol/messages.ts";
import { MemoryStore } from "../../storage/memory.ts";
import type { Root } from "../base/port.ts";
import { run } from "../base/program.ts";
import { handleBatch, newMemory } from "../batch.ts";
import { sweep } from "../sweep.ts";
import { A, ALTER, B, n1, n2, T } from "../testing/split.ts";
import { ddl, World } from "../testing/world.ts";

const DAY = 24 * 3600 * 1000;
const KEY = ddl(100n);

let world: World;
let store: MemoryStore;
const root = (): Root => [...store.roots.values()][0]!;
const retired = () => [...store.spaces.values()].map((entry) => entry.retired);

beforeEach(async () => {
  store = new MemoryStore();
  world = new World(store);
  await world.handle(
    world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch: 1n }),
    world.registration(
      n1,
      [
        { id: T, table: 0n },
        { id: A, table: 10n, end: "m" },
      ],
      { epoch: 1n },
    ),
    world.registration(n2, [{ id: B, table: 10n, start: "m" }], { epoch: 1n }),
  );
  world.queues.clear();
});

const noted = async () => {
  const { observer, spaces } = await world.sweep();
  return { whats: observer.seen.map(({ what }) => what), spaces };
};

describe("a changefeed that nobody speaks for", () => {
  it("retires after 30 days with what is open there: it is not swept any more, and its items stay", async () => {
    await world.handle(world.waiting(n1, [A], KEY, ALTER));
    world.now += 29 * DAY;
    expect(await noted()).toEqual({
      whats: expect.arrayContaining(["barrier-open"]),
      spaces: 1,
    });
    const items = [store.barriers.size, store.chunks.size];
    world.now += DAY;
    const { observer } = await world.sweep();
    expect(observer.seen).toEqual([
      expect.objectContaining({
        what: "changefeed-retired",
        count: 1,
        detail: expect.stringContaining("1 barriers are open"),
      }),
    ]);
    expect(await noted()).toEqual({ whats: [], spaces: 0 });
    expect([store.barriers.size, store.chunks.size]).toEqual(items);
    expect(root().steps.has(keyText(KEY))).toBe(true);
  });

  it("costs the sweep one query, when it is retired", async () => {
    world.now += 31 * DAY;
    await world.sweep();
    for (const method of Object.keys(world.requests)) delete world.requests[method];
    await world.sweep();
    expect(world.requests).toEqual({ readRegistry: 1 });
  });

  it.each(["a report", "a registration", "an opening", "a heartbeat", "a higher epoch"])(
    "comes back by %s, and what is open there goes on",
    async (what) => {
      await world.handle(world.waiting(n1, [A], KEY, ALTER));
      world.now += 31 * DAY;
      await world.sweep();
      expect(retired()).toEqual([true]);
      // In an environment that remembers the changefeed, and in one that does not.
      const message = {
        "a report": () => world.waiting(n1, [A], KEY, ALTER),
        "a registration": () => world.registration(n2, [{ id: B, table: 10n, start: "m" }], { epoch: 1n }),
        "an opening": () => world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch: 1n }),
        "a heartbeat": () => world.status(n1, A, 1n, ComponentState.Working, 60n),
        "a higher epoch": () => world.opening(n1, T, [{ id: 10n, schema: 1n }], { epoch: 2n }),
      }[what]!();
      await world.handleCold(message);
      expect(retired()).toEqual([false]);
      expect([root().retired, root().heard]).toEqual([false, world.now]);
      expect((await world.sweep()).spaces).toBe(1);
      if (what === "a higher epoch") return;
      await world.handle(world.waiting(n2, [B], KEY, ALTER));
      expect(root().steps.get(keyText(KEY))!.phase).toBe("writing");
    },
  );

  it("is not retired where that is set to never", async () => {
    world.settings = { ...world.settings, retireAfter: 0 };
    world.now += 4_000 * DAY;
    expect((await world.sweep()).spaces).toBe(1);
    expect(retired()).toEqual([false]);
  });

  it("counts from the first sweep, where it is not known who spoke when", async () => {
    const [text] = store.roots.keys();
    store.roots.set(text!, { ...root(), heard: 0 });
    world.now += 40 * DAY;
    await world.sweep();
    expect([retired(), root().heard]).toEqual([[false], world.now]);
    world.now += 30 * DAY;
    await world.sweep();
    expect(retired()).toEqual([true]);
  });
});

describe("a changefeed that somebody speaks for", () => {
  it("is noted once a day, whoever hears it", async () => {
    world.now += 2 * DAY;
    const before = world.requests["commitRoot"] ?? 0;
    for (let hour = 0; hour < 23; hour++) {
      await world.handle(world.status(n1, A, 1n, ComponentState.Working, 60n));
      await world.handleCold(world.status(n1, A, 1n, ComponentState.Working, 60n));
      world.now += 3_600_000;
    }
    expect((world.requests["commitRoot"] ?? 0) - before).toBe(1);
    world.now += 2 * 3_600_000;
    await world.handle(world.status(n1, A, 1n, ComponentState.Working, 60n));
    expect((world.requests["commitRoot"] ?? 0) - before).toBe(2);
  });

  it("does not retire beside it, wherever either of them stands", async () => {
    world.now += 31 * DAY;
    for (let stop = 0; stop < 12; stop++) {
      const copy = store.clone();
      const at = new World(copy);
      at.now = world.now;
      let told = false;
      const hook = async (when: "before" | "after", _: string, index: number) => {
        if (when === "before" && index === stop && !told) {
          told = true;
          await run(
            handleBatch([at.status(n1, A, 1n, ComponentState.Working, 60n)], {
              ...at.invocation(),
              memory: newMemory(),
            }),
            at.port,
          );
        }
      };
      await run(sweep({ ...at.invocation(), memory: newMemory() }), at.hookedPort(hook));
      expect([...copy.spaces.values()].map((entry) => entry.retired)).toEqual([!told]);
      expect([...copy.roots.values()].map((one) => one.retired)).toEqual([!told]);
    }
  });

  it.each([0, 1, 2, 3, 4, 5, 6])(
    "comes back by the next message, when the one before was stopped at operation %i",
    async (stop) => {
      world.now += 31 * DAY;
      await world.sweep();
      const crash = (when: string, _: string, index: number) => {
        if (when === "before" && index >= stop) throw new Error("stopped");
      };
      await world.handleHooked(crash, world.status(n1, A, 1n, ComponentState.Working, 60n));
      await world.handle(world.status(n1, A, 1n, ComponentState.Working, 60n));
      expect([retired(), root().retired]).toEqual([[false], false]);
    },
  );

  it("is not lost by clocks that are set: one that is years ahead retires it, who speaks next brings it back", async () => {
    world.now += 4_000 * DAY;
    await world.sweep();
    expect(retired()).toEqual([true]);
    // What an environment remembers stands for two seconds.
    world.now -= 4_000 * DAY - 3_000;
    await world.handle(world.status(n1, A, 1n, ComponentState.Working, 60n));
    expect(retired()).toEqual([false]);
    // Noted by a clock that is ahead: the sweep counts from its own.
    world.now += 4_000 * DAY;
    await world.handle(world.status(n1, A, 1n, ComponentState.Working, 70n));
    world.now -= 4_000 * DAY;
    await world.sweep();
    world.now += 30 * DAY;
    await world.sweep();
    expect(retired()).toEqual([true]);
  });
});
