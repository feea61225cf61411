/**
 * The ranges of tables (protocol.md R9). TiCDC's keys are memcomparable: 't' + int64 big-endian with the sign bit
 * flipped + '_r' is where a table's rows start, '_s' in the last place is where they end.
 */

/** A half-open range of keys; an empty key at an outer end means "from the start" or "to the end" of the table. */
export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

const GROUP = 8;

/** TiDB's memcomparable encoding of bytes: groups of eight, zero-padded, each followed by 0xff minus the padding. */
function memcomparable(raw: Uint8Array): Uint8Array {
  const groups = Math.floor(raw.length / GROUP) + 1;
  const out = new Uint8Array(groups * (GROUP + 1));
  for (let group = 0; group < groups; group++) {
    const part = raw.subarray(group * GROUP, group * GROUP + GROUP);
    out.set(part, group * (GROUP + 1));
    out[group * (GROUP + 1) + GROUP] = 0xff - (GROUP - part.length);
  }
  return out;
}

function rowPrefix(tableId: bigint, last: "r" | "s"): Uint8Array {
  const raw = new Uint8Array(11);
  raw[0] = 0x74; // 't'
  new DataView(raw.buffer).setBigUint64(1, BigInt.asUintN(64, tableId) ^ (1n << 63n));
  raw[9] = 0x5f; // '_'
  raw[10] = last.charCodeAt(0);
  return memcomparable(raw);
}

/** The whole range of a table in TiCDC's keys. */
export function tableRange(tableId: bigint): KeyRange {
  return { start: rowPrefix(tableId, "r"), end: rowPrefix(tableId, "s") };
}

/** Byte-wise order, as DynamoDB and TiKV compare keys. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
