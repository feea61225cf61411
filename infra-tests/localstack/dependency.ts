import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** The path of a file in a dependency, of those that its package does not export. */
export function fileOf(name: string, file: string): string {
  return join(dirname(require.resolve(`${name}/package.json`)), file);
}
