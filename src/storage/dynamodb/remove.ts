import { randomUUID } from "node:crypto";
import { epochOfChunk } from "../../barrier/chunk-name.ts";
import { EMPTY_META } from "../../barrier/roster.ts";
import { WeirError } from "../../error/weir-error.ts";
import type { Space } from "../../maintainer/base/space.ts";
import {
  barrierKey,
  chunkPartitions,
  epochPartition,
  formerChunkKey,
  keptPartition,
  positionPartition,
  spaceKey,
  tallyPartition,
} from "./keys.ts";
import { pointerFrom } from "./pointer-text.ts";
import type { DynamoStore } from "./store.ts";
import { type Item, N, S, text } from "./values.ts";

/** Items that are looked up and deleted in one step. */
const STEP = 100;

/** Who removes a changefeed, when and why: kept with it (`#AUDIT`). */
export interface Removal {
  readonly who: Readonly<Record<string, string>>;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Removes a changefeed for good (protocol.md R14). First the root goes to a higher epoch, empty and marked as removed: that
 * fences invocations at work, and whatever comes late is refused. Then its items are deleted in steps, the entry that the
 * sweep goes by last. Who is stopped on the way calls this again.
 * @returns how many items were deleted
 * @throws Error if the changefeed was opened again meanwhile
 */
export async function removeSpace(store: DynamoStore, space: Space, removal: Removal): Promise<number> {
  await fence(store, space, removal);
  let deleted = 0;
  for (const audit of await store.table.query(auditPartition(space))) {
    if (text(audit["what"]) !== "remove" || audit["collected"] !== undefined) continue;
    const epochs = [audit["epoch"]!.N!, ...text(audit["former"]).split(" ")].filter((one) => one !== "");
    deleted += await collect(store, space, epochs.map(BigInt), text(audit["chunks"]));
    const { pk, sk, ...attributes } = audit;
    await store.table.put({ pk: text(pk), sk: text(sk) }, { ...attributes, collected: N(deleted) });
  }
  await store.table.deleteMany([spaceKey(space)]);
  // Whoever opens it names it to the sweep after that is committed: one that came before this was lost is seen here.
  const root = await store.readRoot(space);
  if (root !== undefined && !root.meta.removed) await store.registerSpace(space, randomUUID());
  return deleted;
}

export const auditPartition = (space: Space) => `${space.text}#AUDIT`;

async function fence(store: DynamoStore, space: Space, { who, reason, now }: Removal): Promise<void> {
  const root = await store.readRoot(space);
  if (root?.meta.removed) return;
  const epoch = root?.epoch ?? 0n;
  // What was there is written down before it goes.
  await store.table.put(
    { pk: auditPartition(space), sk: `${new Date(now).toISOString()} remove ${epoch}` },
    {
      what: S("remove"),
      ...Object.fromEntries(Object.entries(who).map(([name, value]) => [name, S(value)])),
      reason: S(reason),
      epoch: N(epoch),
      open: S([...(root?.steps.keys() ?? [])].slice(0, 1_000).join(" ")),
      barriers: N(root?.closedCount ?? 0),
      former: S((root?.former ?? []).map((one) => one.epoch).join(" ")),
      chunks: S((root?.pointers ?? []).map((pointer) => pointer.name).join(" ")),
    },
  );
  const { committed } = await store.commitRoot(
    space,
    { epochIsNew: epoch + 1n },
    {
      startEpoch: epoch + 1n,
      roster: { version: 1, meta: { ...EMPTY_META, removed: true }, pointers: [] },
    },
  );
  if (!committed)
    throw new WeirError(
      "epoch-over",
      `${space.text} was opened again meanwhile: look at it, and remove it again`,
    );
}

async function collect(
  store: DynamoStore,
  space: Space,
  epochs: readonly bigint[],
  chunks: string,
): Promise<number> {
  const { table } = store;
  const names = chunks.split(" ").filter((name) => name !== "");
  const former = names.filter((name) => epochOfChunk(name) === undefined);
  await table.deleteMany(former.map((name) => formerChunkKey(space, name)));
  let deleted = former.length;
  const highest = epochs.reduce((most, epoch) => (epoch > most ? epoch : most), 0n);
  for (const pk of chunkPartitions(space)) {
    const items = await table.query(pk, "", { brief: true });
    const keys = items.map((item) => ({ pk, sk: text(item["sk"]) }));
    // Of a higher one are those of whoever opens it again meanwhile.
    const over = keys.filter(({ sk }) => epochOfChunk(pointerFrom(sk).name)! <= highest);
    if (over.length > 0) await table.deleteMany(over);
    deleted += over.length;
  }
  const all = async (partition: string, prefix = "", before?: (item: Item) => Promise<void>) => {
    for (;;) {
      const items = await table.query(partition, prefix, { limit: STEP });
      if (items.length === 0) return;
      for (const item of items) await before?.(item);
      await table.deleteMany(items.map((item) => ({ pk: text(item["pk"]), sk: text(item["sk"]) })));
      deleted += items.length;
    }
  };
  for (const epoch of epochs) {
    const prefix = barrierKey({ space, epoch, key: "" }).sk;
    // The tallies of a barrier go before it, for it names them.
    await all(epochPartition(space, epoch), prefix, async (item) => {
      const name = { space, epoch, key: text(item["sk"]).slice(prefix.length) };
      for (const count of ["waiting", "passed"] as const) await all(tallyPartition(name, count));
    });
    await all(positionPartition(space, epoch));
  }
  await all(keptPartition(space));
  return deleted;
}
