/** What sources and pages cite: rules of the protocol, invariants, facts about TiCDC, sections, decisions, pages. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Where citations stand. */
const PLACES = [
  "src",
  "proof",
  "functions",
  "cdk",
  "clients",
  "infra-tests",
  "release",
  "examples",
  "docs",
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
];
/** What is generated; and the test of this, which cites what does not exist. */
const PASSED_OVER =
  /(^|\/)(node_modules|dist|cdk\.out)(\/|$)|_pb\.(js|d\.ts)$|^docs\/rules\.md$|^infra-tests\/rules\.test\.ts$/;
const READ = /\.(ts|go|md|proto|txt)$/;

/** The pages that say what is cited. `protocol` is several files. */
export type Page = "protocol" | "invariants" | "ticdc";
const PAGES: Record<Page, RegExp> = {
  protocol: /^docs\/protocol(\.md$|\/[^/]+\.md$)/,
  invariants: /^docs\/invariants\.md$/,
  ticdc: /^docs\/ticdc\.md$/,
};

export interface Source {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

/** A rule or an invariant: `### <a id="r1"></a>R1: The opening`. */
export interface Rule {
  readonly id: string;
  readonly title: string;
  readonly page: Page;
  /** The page and its anchor, from docs/. */
  readonly link: string;
}

/** What can be cited. */
export interface Citable {
  readonly rules: readonly Rule[];
  /** Ids and numbers of sections by page, as they are written. */
  readonly of: Readonly<Record<Page, ReadonlySet<string>>>;
  /** Numbers of decisions, four digits. */
  readonly decisions: ReadonlySet<string>;
  /** Every page, from the root of the repository. */
  readonly pages: ReadonlySet<string>;
}

export interface Citation {
  readonly path: string;
  /** A rule's id, a section, `decision 0004`, or the name of a page. */
  readonly what: string;
  readonly exists: boolean;
}

/** Every file in which citations may stand. */
export function readSources(): Source[] {
  const all: Source[] = [];
  for (const place of PLACES) {
    const names = place.includes(".") ? [place] : listed(place);
    for (const path of names)
      if (READ.test(path) && !PASSED_OVER.test(path))
        all.push({ path, text: readFileSync(`${ROOT}${path}`, "utf8") });
  }
  return all;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(`${ROOT}${folder}`, { withFileTypes: true })
      .filter((entry) => !PASSED_OVER.test(`${folder}/${entry.name}`))
      .flatMap((entry) =>
        entry.isDirectory() ? listed(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
      )
      .sort();
  } catch {
    return [];
  }
}

/** What the pages define. */
export function citable(sources: readonly Source[]): Citable {
  const rules: Rule[] = [];
  const of = { protocol: new Set<string>(), invariants: new Set<string>(), ticdc: new Set<string>() };
  for (const page of Object.keys(PAGES) as Page[])
    for (const { path, text } of sources.filter((one) => PAGES[page].test(one.path))) {
      for (const [, anchor, id, title] of text.matchAll(/^### <a id="([^"]+)"><\/a>(\w+): (.+)$/gm)) {
        rules.push({ id: id!, title: title!, page, link: `${path.slice("docs/".length)}#${anchor}` });
        of[page].add(id!);
      }
      for (const [, id] of text.matchAll(/<a id="[^"]+"><\/a>(?:\*\*)?((?:T-A|TM|TD|T|P)\d+)\b/g))
        of[page].add(id!);
      for (const [, section] of text.matchAll(/^#{1,3} (\d+(?:\.\d+)?)\.? /gm)) of[page].add(section!);
    }
  rules.sort((a, b) => rank(a.id) - rank(b.id) || a.id.localeCompare(b.id));
  const pages = new Set(sources.filter(({ path }) => path.endsWith(".md")).map(({ path }) => path));
  pages.add("docs/rules.md");
  const decisions = [...pages].flatMap((path) => /^docs\/decisions\/(\d{4})-/.exec(path)?.[1] ?? []);
  return { rules, of, decisions: new Set(decisions), pages };
}

/** By letter as the pages have them, then by number. */
const rank = (id: string) => "RDMISQ".indexOf(id[0]!) * 1_000 + Number(/\d+/.exec(id)?.[0]);

const ID = String.raw`(?:[RDMISQP]\d+[a-z]?|T-A\d+|TM\d+|TD\d+|T\d+|\d+(?:\.\d+)?)\b`;
/** `protocol.md R4`, `protocol.md M2 to M7, M17a`, `ticdc.md 2.13`. */
const NAMED = new RegExp(
  String.raw`\b(protocol|invariants|ticdc)\.md,? (${ID}(?:(?:, | and | to )${ID})*)`,
  "g",
);
/** An id by itself, in a comment, a title or a page: `(M6a)`, `"R9b: who is lost"`. */
const BARE = /(?<![\w.#-])([RDM]\d{1,2}[a-z]?|I(?:10|[1-9]))(?![\w-])/g;
const DECISION = /\bdecisions?[ /](\d{1,4})(?:(?:, | and )(\d{4}))*\b/g;
const PAGE = /[\w./-]*\w\.md\b/g;

/** Everything that a file cites, each citation once. */
export function citationsIn({ path, text }: Source, known: Citable): Citation[] {
  const found = new Map<string, boolean>();
  const add = (what: string, exists: boolean) => found.set(what, exists && found.get(what) !== false);
  const flat = text.replace(/\r?\n\s*(?:\*(?!\/)|\/\/|#|>)? ?/g, " ");
  for (const [, page, list] of flat.matchAll(NAMED))
    for (const id of spread(list!)) add(id, known.of[page as Page].has(id));
  const bare = path.endsWith(".md") ? pageText(text) : spokenText(text);
  const rules = new Set(known.rules.map((rule) => rule.id));
  for (const [, id] of bare.matchAll(BARE)) add(id!, rules.has(id!));
  for (const [all] of flat.matchAll(DECISION))
    for (const [number] of all.matchAll(/\d+/g)) {
      const four = number.padStart(4, "0");
      add(`decision ${four}`, known.decisions.has(four));
    }
  for (const [name] of flat.matchAll(PAGE)) if (!isPage(name, path, known)) add(name, false);
  return [...found].map(([what, exists]) => ({ path, what, exists }));
}

/** `M2 to M7, M17a`: the ends and what lies between, as far as they have one letter. */
function spread(list: string): string[] {
  return list.split(/, | and /).flatMap((part) => {
    const [from, to] = part.split(" to ");
    if (to === undefined) return [part];
    const [letter, first] = [from!.replace(/\d.*/, ""), Number(/\d+/.exec(from!)?.[0])];
    const last = Number(/\d+/.exec(to)?.[0]);
    const between = Array.from(
      { length: Math.max(0, last - first - 1) },
      (_, at) => `${letter}${first + 1 + at}`,
    );
    return [from!, ...between, to];
  });
}

/** Comments and titles of tests, and what a mutant says that it breaks. */
function spokenText(text: string): string {
  const comments = text.matchAll(/\/\*\*?[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm);
  const titles = text.matchAll(/\b(?:it|describe|test|rule)\b[^"\n]{0,40}"([^"\n]*)"/g);
  return [...comments, ...titles].map(([all, inner]) => inner ?? all).join("\n");
}

function pageText(text: string): string {
  return text
    .replace(/^```[\s\S]*?^```/gm, "")
    .replace(/`[^`\n]*`/g, "")
    .replace(/\]\([^)]*\)/g, "]")
    .replace(/<a [^>]*>/g, "");
}

/** A page is named from the root, from docs/, or from the page that names it. */
function isPage(name: string, from: string, { pages }: Citable): boolean {
  const folder = from.slice(0, from.lastIndexOf("/") + 1);
  const clean = name.replace(/^(?:\.\/)+/, "");
  const candidates = [
    clean,
    `docs/${clean}`,
    normal(folder + clean),
    normal(clean.replace(/^(\.\.\/)+/, "")),
  ];
  return candidates.some((one) => pages.has(one));
}

function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/"))
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  return parts.join("/");
}
