import fc from "fast-check";
import { expect, it } from "vitest";
import { grantedStep } from "../../barrier/step.ts";
import {
  type BarrierChanges,
  type BarrierConditions,
  type Count,
  NOTHING_CLOSED,
  type RootChanges,
  type RootConditions,
} from "../../maintainer/base/port.ts";
import type { Store } from "../memory.ts";
import { inventory } from "./inventory.ts";
import { K1, K2, name, pointer, roster, space, step } from "./samples.ts";

const key = fc.constantFrom(K1, K2);
const rootCondition: fc.Arbitrary<RootConditions> = fc.record(
  {
    sameEpoch: fc.constantFrom(1n, 2n),
    epochIsNew: fc.constantFrom(1n, 2n, 3n),
    sameRoster: fc.constantFrom(1, 2),
    sameStep: fc.record({
      key,
      phase: fc.constantFrom("waiting" as const, "writing" as const),
      grants: fc.constantFrom(0, 1),
    }),
    notOpenYet: key,
    nothingClosedSince: fc.constantFrom(0, 1),
    aboveClosed: fc.constantFrom(NOTHING_CLOSED, K1, K2, "00000000000000000300-0"),
    notGrantedYet: key,
    samePending: fc.uniqueArray(key),
    sameHeard: fc.constantFrom(0, 1),
  },
  { requiredKeys: [] },
);
/** One or two clauses at a time: of all of them together, some would nearly always fail. */
const rootConditions = fc
  .tuple(rootCondition, fc.nat(), fc.nat({ max: 2 }))
  .map(([all, at, count]): RootConditions => {
    const clauses = Object.entries(all);
    const from = clauses.length > 0 ? at % clauses.length : 0;
    return Object.fromEntries(clauses.slice(from, from + count));
  });
