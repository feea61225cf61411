/** What the package shows, from its declarations as they are packed: what a change of it changes for others is seen in a review. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A name that an entry of the package exports, with where it is declared. */
export interface Exported {
  readonly name: string;
  /** Of the declaration, without its comment. */
  readonly text: string;
  /** Its doc comment, without stars; empty: none. */
  readonly comment: string;
}

/** @param entry a `.d.ts` whose exports name files beside it @returns its exports by name */
export function exportsOf(entry: string): Exported[] {
  const text = readFileSync(entry, "utf8");
  const found = [...text.matchAll(/^export (?:type )?\{([^}]+)\} from "([^"]+)";/gms)].flatMap(
    ([, names, from]) =>
      names!
        .split(",")
        .map((name) => name.trim().replace(/^type /, ""))
        .filter((name) => name !== "")
        .map((name) => declared(join(dirname(entry), from!.replace(/\.[tj]s$/, ".d.ts")), name)),
  );
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Every file that a declaration leads to; and the packages. */
export function ledTo(entry: string, seen = new Set<string>()): Set<string> {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  const text = readFileSync(entry, "utf8").replaceAll(COMMENT, "");
  for (const [, from] of text.matchAll(/(?:from|import\() ?"([^"]+)"/g))
    if (from!.startsWith(".")) ledTo(join(dirname(entry), from!.replace(/\.[tj]s$/, ".d.ts")), seen);
    else seen.add(from!);
  return seen;
}

/** The report: one block for each export of each entry. */
export function report(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(
      ([name, entry]) =>
        `# ${name}\n\n${exportsOf(entry)
          .map(({ text }) => `${text}\n`)
          .join("\n")}`,
    )
    .join("\n");
}

const COMMENT = /^ *\/\*\*.*?\*\/\n/gms;
/** tsc begins each declaration in the first column, and no line within one but the last. */
const NEXT = /^(?:export|declare|import|type|interface|\/\*\*)/m;

function declared(file: string, name: string): Exported {
  const text = readFileSync(file, "utf8");
  const start = new RegExp(
    `^export (?:declare )?(?:abstract )?(?:class|const|function|interface|type) ${name}\\b`,
    "m",
  );
  const again = new RegExp(`^export (?:type )?\\{[^}]*\\b${name}\\b[^}]*\\} from "([^"]+)"`, "ms").exec(text);
  const at = start.exec(text)?.index;
  if (at === undefined && again)
    return declared(join(dirname(file), again[1]!.replace(/\.[tj]s$/, ".d.ts")), name);
  if (at === undefined) throw new Error(`${file} does not declare ${name}`);
  const rest = text.slice(at + 1);
  const end = NEXT.exec(rest)?.index ?? rest.length;
  const comment = /\/\*\*((?:(?!\*\/).)*)\*\/\s*$/s.exec(text.slice(0, at))?.[1] ?? "";
  return {
    name,
    text: text
      .slice(at, at + 1 + end)
      .replaceAll(COMMENT, "")
      .trim(),
    comment: comment.replaceAll(/^ *\* ?/gm, "").trim(),
  };
}
