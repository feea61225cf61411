import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";

interface SourceMap {
  readonly sources: readonly string[];
}

/** A function's code as esbuild has made it: `index.mjs`, and its map beside it. */
export class Bundle {
  readonly #folder: string;
  readonly #map: SourceMap;
  /** The files that it was made of. */
  readonly sources: readonly string[];

  /** @param folder its real path: the map names its sources from there */
  constructor(folder: string) {
    this.#folder = folder;
    const found = readdirSync(folder).sort().join(" ");
    if (found !== "index.mjs index.mjs.map")
      throw new Error(`a function is index.mjs and its map, not ${found}`);
    this.#map = JSON.parse(readFileSync(join(folder, "index.mjs.map"), "utf8")) as SourceMap;
    this.sources = this.#map.sources.map((source) => resolve(folder, source));
  }

  /** Copies it. Sources are named from the root of the project: where it was made is nobody's business, and no difference. */
  copyTo(target: string, root: string): void {
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, "index.mjs"), readFileSync(join(this.#folder, "index.mjs")));
    const sources = this.sources.map((source) => fromRoot(source, root));
    writeFileSync(join(target, "index.mjs.map"), JSON.stringify({ ...this.#map, sources }));
  }
}

function fromRoot(source: string, root: string): string {
  const path = relative(root, source).replaceAll("\\", "/");
  if (!path.startsWith("../")) return path;
  // Dependencies may be linked from elsewhere.
  const start = path.indexOf("node_modules/");
  if (start < 0) throw new Error(`a function is made of ${source}, which is no part of the project`);
  return path.slice(start);
}
