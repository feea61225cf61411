import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readChangeLog } from "../changelog/read.ts";

it("rows go to a storage in TiCDC's words, whatever the log's are: its readers understand no others", async () => {
  const log = join(mkdtempSync(join(tmpdir(), "weir-canonical-")), "log.ndjson");
  const row = (type: string, id: unknown, commitTs: unknown) =>
    JSON.stringify({
      database: "d",
      table: "t",
      pkNames: ["id"],
      type,
      data: [{ id }],
      old: null,
      _tidb: { commitTs },
    });
  const ddl = {
    database: "d",
    table: "t",
    isDdl: true,
    type: "CREATE",
    sql: "CREATE TABLE t (id BIGINT PRIMARY KEY)",
  };
  const lines = [
    JSON.stringify({ ...ddl, _tidb: { commitTs: 100 } }),
    row("INSERT", "1", 101),
    row("insert", "2", 102),
    row("INSERT", 3, 103),
    row("INSERT", "4", "104"),
  ];
  writeFileSync(log, lines.join("\n"));
  const texts = (await readChangeLog(log)).flatMap((one) => (one.kind === "row" ? [one.text] : []));
  expect(texts[0]).toBe(lines[1]);
  const said = texts
    .map((text) => JSON.parse(text))
    .map(({ type, data, _tidb }) => [type, data[0].id, _tidb.commitTs]);
  expect(said).toEqual([
    ["INSERT", "1", 101],
    ["INSERT", "2", 102],
    ["INSERT", "3", 103],
    ["INSERT", "4", 104],
  ]);
});
