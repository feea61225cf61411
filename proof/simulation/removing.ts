import { epochOfChunk } from "../../src/barrier/chunk-name.ts";
import { EMPTY_META } from "../../src/barrier/roster.ts";
import type { Space } from "../../src/maintainer/base/space.ts";
import type { MemoryStore } from "../../src/storage/memory.ts";
import type { Ground } from "./process.ts";

/**
 * An operator removes the changefeed (protocol.md R14; decisions/0031) as `weir remove` does: the root goes to the next epoch and says
 * so, then the items of those before go in steps, then the entry for the sweep. What nodes have sent is still on its way, and invocations
 * are at work.
 * @returns the epoch that says that it is removed; undefined: somebody else was faster, or there is nothing yet
 */
export async function removeChangefeed(
  { timeline, dice }: Ground,
  store: MemoryStore,
  space: Space,
): Promise<bigint | undefined> {
  const root = await store.readRoot(space);
  if (root === undefined || root.meta.removed) return undefined;
  const epoch = root.epoch + 1n;
  const { committed } = await store.commitRoot(
    space,
    { epochIsNew: epoch },
    {
      startEpoch: epoch,
      roster: { version: 1, meta: { ...EMPTY_META, removed: true }, pointers: [] },
    },
  );
  if (!committed) return undefined;
  for (const part of dice.shuffle(["chunks", "barriers", "tallies", "positions", "kept"] as const)) {
    await timeline.sleep(dice.between(1, 2_000));
    store.discard((item) => {
      if (item.part !== part) return false;
      if (part === "kept") return true;
      const [, name = ""] = item.path.split(" ");
      return (part === "chunks" ? epochOfChunk(name)! : BigInt(name)) <= root.epoch;
    });
  }
  store.spaces.delete(space.text);
  // Whoever opens it names it to the sweep before and after: one that was lost just now is seen here.
  if (!(await store.readRoot(space))?.meta.removed) await store.registerSpace(space, "removal");
  return epoch;
}
