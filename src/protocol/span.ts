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
 * @param keyspace 0: none, the keys of a cluster without keyspaces
 */
export function tableRange(tableId: bigint, keyspace = 0): KeyRange {
  if (keyspace !== 0) return keyspaceRange(tableId, keyspace);
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

/** The highest keyspace: its number has three bytes in a key. */
export const MAX_KEYSPACE = 0xff_ff_ff;
/** What keys of a keyspace begin with: `x`, and its number in three bytes. */
const KEYSPACE_MODE = 0x78;

/** The keyspace that a key is of; 0: none. */
export function keyspaceOf(key: Uint8Array): number {
  return key.length >= 4 && key[0] === KEYSPACE_MODE ? (key[1]! << 16) | (key[2]! << 8) | key[3]! : 0;
}

/** The same behind the keyspace's prefix: fifteen bytes, in two groups of which the second has one byte of padding. */
function keyspaceRange(tableId: bigint, keyspace: number): KeyRange {
  const key = Buffer.alloc(15);
  key.writeUInt32BE(((KEYSPACE_MODE << 24) | keyspace) >>> 0, 0);
  key.write("t", 4);
  key.writeBigUInt64BE(BigInt.asUintN(64, tableId) ^ (1n << 63n), 5);
  key.write("_r", 13);
  const start = new Uint8Array(18);
  start.set(key.subarray(0, 8), 0);
  start[8] = 0xff;
  start.set(key.subarray(8), 9);
  start[17] = 0xff - 1;
  const end = start.slice();
  end[15] = 0x73;
  return { start, end };
}

/** Byte-wise order, as DynamoDB and TiKV compare keys. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
