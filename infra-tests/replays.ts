/**
 * Replays the example again and again with random options: layouts, numbers of nodes and spans, killed functions, messages
 * that come twice and out of order. The consumer must find nothing. Two run beside each other: each has ports and a folder of
 * its own, and keeps one processor busy. `npm run replays -- --count 10 --seed 1 --jobs 2`
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Chaos } from "../src/local/chaos.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    jobs: { type: "string", default: "2" },
  },
});
const count = Number(values.count);
const seed = Number(values.seed);
const WEIR = fileURLToPath(new URL("../bin/weir.mjs", import.meta.url));
const LOG = fileURLToPath(new URL("../examples/shop.ndjson", import.meta.url));

const dice = new Chaos({ seed });
const upTo = (most: number) => 1 + Math.floor(dice.random() * most);
let failed = 0;
const runs = Array.from({ length: count }, (_, at) => ({
  index: at + 1,
  options: optionsOf(at + 1),
})).values();
await Promise.all(
  Array.from({ length: Number(values.jobs) }, async () => {
    for (const { index, options } of runs) await runOne(index, options);
  }),
);
console.log(`${count - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Drawn one after the other: a seed has the same options however many run at a time. */
function optionsOf(index: number): string[] {
  const options = [
    "--nodes",
    `${upTo(6)}`,
    "--spans",
    `${upTo(6)}`,
    "--queues",
    upTo(2) === 1 ? "node" : "dispatcher",
  ];
  if (index % 5 === 2) options.push("--chaos-kill", "0.1");
  if (index % 5 === 3) options.push("--chaos-duplicate", "0.1");
  if (index % 5 === 4) options.push("--chaos-kill", "0.05", "--chaos-duplicate", "0.1");
  return [...options, "--seed", `${seed + index}`];
}

async function runOne(index: number, options: readonly string[]): Promise<void> {
  const out = mkdtempSync(join(tmpdir(), "weir-replays-"));
  const started = Date.now();
  const { code, text } = await replay([...options, "--out", out]);
  const verdict = /The consumer .*/.exec(text)?.[0] ?? text.slice(-2_000);
  const lambda = /Lambda .*/.exec(text)?.[0] ?? "";
  console.log(
    `${index}/${count} ${options.join(" ")}: ${((Date.now() - started) / 1000).toFixed(0)} s, exit ${code}\n` +
      `    ${verdict.replace(out, "the folder")} ${lambda}`,
  );
  if (code === 0) rmSync(out, { recursive: true });
  else failed++;
}

function replay(options: readonly string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [WEIR, "replay", LOG, ...options], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    child.stdout.on("data", (data: Buffer) => {
      text += data;
    });
    child.stderr.on("data", (data: Buffer) => {
      text += data;
    });
    // A barrier that never closes must not hold up everything else.
    const timer = setTimeout(() => child.kill("SIGKILL"), 600_000);
    child.on("exit", (code) => {
      clearTimeout(timer);
      resolve({ code, text });
    });
  });
}
