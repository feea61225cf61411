import fc from "fast-check";
import { expect, it } from "vitest";
import { printable, printableJson, printableLines } from "./printable.ts";

it("shows names as they are, in every script", () => {
  for (const name of ["node-1", "узел", "节点", "été", "🙂", 'a "b" \\ c'])
    expect(printable(name)).toBe(name);
});

it.each([
  ["a line break", "n1\nDDL 5 waiting", "n1\\u000aDDL 5 waiting"],
  ["an escape", "\u001b[2Jn1", "\\u001b[2Jn1"],
  ["an escape of C1", "\u009b2Jn1", "\\u009b2Jn1"],
  ["the other ends of lines", "a\u2028b\u2029c\u0085d\r", "a\\u2028b\\u2029c\\u0085d\\u000d"],
  ["a change of direction", "a\u202eb", "a\\u202eb"],
  ["half a character", "a\ud800b", "a\\ud800b"],
  ["a tag that is not seen", "a\u{e0041}b", "a\\u{e0041}b"],
])("shows %s as what it is", (_, text, shown) => {
  expect(printable(text)).toBe(shown);
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u;

it("leaves nothing that a terminal obeys, and no second line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(printable(text)).not.toMatch(OBEYED);
    }),
  );
});

it("keeps the ends of lines that Weir has put there", () => {
  expect(printableLines("a\n  b\u001b")).toBe("a\n  b\\u001b");
});

it("writes JSON that says the same", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const shown = printableJson({ node: text });
      expect(JSON.parse(shown)).toEqual({ node: text });
      expect(shown.replaceAll("\n", "")).not.toMatch(OBEYED);
    }),
  );
});
