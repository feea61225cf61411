import type { MessageAttributeValue } from "@aws-sdk/client-sqs";

/** Bytes of a message that every queue takes: what SQS allowed before 2025, and some queues still do. */
export const SAFE_MESSAGE_BYTES = 256 * 1024;
/** The largest message that SQS allows since 2025. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Entries of one SendMessageBatch. */
export const BATCH_ENTRIES = 10;
/** Attributes of one message. */
export const MAX_ATTRIBUTES = 10;

export type Attributes = Record<string, MessageAttributeValue>;

/** An attribute as this protocol has them all: a String. */
export function attribute(value: string): MessageAttributeValue {
  return { DataType: "String", StringValue: value };
}

/** What SQS counts of a message: its body, and name, type and value of each attribute. */
export function sizeOf(body: string, attributes: Attributes): number {
  let bytes = Buffer.byteLength(body);
  for (const [name, { DataType = "", StringValue = "" }] of Object.entries(attributes))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(DataType) + Buffer.byteLength(StringValue);
  return bytes;
}

/** A text with a space for each character that SQS refuses: control characters, halves of pairs, U+FFFE, U+FFFF. */
export function allowed(text: string): string {
  return text.replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, " ");
}

/** The longest beginning of a text that is at most so many bytes and ends between two characters. */
export function cutTo(text: string, bytes: number): string {
  const all = Buffer.from(text);
  if (all.length <= bytes) return text;
  let end = Math.max(0, bytes);
  // A continuation byte is never where a character starts.
  while (end > 0 && (all[end]! & 0xc0) === 0x80) end--;
  return all.toString("utf8", 0, end);
}
