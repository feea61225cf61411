/** Commands that a page tells its reader to run. */
import { existsSync } from "node:fs";
import type { Page } from "./pages.ts";
import { ROOT } from "./pages.ts";

export interface Spoken {
  readonly path: string;
  readonly line: number;
  /** The program and its words; `npx weir` is `weir`. */
  readonly words: readonly string[];
}

/** @returns the words of a simple command, without what stands behind # */
export const wordsIn = (command: string): string[] =>
  [...command.matchAll(/(?<=^|\s)(?:#.*|'([^']*)'|"([^"]*)"|([^\s'"]\S*))/g)]
    .filter(([all]) => !all.startsWith("#"))
    .map(([, single, double, bare]) => single ?? double ?? bare ?? "");

/** @returns each command of the shell blocks, then those that stand as code within a sentence */
export function commandsIn({ path, blocks, code }: Page): Spoken[] {
  const fenced = blocks
    .filter(({ value }) => ["sh", "bash", "shell"].includes(value.language))
    .flatMap(({ line, value }) =>
      value.text
        .replaceAll(/\\\n\s*/g, " ")
        .split(/\n|&&/)
        .map((text) => ({ line, text })),
    );
  const within = code
    .filter(({ value }) => /^(npx weir|weir|npm run|npx vitest) \S/.test(value))
    .map(({ line, value }) => ({ line, text: value }));
  return [...within, ...fenced].flatMap(({ line, text }) => {
    const words = wordsIn(text).filter((word) => word !== "[" && word !== "]");
    while (/^[A-Z_]+=/.test(words[0] ?? "")) words.shift();
    if (words[0] === "npx" && existsSync(`${ROOT}node_modules/.bin/${words[1]}`)) words.shift();
    if (words[0] === "npx" && words[1] === "weir") words.shift();
    return words.length === 0 ? [] : [{ path, line, words: words.map((word) => word.replace(/^\[/, "")) }];
  });
}
