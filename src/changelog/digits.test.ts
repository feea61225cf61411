/** The fast way to read a line gives what the one that looks at every number gives. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, it } from "vitest";
import { parseAll, parseCommitTs } from "./digits.ts";

/** What a reader looks at: the value, and the digits of the commitTs and of the numbers in rows. */
function seen({ parsed, digits }: ReturnType<typeof parseAll>) {
  const holder = parsed as Record<string, unknown> | null;
  const rows = [holder?.["data"], holder?.["old"]].flatMap((one) => (Array.isArray(one) ? one : []));
  const of = (one: unknown) =>
    typeof one === "object" && one && !Array.isArray(one) ? digits.get(one) : undefined;
  return { parsed, commitTs: of(holder?.["_tidb"])?.get("commitTs"), rows: rows.map(of) };
}

/** @returns whether it was read the fast way */
function compare(text: string): boolean {
  let fast: ReturnType<typeof parseCommitTs>;
  try {
    fast = parseCommitTs(text);
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    expect(() => parseAll(text)).toThrow((error as Error).message);
    return false;
  }
  if (fast) expect(seen(fast)).toEqual(seen(parseAll(text)));
  return fast !== undefined;
}

it("lines of the example are read the fast way, but for those with escaped letters", () => {
  const lines = readFileSync(new URL("../../examples/shop.ndjson", import.meta.url), "utf8")
    .trim()
    .split("\n");
  const some = lines.filter((_, at) => at % 8 === 0);
  expect(some.filter((line) => !compare(line))).toEqual(some.filter((line) => line.includes("\\u")));
});

const key = fc.constantFrom(
  ...[
    '"commitTs"',
    '"x\\"commitTs"',
    '"commit\\u0054s"',
    '"_tidb"',
    '"\\u005ftidb"',
    '"data"',
    '"old"',
    '"id"',
  ],
);
const number = fc.constantFrom(
  ...[
    "1",
    "0",
    "-1",
    "007",
    "1.5",
    "1e3",
    "449779372969249757",
    "449779372969249758",
    "1 ",
    "99999999999999999999",
  ],
);
const scalar = fc.oneof(
  number,
  fc.constantFrom('"5"', '"commitTs"', '"\\"commitTs\\": 7"', "null", "true", '""'),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, scalar, tie("object"), tie("list")),
  object: fc
    .array(fc.tuple(key, fc.constantFrom(":", " : "), tie("value")), { maxLength: 4 })
    .map((all) => `{${all.map((one) => one.join("")).join(",")}}`),
  list: fc.array(tie("value"), { maxLength: 3 }).map((all) => `[${all.join(",")}]`),
})) as { value: fc.Arbitrary<string> };

it("whatever a line holds, and wherever it says commitTs", () => {
  let fast = 0;
  const line = fc.tuple(value, value, value, fc.boolean()).map(([tidb, data, other, usual]) => {
    const id = usual ? '{"commitTs":449779372969249757}' : tidb;
    return `{"_tidb":${id},"data":${data},"old":null,"x":${other}}`;
  });
  fc.assert(
    fc.property(fc.oneof(line, value), (text) => {
      if (compare(text)) fast++;
    }),
    { numRuns: 3_000 },
  );
  expect(fast).toBeGreaterThan(100);
});
