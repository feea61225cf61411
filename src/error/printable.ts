/**
 * Text that came from outside, as it may be shown: whatever is no visible character is written as JavaScript writes it. These are
 * control characters (C0, C1, escapes), all ends of lines, marks that turn the direction or are not seen, and halves of characters. One
 * line stays one line, and a terminal obeys nothing.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped);
}

/** The same of lines that Weir has put together: their ends stay. What each is made of has gone through `printable`. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** A value as JSON on several lines that says the same and that a terminal obeys nothing of. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replaceAll(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    // JSON knows escapes of four digits only.
    character.split("").map(escaped).join(""),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}
