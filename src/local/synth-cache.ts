/**
 * What is synthesized and bundled from the sources of the repository takes seconds, and is the same until one of them changes:
 * it is kept under node_modules, by the contents of all that it is made of (docs/decisions/0049-tests.md).
 */
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSynthesized, type Synthesized } from "./template.ts";

const HERE = fileURLToPath(import.meta.url);
const ROOT = dirname(dirname(dirname(HERE)));
/** Of so many states of the sources it is kept; the oldest go. */
const STATES = 8;

/**
 * As `synthesize`, from what was kept if nothing has changed. The folder is the caller's own in any case, who removes it.
 * The published package has its functions bundled: it keeps nothing.
 */
export async function synthesizeOnce(prefix: string): Promise<Synthesized> {
  if (HERE.endsWith(".js")) return (await import("./synth.ts")).synthesize(prefix);
  const kept = join(ROOT, "node_modules", ".cache", "weir-synth");
  const folder = await copyOf(
    kept,
    () => contentsKey(ROOT, prefix),
    async (outdir) => {
      const { synthesize } = await import("./synth.ts");
      synthesize(prefix, outdir);
    },
  );
  return readSynthesized(folder);
}

/**
 * A copy of what was made for a key, which is made and kept if it is not there.
 * @param kept the folder of all that is kept; that nothing can be written to it is no error
 * @param keyOf asked before and after: what was made while the key changed is not kept
 * @param make puts it into a folder, which is empty
 * @returns a folder that is the caller's own
 */
export async function copyOf(
  kept: string,
  keyOf: () => string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const own = mkdtempSync(join(tmpdir(), "weir-synth-"));
  const key = keyOf();
  const there = join(kept, key);
  if (existsSync(there))
    try {
      cpSync(there, own, { recursive: true });
      return own;
    } catch {
      // Somebody has removed it meanwhile.
      rmSync(own, { recursive: true, force: true });
      mkdirSync(own);
    }
  await make(own);
  try {
    if (keyOf() === key) keep(kept, there, own);
  } catch {
    // Another has kept the same, or there is no room: the next one makes it again.
  }
  return own;
}

/** A folder is there whole or not at all: others may look for it at the same time. */
function keep(kept: string, there: string, own: string): void {
  mkdirSync(kept, { recursive: true });
  const half = mkdtempSync(join(kept, "half-"));
  try {
    cpSync(own, half, { recursive: true });
    renameSync(half, there);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    throw error;
  }
  const age = (name: string) => statSync(join(kept, name)).mtimeMs;
  const all = readdirSync(kept).sort((a, b) => age(b) - age(a));
  for (const name of all.slice(STATES)) rmSync(join(kept, name), { recursive: true, force: true });
}

/** What is synthesized depends on: the sources, what is installed, the version of Node, and where they lie. */
export function contentsKey(root: string, prefix: string): string {
  const hash = createHash("sha256");
  const add = (...parts: (string | Buffer)[]) => {
    for (const part of parts) hash.update(`${part.length} `).update(part);
  };
  add(root, prefix, process.version, process.env["CDK_CONTEXT_JSON"] ?? "");
  for (const name of [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "node_modules/.package-lock.json",
  ])
    if (existsSync(join(root, name))) add(name, readFileSync(join(root, name)));
  for (const folder of ["cdk", "functions", "src"])
    for (const name of readdirSync(join(root, folder), { recursive: true }).map(String).sort())
      if (/\.(ts|js)$/.test(name) && !name.endsWith(".test.ts"))
        add(join(folder, name), readFileSync(join(root, folder, name)));
  return hash.digest("hex");
}
