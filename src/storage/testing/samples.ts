import { type ChunkPointer, EMPTY_META } from "../../barrier/roster.ts";
import { openedStep, type Step } from "../../barrier/step.ts";
import type { BarrierName, Kept, RootChanges } from "../../maintainer/base/port.ts";
import { spaceOf } from "../../maintainer/base/space.ts";

export const space = spaceOf(
  { high: 1n, low: 18446744073709551615n, name: "orders/1 %", keyspace: "default" },
  0n,
);
export const K1 = "00000000000000000100-0";
export const K2 = "00000000000000000100-1";
export const name = (key: string): BarrierName => ({ space, epoch: 1n, key });
export const step = (now = 5): Step =>
  openedStep(
    {
      event: new Uint8Array([1, 2]),
      digest: "d",
      changesRoster: false,
      routes: false,
      lateTablesHold: false,
      openedOn: 1,
    },
    now,
  );
export const roster = (
  version: number,
  pointers: ChunkPointer[] = [],
): NonNullable<RootChanges["roster"]> => ({
  version,
  meta: { ...EMPTY_META, trigger: "0".repeat(32), openedByStart: 18446744073709551615n },
  pointers,
});
export const pointer = (id: number, version: number): ChunkPointer => ({
  kind: "dispatchers",
  id,
  version,
  name: `i.${id}.${version}`,
});
export const kept = (id: string): Kept => ({
  id,
  type: "BlockStatusRequest",
  body: "AA==",
  node: "n1",
  start: 18446744073709551615n,
  principal: "",
  sentAt: 5,
});
