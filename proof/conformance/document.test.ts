/** docs/conformance.md is checked, so that it cannot drift from the tests that it names. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");
const lines = read("docs/conformance.md").split("\n");

interface Named {
  readonly file: string;
  readonly title: string;
}

/** A test is named by its file, then its title as it stands there: `file.test.ts` "title". */
const namedIn = (line: string): Named[] =>
  [...line.matchAll(/`([\w./-]+\.test\.ts)` "([^"]+)"/g)].map(([, file, title]) => ({
    file: file!,
    title: title!,
  }));

/** The rows that bear a number, by number. */
const rows = lines.flatMap((line) => {
  const number = /^\| (\d+|T-A\d+) \|/.exec(line)?.[1];
  return number === undefined ? [] : [{ number, line, named: namedIn(line) }];
});
const titleNumber = (number: string) => (number.startsWith("T-A") ? number : `#${number}`);

/** Tests of this folder that bear a number. */
const numbered: Named[] = readdirSync(new URL("proof/conformance/", root))
  .filter((file) => file.endsWith(".test.ts") && file !== "document.test.ts")
  .map((file) => `proof/conformance/${file}`)
  .flatMap((file) =>
    [...read(file).matchAll(/"((?:#\d+|T-A\d+) [^"]*)"/g)].map((match) => ({ file, title: match[1]! })),
  );

describe("docs/conformance.md", () => {
  it("has each of the 54 items and of the 18 holes once", () => {
    const wanted = [
      ...Array.from({ length: 54 }, (_, index) => String(index + 1)),
      ...Array.from({ length: 18 }, (_, index) => `T-A${index + 1}`),
    ];
    expect(rows.map((row) => row.number)).toEqual(wanted);
  });

  it("names a test in each row, or says why there can be none", () => {
    const bare = rows.filter(
      ({ named, line }) => named.length === 0 && !/\| Does not apply: [^|]{20,}\|/.test(line),
    );
    expect(bare.map((row) => row.number)).toEqual([]);
    // A file that is named and no title with it would not be looked for.
    const unread = lines.filter((line) => (line.match(/\.test\.ts`/g)?.length ?? 0) !== namedIn(line).length);
    expect(unread).toEqual([]);
  });

  it("names tests that are there and not skipped", () => {
    const all = lines.flatMap(namedIn);
    expect(all.length).toBeGreaterThan(72);
    const missing = all.filter(({ file, title }) => {
      const source = read(file);
      return (
        !source.includes(`"${title}"`) || /\b(it|describe|test)(\.each)?\.(skip|todo|only)\b/.test(source)
      );
    });
    expect(missing).toEqual([]);
  });

  it("names every test that bears a number, in the row of that number", () => {
    expect(numbered.length).toBeGreaterThan(60);
    const unnamed = numbered.filter(({ file, title }) => {
      const number = title.split(" ")[0];
      const row = rows.find((one) => titleNumber(one.number) === number);
      return !row?.named.some((one) => one.file === file && one.title === title);
    });
    expect(unnamed).toEqual([]);
  });
});
