import { beforeEach, expect, it } from "vitest";
import { grantedStep, type Step } from "../../barrier/step.ts";
import { NOTHING_CLOSED, type Root, type RootConditions } from "../../maintainer/base/port.ts";
import { OPEN_TO_RAISE } from "../../maintainer/upkeep/floor.ts";
import type { Store } from "../memory.ts";
import { K1, K2, pointer, roster, space, step } from "./samples.ts";

/**
 * What any store must do with the root.
 * @param make gives an empty store
 */
export function rootContract(make: () => Promise<Store>): void {
  let store: Store;
  beforeEach(async () => {
    store = await make();
  });
  const start = () => store.commitRoot(space, { epochIsNew: 1n }, { startEpoch: 1n, roster: roster(1) });

  it("starts an epoch once, and a higher one empty", async () => {
    expect(await store.readRoot(space)).toBeUndefined();
    expect((await start()).committed).toBe(true);
    expect((await start()).committed).toBe(false);
    await store.commitRoot(
      space,
      { sameEpoch: 1n },
      {
        open: { key: K1, step: step() },
        addPending: K1,
        countClosed: true,
        closedUpTo: K1,
        floor: { key: K1, expiredUpTo: K1 },
      },
    );
    const high = 18446744073709551615n;
    const next = await store.commitRoot(space, { epochIsNew: high }, { startEpoch: high, roster: roster(1) });
    expect(next.root).toEqual({
      epoch: high,
      rosterVersion: 1,
      meta: roster(1).meta,
      pointers: [],
      closedCount: 0,
      closedUpTo: NOTHING_CLOSED,
      floor: NOTHING_CLOSED,
      expiredUpTo: NOTHING_CLOSED,
      former: [],
      heard: 0,
      retired: false,
      pending: [],
      steps: new Map(),
      bytes: next.root!.bytes,
    } satisfies Root);
    expect((await store.commitRoot(space, { sameEpoch: 1n }, { countClosed: true })).committed).toBe(false);
    expect(await store.readRoot(space)).toEqual(next.root);
  });

  it("opens a barrier for both of two who open it at a time, with the first's step", async () => {
    await start();
    const results = await Promise.all(
      [1, 2, 3].map((now) =>
        store.commitRoot(
          space,
          { sameEpoch: 1n, nothingClosedSince: 0 },
          { open: { key: K1, step: step(now) } },
        ),
      ),
    );
    expect(results.map((result) => result.committed)).toEqual([true, true, true]);
    const opened = new Set(results.map((result) => result.root!.steps.get(K1)!.openedAt));
    expect(opened.size).toBe(1);
  });

  // invariants.md S1, I2
  it("gives a step to one winner", async () => {
    await start();
    await store.commitRoot(space, {}, { open: { key: K1, step: step() } });
    const grant = { id: "a".repeat(32), life: 18446744073709551615n, chunk: 3, slot: 4, node: "n1" };
    const granted = grantedStep(step(), grant, 1, 2, 9);
    const results = await Promise.all(
      [1, 2, 3, 4].map(() =>
        store.commitRoot(
          space,
          {
            sameEpoch: 1n,
            sameRoster: 1,
            sameStep: { key: K1, phase: "waiting", grants: 0 },
            samePending: [],
          },
          { step: { key: K1, step: granted } },
        ),
      ),
    );
    expect(results.filter((result) => result.committed)).toHaveLength(1);
    for (const { root } of results) expect(root!.steps.get(K1)).toEqual(granted);
  });

  it.each<[string, RootConditions]>([
    ["sameEpoch", { sameEpoch: 2n }],
    ["epochIsNew", { epochIsNew: 1n }],
    ["sameRoster", { sameRoster: 2 }],
    ["sameStep by phase", { sameStep: { key: K1, phase: "writing", grants: 0 } }],
    ["sameStep by grants", { sameStep: { key: K1, phase: "waiting", grants: 1 } }],
    ["sameStep of a barrier that is not open", { sameStep: { key: K2, phase: "waiting", grants: 0 } }],
    ["notOpenYet", { notOpenYet: K1 }],
    ["nothingClosedSince", { nothingClosedSince: 1 }],
    ["aboveClosed", { aboveClosed: NOTHING_CLOSED }],
    ["aboveFloor", { aboveFloor: K1 }],
    ["sameOpen, empty", { sameOpen: [] }],
    ["sameOpen, another", { sameOpen: [K2] }],
    ["sameOpen, more", { sameOpen: [K1, K2] }],
    ["sameHeard", { sameHeard: 1 }],
    ["samePending, empty", { samePending: [] }],
    ["samePending, fewer", { samePending: [K1] }],
    ["samePending, more", { samePending: [K1, K2, "00000000000000000300-0"] }],
  ])("refuses a write when %s does not hold, and says what is there", async (_, conditions) => {
    await start();
    await store.commitRoot(space, {}, { open: { key: K1, step: step() }, addPending: K1 });
    const floor = { key: K1, expiredUpTo: NOTHING_CLOSED };
    await store.commitRoot(space, { aboveFloor: K1 }, { addPending: K2, floor });
    const before = await store.readRoot(space);
    const result = await store.commitRoot(space, conditions, { countClosed: true, remove: K1 });
    expect(result.committed).toBe(false);
    expect(result.root).toEqual(before);
    expect(await store.readRoot(space)).toEqual(before);
    const holds: RootConditions = {
      sameEpoch: 1n,
      epochIsNew: 2n,
      sameRoster: 1,
      sameStep: { key: K1, phase: "waiting", grants: 0 },
      notOpenYet: K2,
      nothingClosedSince: 0,
      aboveClosed: K1,
      aboveFloor: K2,
      sameOpen: [K1],
      notGrantedYet: K1,
      samePending: [K2, K1],
    };
    const good = await store.commitRoot(space, holds, { countClosed: true, remove: K1, removePending: K1 });
    expect(good.committed).toBe(true);
    expect(good.root!.steps.size).toBe(0);
    expect(good.root!.pending).toEqual([K2]);
    expect(good.root!.closedCount).toBe(1);
    expect(
      (await store.commitRoot(space, { samePending: [K2] }, { removePending: K2 })).root!.pending,
    ).toEqual([]);
    expect((await store.commitRoot(space, { samePending: [] }, {})).committed).toBe(true);
  });

  it("knows a step by its phase and by how many grants it has, no more and no fewer", async () => {
    await start();
    const grant = { id: "a".repeat(32), life: 1n, chunk: 3, slot: 4, node: "n1" };
    const granted = grantedStep(step(), grant, 1, 2, 9);
    await store.commitRoot(space, {}, { open: { key: K1, step: granted } });
    const next = { step: { key: K1, step: grantedStep(granted, grant, 2, 2, 10) } };
    for (const grants of [0, 2]) {
      const sameStep = { key: K1, phase: "writing" as const, grants };
      expect((await store.commitRoot(space, { sameStep }, next)).committed).toBe(false);
    }
    const sameStep = { key: K1, phase: "writing" as const, grants: 1 };
    expect((await store.commitRoot(space, { sameStep }, next)).root!.steps.get(K1)!.grants).toHaveLength(2);
  });

  it("knows which keys are above all that were closed", async () => {
    await start();
    await store.commitRoot(space, { aboveClosed: K1 }, { countClosed: true, closedUpTo: K1 });
    expect((await store.readRoot(space))!.closedUpTo).toBe(K1);
    const above = async (aboveClosed: string) =>
      (await store.commitRoot(space, { aboveClosed }, {})).committed;
    expect([await above(NOTHING_CLOSED), await above(K1), await above(K2)]).toEqual([false, false, true]);
    // A closing that is not the highest leaves it.
    expect((await store.commitRoot(space, {}, { countClosed: true })).root!.closedUpTo).toBe(K1);
  });

  it("lets a barrier be opened with its grant where it is not open, or waits and has none", async () => {
    await start();
    const grant = { id: "a".repeat(32), life: 1n, chunk: 3, slot: 4, node: "n1" };
    const granted = { step: { key: K1, step: grantedStep(step(), grant, 1, 2, 9) } };
    const notGrantedYet = { notGrantedYet: K1 };
    await store.commitRoot(space, {}, { open: { key: K1, step: step() } });
    expect((await store.commitRoot(space, notGrantedYet, granted)).committed).toBe(true);
    expect((await store.commitRoot(space, notGrantedYet, granted)).committed).toBe(false);
    await store.commitRoot(space, {}, { remove: K1 });
    expect((await store.commitRoot(space, notGrantedYet, granted)).committed).toBe(true);
    for (const phase of ["writing", "written", "passing", "closed"] as const) {
      await store.commitRoot(space, {}, { step: { key: K1, step: { ...step(), phase } } });
      expect((await store.commitRoot(space, notGrantedYet, granted)).committed).toBe(false);
    }
  });

  it("asks for as many open barriers at a time as the floor rises over", async () => {
    await start();
    const keys = Array.from({ length: OPEN_TO_RAISE }, (_, at) => `${String(at).padStart(20, "0")}-0`);
    for (const key of keys) await store.commitRoot(space, {}, { open: { key, step: step() } });
    const floor = { key: K2, expiredUpTo: K1 };
    const fewer = await store.commitRoot(space, { sameOpen: keys.slice(1) }, { floor });
    expect(fewer.committed).toBe(false);
    const all = await store.commitRoot(space, { sameOpen: keys }, { floor });
    expect([all.committed, all.root!.floor, all.root!.expiredUpTo]).toEqual([true, K2, K1]);
  });

  it("changes no root that is not there", async () => {
    for (const changes of [
      { countClosed: true },
      { roster: roster(1) },
      { step: { key: K1, step: step() } },
      { remove: K1 },
    ])
      expect(await store.commitRoot(space, {}, changes)).toEqual({ committed: false, root: undefined });
    expect(await store.readRoot(space)).toBeUndefined();
  });

  it("starts an epoch together with its first barrier", async () => {
    await start();
    await store.commitRoot(space, {}, { open: { key: K2, step: step() }, addPending: K2 });
    const { root } = await store.commitRoot(
      space,
      { epochIsNew: 2n },
      { startEpoch: 2n, roster: roster(4), open: { key: K1, step: step() }, addPending: K1 },
    );
    expect([...root!.steps.keys()]).toEqual([K1]);
    expect(root!.pending).toEqual([K1]);
    expect(root!.rosterVersion).toBe(4);
  });

  it("lists barriers and pending events in the order of their keys", async () => {
    await start();
    const keys = ["00000000000000000300-0", K2, K1];
    for (const key of keys)
      await store.commitRoot(space, {}, { open: { key, step: step() }, addPending: key });
    const root = await store.readRoot(space);
    expect([...root!.steps.keys()]).toEqual(keys.toReversed());
    expect(root!.pending).toEqual(keys.toReversed());
  });

  it("takes a step, a roster and the end of a pending event in one write", async () => {
    await start();
    await store.commitRoot(space, {}, { open: { key: K1, step: step() }, addPending: K1 });
    const next = { ...step(), phase: "passing" as const };
    const { root } = await store.commitRoot(
      space,
      { samePending: [K1], sameRoster: 1 },
      { roster: roster(2, [pointer(1, 2)]), step: { key: K1, step: next }, removePending: K1 },
    );
    expect(root).toEqual({
      ...(await store.readRoot(space)),
      rosterVersion: 2,
      pointers: [pointer(1, 2)],
      steps: new Map([[K1, next]]),
      pending: [],
      bytes: root!.bytes,
    });
  });

  it("holds a step with its largest numbers, many grants and no event", async () => {
    await start();
    let large: Step = { ...step(), event: undefined, openedOn: 2 ** 31, wroteBy: 30 };
    for (let chunk = 0; chunk < 50; chunk++)
      large = grantedStep(
        large,
        { id: "f".repeat(32), life: 2n ** 64n - 1n, chunk, slot: 399, node: "n".repeat(40) },
        2 ** 31,
        1,
        7,
      );
    await store.commitRoot(space, {}, { open: { key: K1, step: large } });
    expect((await store.readRoot(space))!.steps.get(K1)).toEqual(large);
  });
}
