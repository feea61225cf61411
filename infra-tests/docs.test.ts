/** Every page can be read without effort, and leads where it says (CONTRIBUTING.md, "Documentation"). */
import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { EXCEPTIONS, isDiary } from "./docs/exceptions.ts";
import { allPages, type Page, parsePage, ROOT } from "./docs/pages.ts";
import { bareWho, COLUMNS, longCells, longLines, longSentences, WORDS } from "./docs/writing.ts";

const PAGES = allPages();
const BY_PATH = new Map(PAGES.map((page) => [page.path, page]));

/** @returns links of a page that lead nowhere: no such file, or no such heading in it */
function deadLinks(page: Page): string[] {
  return page.links.flatMap(({ line, value }) => {
    if (/^[a-z]+:/.test(value)) return [];
    const [to, anchor] = value.split("#") as [string, string?];
    const path = to === "" ? page.path : normalize(join(dirname(page.path), decodeURIComponent(to)));
    if (path.startsWith("..") || !existsSync(join(ROOT, path))) return [`${line}: no file ${value}`];
    if (anchor === undefined) return [];
    return BY_PATH.get(path)?.anchors.has(anchor) ? [] : [`${line}: no heading ${value}`];
  });
}

/** Paths that a page names in code, as `src/barrier/coverage.ts`: folders of the repository, with a slash in them. */
function missingFiles({ code }: Page): string[] {
  return code
    .filter(({ value }) =>
      /^(src|infra-tests|cdk|functions|clients|examples|docs|release|bin|proof)\/[\w./-]+$/.test(value),
    )
    .filter(({ value }) => !existsSync(join(ROOT, value)))
    .map(({ line, value }) => `${line}: no file ${value}`);
}

describe.each(PAGES.map((page) => [page.path, page] as const))("%s", (path, page) => {
  const has = EXCEPTIONS[path] ?? {};
  /** As many as the page is allowed, no more and no fewer; where it is allowed none, the test says which there are. */
  const expectOnly = (found: readonly string[], allowed = 0) =>
    expect(found.length === allowed ? [] : found, `${allowed} allowed (docs/exceptions.ts)`).toEqual([]);

  it("leads to files and headings that are there", () => {
    expect([...deadLinks(page), ...missingFiles(page)]).toEqual([]);
  });

  it.skipIf(isDiary(path))(`has lines of at most ${COLUMNS} characters, and short cells`, () => {
    expectOnly(longLines(page), has.lines);
    expectOnly(longCells(page), has.cells);
  });

  it.skipIf(isDiary(path))(
    `has sentences of at most ${WORDS} words, in which somebody does something`,
    () => {
      expectOnly(longSentences(page), has.sentences);
      expectOnly(bareWho(page), has.nameless);
    },
  );
});

it("what a program writes into a page has marks that it finds", () => {
  const text = BY_PATH.get("docs/performance.md")!.lines.join("\n");
  const names = [...text.matchAll(/<!-- (\w+) -->/g)].map(([, name]) => name!);
  expect(names).toContain("counts");
  // As `npm run bench -- --write` looks for them.
  const found = names.filter((name) =>
    new RegExp(`^<!-- ${name} -->\\n[\\s\\S]*?^<!-- /${name} -->$`, "m").test(text),
  );
  expect(found).toEqual(names);
});

it("there is no exception for a page that is gone", () => {
  expect(Object.keys(EXCEPTIONS).filter((path) => !BY_PATH.has(path))).toEqual([]);
});

it("every page of docs is reached from the README", () => {
  const reached = new Set<string>();
  const follow = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const { value } of BY_PATH.get(path)?.links ?? []) {
      if (/^[a-z]+:/.test(value)) continue;
      const to = normalize(join(dirname(path), value.split("#")[0]!));
      const page =
        existsSync(join(ROOT, to)) && statSync(join(ROOT, to)).isDirectory() ? join(to, "README.md") : to;
      if (BY_PATH.has(page)) follow(page);
    }
  };
  follow("README.md");
  expect(
    PAGES.map(({ path }) => path).filter((path) => path.startsWith("docs/") && !reached.has(path)),
  ).toEqual([]);
});

describe("the rules themselves", () => {
  const words = (number: number) =>
    `${Array.from({ length: number }, (_, index) => `word${index}`).join(" ")}.`;

  it("count words of a sentence as a reader does", () => {
    expect(longSentences(parsePage("README.md", words(25)))).toEqual([]);
    expect(longSentences(parsePage("README.md", `Short. ${words(26)}`))).toHaveLength(1);
    // A piece of code is a word, marks are none, and a line break ends nothing.
    expect(longSentences(parsePage("README.md", `A \`b c d\` - ${words(23)}`))).toEqual([]);
    expect(longSentences(parsePage("README.md", words(26).replaceAll(" word1", "\nword1")))).toHaveLength(1);
    expect(longSentences(parsePage("README.md", `| head |\n|---|\n| ${words(26)} |`))).toHaveLength(1);
  });

  it("see long lines and cells, and let addresses and tables be", () => {
    const long = "a ".repeat(61).trim();
    expect(longLines(parsePage("README.md", long))).toEqual(["1: 121 characters"]);
    expect(longLines(parsePage("README.md", `| ${long} |\nhttps://${"a".repeat(200)}`))).toEqual([]);
    expect(longCells(parsePage("README.md", `| head |\n|---|\n| ${long} |`))).toHaveLength(1);
  });

  it("see a somebody without a name", () => {
    expect(bareWho(parsePage("README.md", "Fine. Who is refused is told."))).toHaveLength(1);
    expect(bareWho(parsePage("README.md", "Who writes? The node that is told to."))).toEqual([]);
  });
});
