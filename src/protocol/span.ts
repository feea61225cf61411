/**
 * The ranges of tables (protocol.md R9). TiCDC's keys are memcomparable: 't' + int64 big-endian with the sign bit
 * flipped + '_r' is where a table's rows start, '_s' in the last place is where they end.
 */

/** A half-open range of keys; an empty key at an outer end means "from the start" or "to the end" of the table. */
export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

const SIGN = 1 << 31;

/**
 * The whole range of a table in TiCDC's keys: 't', the table and '_r' or '_s' in TiDB's memcomparable encoding of bytes, which is
 * groups of eight, zero-padded, each followed by 0xff minus the padding.
 */
export function tableRange(tableId: bigint): KeyRange {
  const high = Number(BigInt.asIntN(32, tableId >> 32n)) ^ SIGN;
  const low = Number(BigInt.asIntN(32, tableId));
  const start = Uint8Array.of(
    0x74,
    high >> 24,
    high >> 16,
    high >> 8,
    high,
    low >> 24,
    low >> 16,
    low >> 8,
    0xff,
    low,
    0x5f,
    0x72,
    0,
    0,
    0,
    0,
    0,
    0xff - 5,
  );
  const end = start.slice();
  end[11] = 0x73;
  return { start, end };
}

/** Byte-wise order, as DynamoDB and TiKV compare keys. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
