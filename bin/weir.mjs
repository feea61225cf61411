#!/usr/bin/env node
// The launcher of the `weir` command. In the repository the sources are TypeScript that Node strips of its types itself, which
// needs Node 22.18 or later: an older one on the PATH is replaced by the one that comes with the dependencies. The published
// package holds them as JavaScript, for Node strips nothing under node_modules.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const inRepository = existsSync(join(root, "src", "cli", "main.ts"));
const recent = major > 22 || (major === 22 && minor >= 18);

if (recent) {
  await import(inRepository ? "../src/cli/main.ts" : "../dist/src/cli/main.js");
} else {
  const node = join(root, "node_modules", "node", "bin", "node");
  if (!existsSync(node)) {
    const or = inRepository ? ", or run npm ci first" : "";
    console.error(`weir: Node ${process.versions.node} is too old: install Node 24${or}.`);
    process.exit(2);
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}
