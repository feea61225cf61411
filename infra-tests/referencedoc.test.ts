/** docs/capture-node-reference.md names every field and every value of the schema. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { file_protocol_heartbeatpb } from "../src/protocol/heartbeatpb_pb.js";
import { parsePage, ROOT } from "./docs/pages.ts";

const PATH = "docs/capture-node-reference.md";
/** Names in code within the text, also as parts of `a.b`. */
const NAMED = new Set(
  parsePage(PATH, readFileSync(`${ROOT}${PATH}`, "utf8")).code.flatMap(
    ({ value }) => value.match(/\w+/g) ?? [],
  ),
);

it("names every field of every message", () => {
  const missing = file_protocol_heartbeatpb.messages.flatMap(({ name, fields }) =>
    fields.filter(({ jsonName }) => !NAMED.has(jsonName)).map(({ jsonName }) => `${name}.${jsonName}`),
  );
  expect(missing).toEqual([]);
});

it("names every value of every enum", () => {
  const missing = file_protocol_heartbeatpb.enums.flatMap(({ name, values }) =>
    values.filter((value) => !NAMED.has(value.name)).map((value) => `${name}.${value.name}`),
  );
  expect(missing).toEqual([]);
});
