/** The documentation as its readers get it: every Markdown file of the repository, parsed. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import GithubSlugger from "github-slugger";
import MarkdownIt, { type Token } from "markdown-it";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What stands at a line, counted from 1. */
export interface At<Value> {
  readonly line: number;
  readonly value: Value;
}

export interface CodeBlock {
  readonly language: string;
  /** What follows the language: readers do not see it. */
  readonly info: string;
  readonly text: string;
}

export interface Page {
  /** From the root of the repository. */
  readonly path: string;
  readonly lines: readonly string[];
  /** Anchors: as GitHub makes them of headings, and those that the page sets itself. */
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly At<string>[];
  readonly blocks: readonly At<CodeBlock>[];
  /** Texts of paragraphs, items and headings, as they are read: a piece of code is the one word `Code`. */
  readonly texts: readonly At<string>[];
  /** The same for cells of tables. */
  readonly cells: readonly At<string>[];
  /** Code within texts and cells. */
  readonly code: readonly At<string>[];
}

/** @returns every Markdown file that git knows or would add */
export function allPages(): Page[] {
  const args = ["ls-files", "-co", "--exclude-standard", "--deduplicate", "*.md"];
  const paths = execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim().split("\n");
  return paths.map((path) => parsePage(path, readFileSync(`${ROOT}${path}`, "utf8")));
}

export function parsePage(path: string, text: string): Page {
  const links: At<string>[] = [];
  const blocks: At<CodeBlock>[] = [];
  const texts: At<string>[] = [];
  const cells: At<string>[] = [];
  const code: At<string>[] = [];
  const anchors = new Set<string>();
  const slugger = new GithubSlugger();
  const tokens = new MarkdownIt({ html: true }).parse(text, {});
  let line = 1;
  tokens.forEach((token, index) => {
    if (token.map) line = token.map[0] + 1;
    if (token.type === "fence") {
      const [, language = "", info = ""] = /^(\S*)\s*(.*)$/.exec(token.info.trim())!;
      blocks.push({ line, value: { language, info, text: token.content } });
    }
    if (token.type === "code_block")
      blocks.push({ line, value: { language: "sh", info: "", text: token.content } });
    for (const [, id] of html(token).matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id!);
    if (token.type !== "inline") return;
    const before = tokens[index - 1]!.type;
    if (before === "heading_open") anchors.add(slugger.slug(textOf(token, (one) => one.content)));
    const read = { line, value: textOf(token, () => "Code") };
    (/^t[hd]_open$/.test(before) ? cells : texts).push(read);
    for (const child of token.children!) {
      const target = child.attrGet("href") ?? child.attrGet("src");
      if (target !== null) links.push({ line, value: String(target) });
      if (child.type === "code_inline") code.push({ line, value: child.content });
    }
  });
  return { path, lines: text.split("\n"), anchors, links, blocks, texts, cells, code };
}

/** What stands in a token as HTML. */
const html = ({ type, content, children }: Token): string =>
  type === "html_block"
    ? content
    : (children ?? [])
        .filter((one) => one.type === "html_inline")
        .map((one) => one.content)
        .join("");

function textOf({ children }: Token, ofCode: (child: Token) => string): string {
  return children!
    .map((child) => {
      if (child.type === "code_inline") return ofCode(child);
      if (child.type === "softbreak" || child.type === "hardbreak") return " ";
      return child.type === "html_inline" ? (/^<br/.test(child.content) ? ". " : "") : child.content;
    })
    .join("");
}

const SENTENCES = new Intl.Segmenter("en", { granularity: "sentence" });

/** @returns sentences by the Unicode rules (UAX #29): a stop, then a space and no small letter */
export const sentencesOf = (text: string): string[] =>
  [...SENTENCES.segment(text)].map(({ segment }) => segment.trim()).filter((one) => one !== "");

/** @returns how many words a reader sees: what stands between spaces and has a letter or a digit */
export const wordsOf = (sentence: string): number =>
  sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
