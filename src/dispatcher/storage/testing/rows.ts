/** 2025-11-24 in ms since 1970, as the beginning of a commitTs. */
const DAY = 1_763_942_400_000n << 18n;
/** An INSERT of table `d.t`. */
export const row = (n: number, version = 7n) => ({
  schema: "d",
  table: "t",
  version,
  commitTs: DAY + BigInt(n),
  text: JSON.stringify({
    database: "d",
    table: "t",
    type: "INSERT",
    data: [{ id: String(n) }],
    _tidb: { commitTs: n + 1 },
  }),
});
