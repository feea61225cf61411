/** How the documentation is written: what a page may hold, and how much of an older page does not keep to it yet. */
import { type Page, sentencesOf, wordsOf } from "./pages.ts";

export const WORDS = 25;
export const COLUMNS = 120;
/** Characters of a cell: more is hard to read beside others. */
export const CELL = 120;

/** @returns lines that are too long, but for tables, and lines that one address makes so */
export function longLines({ lines }: Page): string[] {
  return lines.flatMap((text, index) =>
    text.length <= COLUMNS || text.startsWith("|") || /^\S*https?:\S+$/.test(text.trim())
      ? []
      : [`${index + 1}: ${text.length} characters`],
  );
}

export function longSentences({ texts, cells }: Page): string[] {
  return [...texts, ...cells].flatMap(({ line, value }) =>
    sentencesOf(value)
      .filter((sentence) => wordsOf(sentence) > WORDS)
      .map((sentence) => `${line}: ${wordsOf(sentence)} words: ${sentence}`),
  );
}

export function longCells({ cells }: Page): string[] {
  return cells
    .filter(({ value }) => value.length > CELL)
    .map(({ line, value }) => `${line}: ${value.length} characters: ${value.slice(0, 60)}`);
}

/** @returns sentences that begin with a somebody who has no name: "Who is refused is told." */
export function bareWho({ texts, cells }: Page): string[] {
  return [...texts, ...cells].flatMap(({ line, value }) =>
    sentencesOf(value)
      .filter((sentence) => /^(Who|Whoever|Whom) .*\.$/.test(sentence))
      .map((sentence) => `${line}: ${sentence}`),
  );
}
