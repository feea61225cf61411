/** What is kept is what would be made, and nothing is taken for it that was made of something else. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { contentsKey, copyOf } from "./synth-cache.ts";

let folder: string;
let made: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-kept-"));
  made = [];
});
afterEach(() => {
  for (const one of [folder, ...made]) rmSync(one, { recursive: true, force: true });
});

/** @returns whether it was made anew, and what it holds */
async function take(key: string, after = key) {
  let isNew = false;
  const keyOf = () => (isNew ? after : key);
  const own = await copyOf(join(folder, "kept"), keyOf, async (outdir) => {
    expect(readdirSync(outdir)).toEqual([]);
    mkdirSync(join(outdir, "asset"));
    writeFileSync(join(outdir, "asset", "index.mjs"), key);
    isNew = true;
  });
  made.push(own);
  return { own, isNew, text: readFileSync(join(own, "asset", "index.mjs"), "utf8") };
}

it("is made once, and everybody has a copy", async () => {
  const first = await take("a");
  expect(first).toMatchObject({ isNew: true, text: "a" });
  writeFileSync(join(first.own, "asset", "index.mjs"), "spoiled");
  const second = await take("a");
  expect(second).toMatchObject({ isNew: false, text: "a" });
  expect(second.own).not.toBe(first.own);
  expect(await take("b")).toMatchObject({ isNew: true, text: "b" });
});

it("is made by each of several at the same time, and kept once", async () => {
  const all = await Promise.all([take("a"), take("a"), take("a")]);
  expect(all.map((one) => one.text)).toEqual(["a", "a", "a"]);
  expect(readdirSync(join(folder, "kept"))).toEqual(["a"]);
});

it("is made where it cannot be kept", async () => {
  writeFileSync(join(folder, "kept"), "a file");
  expect(await take("a")).toMatchObject({ isNew: true, text: "a" });
});

it("is not kept if it cannot be made", async () => {
  const failing = copyOf(
    join(folder, "kept"),
    () => "a",
    async () => {
      throw new Error("no");
    },
  );
  await expect(failing).rejects.toThrow("no");
  expect(existsSync(join(folder, "kept"))).toBe(false);
});

it("is not kept if a source changes while it is made", async () => {
  expect(await take("a", "b")).toMatchObject({ isNew: true, text: "a" });
  expect(await take("a")).toMatchObject({ isNew: true });
  expect(await take("b")).toMatchObject({ isNew: true, text: "b" });
});

it("is kept of eight states of the sources", async () => {
  for (let state = 0; state < 12; state++) await take(`s${state}`);
  const kept = readdirSync(join(folder, "kept"));
  expect(kept).toHaveLength(8);
  expect(kept).toContain("s11");
});

it("is another if any source is, or what is installed, or the prefix; not if a test is", () => {
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text);
  for (const name of ["cdk", "functions", "src/barrier", "node_modules"])
    mkdirSync(join(folder, name), { recursive: true });
  put("src/barrier/step.ts", "1");
  const keys = [contentsKey(folder, "weir")];
  const changes: [string, string][] = [
    ["src/barrier/step.ts", "2"],
    ["src/barrier/chunk_pb.js", ""],
    ["cdk/stack.ts", ""],
    ["functions/maintainer.ts", ""],
    ["package-lock.json", "{}"],
    ["node_modules/.package-lock.json", "{}"],
  ];
  for (const [name, text] of changes) {
    put(name, text);
    keys.push(contentsKey(folder, "weir"));
  }
  keys.push(contentsKey(folder, "other"));
  expect(new Set(keys).size).toBe(keys.length);
  put("src/barrier/step.test.ts", "");
  expect(contentsKey(folder, "other")).toBe(keys.at(-1));
});
