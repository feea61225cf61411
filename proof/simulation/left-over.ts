import type { Port } from "../../src/maintainer/base/port.ts";
import { run } from "../../src/maintainer/base/program.ts";
import { newMemory } from "../../src/maintainer/batch.ts";
import type { Settings } from "../../src/maintainer/session/session.ts";
import { sweep } from "../../src/maintainer/sweep.ts";
import type { MemoryStore } from "../../src/storage/memory.ts";

/**
 * Chunk versions that a sweep which collects leaves though no root points to them (decisions/0044). An attempt may be under way that
 * makes the next version of the roster, or a higher epoch: of those nobody can tell yet.
 * @param now milliseconds since 1970
 */
export async function leftOver(store: MemoryStore, settings: Settings, now: number): Promise<string[]> {
  const copy = store.clone();
  const port = Object.assign(copy, {
    send: async (messages: readonly unknown[]) => messages.map(() => "sent" as const),
    handOver: async () => undefined,
    deadLetter: async () => undefined,
    pause: async () => undefined,
  });
  const always = { ...settings, collectEvery: 1 };
  await run(sweep({ now, nonce: "last", settings: always, memory: newMemory() }), port as Port);
  const expiring = new Set([...copy.items.values()].flatMap(({ path, ttl }) => (ttl ? [path] : [])));
  return [...copy.chunks].flatMap(([path, { version }]) => {
    const [space = "", name = ""] = path.split(" ");
    const { epoch, rosterVersion, pointers } = copy.roots.get(space)!;
    const wanted = BigInt(name.split(":")[0]!);
    const ahead = wanted > epoch || (wanted === epoch && version > rosterVersion);
    return ahead || expiring.has(path) || pointers.some((one) => one.name === name) ? [] : [path];
  });
}