const granted = grantedStep(step(), { id: "b".repeat(32), life: 2n, chunk: 1, slot: 1, node: "n1" }, 1, 1, 6);
const anyStep = fc.constantFrom(step(), step(9), granted);
const heardAt = fc.constantFrom(0, 1);
const rootChange: fc.Arbitrary<RootChanges> = fc.oneof(
  fc.record({ open: fc.record({ key, step: anyStep }), addPending: key }, { requiredKeys: ["open"] }),
  fc.record(
    { step: fc.record({ key, step: anyStep }), countClosed: fc.constant(true), closedUpTo: key },
    { requiredKeys: ["step", "countClosed"] },
  ),
  fc.record({ roster: fc.constantFrom(roster(1), roster(2, [pointer(1, 2)])) }),
  fc.record({ remove: key, removePending: key }),
  fc.record(
    {
      former: fc.constantFrom([], [{ epoch: 1n, endedAt: 5, upTo: K1 }]),
      heard: heardAt,
      retired: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
  fc.record(
    {
      startEpoch: fc.constantFrom(1n, 2n),
      roster: fc.constant(roster(1)),
      open: fc.record({ key, step: anyStep }),
      step: fc.record({ key, step: anyStep }),
      addPending: key,
      countClosed: fc.constant(true),
      closedUpTo: key,
      former: fc.constant([{ epoch: 1n, endedAt: 5, upTo: NOTHING_CLOSED }]),
      heard: heardAt,
    },
    { requiredKeys: ["startEpoch", "roster"] },
  ),
);

const small = fc.nat({ max: 3 });
const mark = fc.constantFrom("1.1", "1.2", "2.1");
const event = fc.constantFrom(new Uint8Array([7]), new Uint8Array([8]), new Uint8Array([7, 8]));
const barrierConditions: fc.Arbitrary<BarrierConditions> = fc.record(
  { notClosed: fc.constant(true as const), notSentSince: small, sameEvent: event, fewerUnreachable: small },
  { requiredKeys: [] },
);
const barrierChanges: fc.Arbitrary<BarrierChanges> = fc.record(
  {
    create: fc.record({
      event,
      openedAt: fc.integer({ min: 1 }),
    }),
    routes: fc.uint8Array({ maxLength: 2 }),
    stamp: small,
    addWaiting: fc.array(mark, { maxLength: 3 }),
    addPassed: fc.array(mark, { maxLength: 3 }),
    addUnreachable: fc.array(mark, { maxLength: 2 }),
    // 0 is what is read where it was never written.
    sentAt: fc.integer({ min: 1, max: 3 }),
    tombstone: fc.record({
      closedAt: small,
      closedOn: small,
      grantedAt: small,
      writtenAt: small,
      writer: fc.constantFrom("", "w"),
      lives: small,
    }),
  },
  { requiredKeys: [] },
);
const count = fc.constantFrom<Count>("waiting", "passed");
const tallyChanges = fc.record(
  { add: fc.array(small, { maxLength: 3 }), stamp: small },
  { requiredKeys: [] },
);
const kept = fc.record({
  id: fc.constantFrom("b", "a", "c"),
  type: fc.constantFrom("BlockStatusRequest" as const, "HeartBeatRequest" as const),
  body: fc.constantFrom("AA==", ""),
  node: fc.constant("n"),
  start: fc.constantFrom(0n, 2n ** 64n - 1n),
  principal: fc.constantFrom("", "p"),
  sentAt: small,
});

type Write = (store: Store) => Promise<unknown>;
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.tuple(rootConditions, rootChange).map(([conditions, changes]): Write => {
    return (store) => store.commitRoot(space, conditions, changes);
  }),
  fc.tuple(key, barrierConditions, barrierChanges).map(([key, conditions, changes]): Write => {
    return (store) => store.touchBarrier(name(key), conditions, changes);
  }),
  fc.tuple(key, count, fc.nat({ max: 12 }), tallyChanges).map(([key, count, chunk, changes]): Write => {
    return (store) => store.touchTally(name(key), count, chunk, changes);
  }),
  kept.map(
    (one): Write =>
      (store) =>
        store.keep(space, one),
  ),
  fc.subarray([K1, K2]).map((keys): Write => {
    return (store) => store.expireBarriers(space, 1n, keys);
  }),
  fc
    .record({ chunk: small, version: small, start: fc.constantFrom(0n, 7n), atLeast: fc.bigInt(0n, 9n) })
    .map((one): Write => {
      return (store) => store.notePositions(space, 1n, [one]);
    }),
  fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 3 }).map((ids): Write => {
    return (store) => store.dropKept(space, ids);
  }),
);

const chunks = fc.uniqueArray(fc.nat({ max: 4 }), { maxLength: 3 });
/** Every other one under a name of earlier versions. */
const named = (id: number) => ({ ...pointer(id, id), ...(id % 2 === 0 && { name: `1:i.${id}` }) });
const chunkWrite = fc.oneof(
  chunks.map((ids): Write => {
    const put = ids.map((id) => ({
      pointer: named(id),
      chunk: { kind: "dispatchers" as const, id, node: "n", version: id, nextSlot: id, lives: [], ended: [] },
    }));
    return (store) => store.putChunks(space, put);
  }),
  chunks.map((ids): Write => {
    return (store) => store.expireChunks(space, ids.map(named));
  }),
);

async function contentOf(store: Store): Promise<unknown> {
  const of = async (key: string) => [
    await store.readBarrier(name(key)),
    await store.readTallies(name(key), "waiting"),
    await store.readTallies(name(key), "passed"),
  ];
  const read = [await store.readRoot(space), await of(K1), await of(K2), await store.readKept(space)];
  return [...read, await inventory(store)];
}

/** Two stores must give the same results for any sequence of writes, and hold the same after it. */
export function sequenceContract(one: () => Promise<Store>, other: () => Promise<Store>): void {
  it("do the same for any sequence of writes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ arbitrary: write, weight: 5 }, chunkWrite), { maxLength: 25 }),
        async (writes) => {
          const [left, right] = await Promise.all(
            [one, other].map(async (make) => {
              const store = await make();
              const results: unknown[] = [];
              for (const write of writes) results.push(await write(store));
              return [results, await contentOf(store)];
            }),
          );
          expect(right).toEqual(left);
        },
      ),
      { numRuns: 60 },
    );
  });
}
