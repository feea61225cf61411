import { crc32 } from "node:zlib";

/** A table's rows are spread over its spans by a 16-bit hash of their key: replay's nodes have keys of their own (R9). */
const SPACE = 65_536;

/** The span of `spans` that a row key falls into. */
export function spanOf(key: string, spans: number): number {
  return Math.floor(((crc32(key) % SPACE) * spans) / SPACE);
}

/** The range of a span: empty at the outer ends of the table. */
export function spanRange(span: number, spans: number): { start: Uint8Array; end: Uint8Array } {
  const bound = (index: number) => {
    if (index === 0 || index === spans) return new Uint8Array();
    const hash = Math.ceil((index * SPACE) / spans);
    return new Uint8Array([hash >> 8, hash & 0xff]);
  };
  return { start: bound(span), end: bound(span + 1) };
}
