/** docs/protocol/messages.md lists the messages as the schema has them. */
import { readFileSync } from "node:fs";
import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { file_protocol_heartbeatpb as schema } from "./heartbeatpb_pb.js";

const PAGE = readFileSync(new URL("../../docs/protocol/messages.md", import.meta.url), "utf8");

/** Rows of tables whose first cell begins with a name: `State`, **`DoneAction`**. The cell may say more behind it. */
const rows = Object.fromEntries(
  [...PAGE.matchAll(/^\| (?:\*\*)?((?:`\w+`(?:, )?)+)[^|]*\| ([^|]+) \|$/gm)].flatMap(([, names, cell]) =>
    names!.split(", ").map((name) => [name.replaceAll("`", ""), cell!]),
  ),
);

function typeOf(field: DescField): string {
  if (field.fieldKind === "list") {
    const one = field.listKind === "scalar" ? ScalarType[field.scalar].toLowerCase() : undefined;
    return `repeated ${one ?? (field.listKind === "message" ? field.message.name : field.enum?.name)}`;
  }
  if (field.fieldKind === "scalar") return ScalarType[field.scalar].toLowerCase();
  return field.fieldKind === "message" ? field.message.name : field.enum!.name;
}

it.each(schema.messages.map((message) => [message.name, message] as const))("%s", (name, message) => {
  const fields = message.fields.map((field) => {
    const text = `${field.number} ${field.name}: ${typeOf(field)}`;
    return field.number >= 100 ? `**${text}**` : text;
  });
  expect(rows[name]).toBe(fields.join(", "));
});

it.each(schema.enums.map((one) => [one.name, one] as const))("%s", (name, { values }) => {
  expect(rows[name]).toBe(values.map((value) => `${value.name} ${value.number}`).join(", "));
});
