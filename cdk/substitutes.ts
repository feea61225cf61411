import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "functions", "substitutes");

/** Modules that a bundle gets instead of others, by esbuild's `alias` (decisions/0022). */
export const SUBSTITUTES: Readonly<Record<string, string>> = {
  "@aws-sdk/credential-provider-node": join(folder, "credentials.ts"),
  "node:http": join(folder, "http.ts"),
};
