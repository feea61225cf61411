import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { fileURLToPath } from "node:url";

/**
 * Stack traces name sources, not places in the bundle. Node's `--enable-source-maps` reads and parses the map at every cold
 * start; this reads it when the first trace is looked at, and never otherwise (docs/deploy.md has the numbers).
 */
let map: SourceMap | null | undefined;

Error.prepareStackTrace = (error, frames) =>
  [String(error), ...frames.map((frame) => `    at ${inSource(String(frame))}`)].join("\n");

/** A frame of the bundle as one of its source: `fn (src/maintainer/batch.ts:12:3)`. */
function inSource(frame: string): string {
  return frame.replace(/(?:file:\/\/)?[^\s()]*\/index\.mjs:(\d+):(\d+)/, (place, line, column) => {
    if (map === undefined) map = load();
    const origin = map?.findOrigin(Number(line), Number(column));
    if (origin === undefined || !("fileName" in origin)) return place;
    // Relative to where it was bundled, which says nothing where it runs.
    const file = origin.fileName.replace(/^.*?(?=(?:functions|src|node_modules)\/)/, "");
    return `${file}:${origin.lineNumber}:${origin.columnNumber}`;
  });
}

function load(): SourceMap | null {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(import.meta.url)}.map`, "utf8")));
  } catch {
    // Without its map the bundle's own places have to do.
    return null;
  }
}
