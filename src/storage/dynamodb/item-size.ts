/**
 * What DynamoDB bills (developer guide, "DynamoDB item sizes and formats"): names and values of all attributes in bytes;
 * numbers about one byte for two significant digits and one more; a map or list 3 bytes, and 1 for each member.
 */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import type { Item } from "./values.ts";

export type { Item };

/** Bytes of an item, its keys included: what the limit of 400 KB counts, and what a write is billed by. */
export function itemBytes(item: Item): number {
  let bytes = 0;
  for (const name in item) bytes += textBytes(name) + valueBytes(item[name]!);
  return bytes;
}

function textBytes(text: string): number {
  return Buffer.byteLength(text);
}

function numberBytes(text: string): number {
  const negative = text.startsWith("-") ? 1 : 0;
  const digits = text.slice(negative).replace(/^0+/, "");
  if (digits === "") return 1;
  const exponent = digits.length - 1;
  const significant = digits.replace(/0+$/, "").length;
  // Digits are kept in pairs from the decimal point on: a number may begin or end in the middle of one.
  const split = significant % 2 === 0 && exponent % 2 === 0 ? 1 : 0;
  return 1 + Math.ceil(significant / 2) + split + negative;
}

function valueBytes(value: AttributeValue): number {
  if (value.S !== undefined) return textBytes(value.S);
  if (value.N !== undefined) return numberBytes(value.N);
  if (value.B !== undefined) return value.B.length;
  if (value.SS !== undefined) return value.SS.reduce((sum, one) => sum + textBytes(one), 0);
  if (value.NS !== undefined) return value.NS.reduce((sum, one) => sum + numberBytes(one), 0);
  if (value.BS !== undefined) return value.BS.reduce((sum, one) => sum + one.length, 0);
  if (value.L !== undefined) return value.L.reduce((sum, one) => sum + 1 + valueBytes(one), 3);
  if (value.M !== undefined) {
    let bytes = 3;
    for (const name in value.M) bytes += 1 + textBytes(name) + valueBytes(value.M[name]!);
    return bytes;
  }
  return 1;
}
