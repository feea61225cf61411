import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly author?: string | { readonly name: string };
}

/** What the licences of packages ask for when their code is passed on. @param sources the files that a bundle is made of */
export function licences(sources: readonly string[]): string {
  const folders = new Set(
    sources.flatMap((source) => /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(source) ?? []),
  );
  // Most have the same text: it is there once, under all that it is for.
  const byText = Map.groupBy(folders, textsIn);
  const parts = [...byText].map(([text, all]) => `${all.map(nameOf).sort().join("\n")}\n\n${text}`.trim());
  return `${["The functions hold code of these packages.", ...parts.sort()].join(`\n\n${"-".repeat(80)}\n`)}\n`;
}

function textsIn(folder: string): string {
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  return files.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n");
}

function nameOf(folder: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  const { name, version, license, author } = manifest;
  if (license === undefined) throw new Error(`${name} ${version} names no license: it cannot be passed on`);
  const by = typeof author === "string" ? author : author?.name;
  return `${name} ${version}, ${license}${by === undefined ? "" : `, ${by}`}`;
}
