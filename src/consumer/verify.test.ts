/** The consumer finds nothing where nothing is wrong, and every error that is planted. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readChangeLog } from "../changelog/read.ts";
import { StorageSink, type StorageSinkOptions, writeCheckpoint } from "../dispatcher/storage-sink.ts";
import { planReplay } from "../replay/plan.ts";
import { writeFolder } from "./testing/folder.ts";
import { describeDifference, type Verdict } from "./verdict.ts";
import { verify } from "./verify.ts";

const LOG = new URL("../../examples/shop.ndjson", import.meta.url).pathname;
/** One folder for each version, and names that can be read. */
const LAYOUT: StorageSinkOptions = { dateSeparator: "none", fileIndexWidth: 6 };
let good: string;
let out: string;

/** Writes the folder that a replay should leave behind, straight from the log. */
async function writeGood(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "weir-good-"));
  const changes = await readChangeLog(LOG);
  const open = (id: string) => new StorageSink(folder, id, undefined, LAYOUT);
  for (const event of planReplay(changes, 0n).trigger) await open("trigger").writeBlockEvent(event);
  const sinks = ["aa", "bb"].map(open);
  for (const [index, change] of changes.entries()) {
    if (change.kind !== "row") continue;
    const sink = sinks[change.key.length % 2]!;
    const { schema, table, tableVersion: version, text } = change;
    await sink.write([{ schema, table, version, text }]);
    if (index % 400 === 0) for (const one of sinks) await one.flushBeforeBlock();
  }
  for (const one of sinks) await one.flushBeforeBlock();
  return folder;
}

beforeAll(async () => {
  good = await writeGood();
});
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), "weir-planted-"));
  cpSync(good, out, { recursive: true });
});

const versionsOf = (table: string) =>
  readdirSync(join(out, table))
    .filter((name) => name !== "meta")
    .sort();
const dataOf = (folder: string) =>
  readdirSync(join(out, folder))
    .filter((name) => name.endsWith(".json"))
    .sort();
const lines = (file: string) => readFileSync(join(out, file), "utf8").trimEnd().split("\r\n");
const rewrite = (file: string, content: readonly string[]) =>
  writeFileSync(join(out, file), content.map((line) => `${line}\r\n`).join(""));

/** The verdict, which must name a table and a file. */
async function found(table: string, file: string | RegExp, what: RegExp): Promise<Verdict> {
  const verdict = await verify(LOG, out);
  expect(verdict.ok).toBe(false);
  const said = verdict.differences.map(describeDifference);
  expect(
    said.some(
      (one) =>
        one.startsWith(table) &&
        what.test(one) &&
        (typeof file === "string" ? one.includes(file) : file.test(one)),
    ),
    said.join("\n"),
  ).toBe(true);
  return verdict;
}

describe("the consumer", () => {
  it("finds nothing in a folder that is right, rows delivered twice or not", async () => {
    expect(await verify(LOG, out)).toMatchObject({ ok: true, differences: [] });
    const [version] = versionsOf("shop/customers");
    const [file] = dataOf(`shop/customers/${version}`);
    const path = `shop/customers/${version}/${file}`;
    rewrite(path, [...lines(path), ...lines(path).slice(0, 3)]);
    expect((await verify(LOG, out)).differences).toEqual([]);
  });

  it("finds a row in the wrong version folder", async () => {
    const [first, second] = versionsOf("shop/orders");
    const from = `shop/orders/${second}/${dataOf(`shop/orders/${second}`)[0]}`;
    const to = `shop/orders/${first}/${dataOf(`shop/orders/${first}`)[0]}`;
    const [row, ...rest] = lines(from);
    rewrite(from, rest);
    rewrite(to, [...lines(to), row!]);
    await found("shop.orders", to, /stands in folder shop\/orders\/\d+ and belongs to shop\/orders\/\d+/);
  });

  it("finds a missing file", async () => {
    const [version] = versionsOf("ledger/entries");
    const folder = `ledger/entries/${version}`;
    const [file] = dataOf(folder);
    rmSync(join(out, folder, file!));
    await found("ledger.entries", `${folder}/${file}`, /its index counts is missing/);
  });

  it("finds a missing file that no index counts", async () => {
    const [version] = versionsOf("ledger/entries");
    const folder = `ledger/entries/${version}`;
    rmSync(join(out, folder), { recursive: true });
    await found("ledger.entries", `${folder}/`, /a row change is missing/);
  });

  it("finds a schema file that is too early", async () => {
    const name = readdirSync(join(out, "shop/orders/meta")).sort()[1]!;
    const [, version = ""] = /schema_(\d+)_/.exec(name)!;
    const early = (BigInt(version) - (200n << 18n)).toString();
    renameSync(
      join(out, "shop/orders/meta", name),
      join(out, "shop/orders/meta", name.replace(version, early)),
    );
    await found("shop.orders", `schema_${early}`, /at which the log has no DDL of this table/);
  });

  it("finds a missing schema file", async () => {
    const name = readdirSync(join(out, "shop/orders/meta")).sort()[1]!;
    rmSync(join(out, "shop/orders/meta", name));
    await found("shop.orders", "shop/orders/meta/", /the schema file of version \d+ is missing/);
  });

  it("finds a lost row, a changed one, and one that nobody wrote", async () => {
    const [version] = versionsOf("shop/products").slice(-1);
    const path = `shop/products/${version}/${dataOf(`shop/products/${version}`)[0]}`;
    const all = lines(path);
    rewrite(path, all.slice(1));
    await found("shop.products", `shop/products/${version}/`, /a row change is missing/);
    rewrite(path, [all[0]!.replace(/("data":.*?"price":)"[^"]*"/, '$1"0.07"'), ...all.slice(1)]);
    await found("shop.products", path, /a row that the log does not have/);
  });

  it("finds an old version of a row that comes last", async () => {
    const [version] = versionsOf("shop/customers").slice(-1);
    const folder = `shop/customers/${version}`;
    mkdirSync(join(out, folder), { recursive: true });
    const updated = dataOf(folder)
      .flatMap((file) => lines(`${folder}/${file}`))
      .find((text) => text.includes('"UPDATE"'))!;
    const { old, _tidb } = JSON.parse(updated);
    const late = updated
      .replace(/"data":\[.*?\],"old"/, `"data":${JSON.stringify(old)},"old"`)
      .replace(String(_tidb.commitTs), "469999999999999999");
    rewrite(`${folder}/CDC_zz_000001.json`, [late]);
    writeFileSync(join(out, folder, "meta/CDC_zz.index"), "CDC_zz_000001.json\n");
    await found("shop.customers", `${folder}/CDC_zz_000001.json`, /should be|does not have/);
  });

  it("passes over a data file that no index counts, as TiCDC's reader does", async () => {
    const [version] = versionsOf("shop/customers").slice(-1);
    const folder = `shop/customers/${version}`;
    rewrite(`${folder}/CDC_zz_000001.json`, lines(`${folder}/${dataOf(folder)[0]}`));
    expect((await verify(LOG, out)).differences).toEqual([]);
  });

  it("finds what TiCDC's reader would not read: a checksum, a version, line ends", async () => {
    const [name = ""] = readdirSync(join(out, "shop/orders/meta")).sort();
    const path = join(out, "shop/orders/meta", name);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace('"ColumnType": "', '"ColumnType": "UNSIGNED '));
    await found("shop.orders", name, /checksum/);
    writeFileSync(path, text.replace(/"TableVersion": \d+/, '"TableVersion": 7'));
    await found("shop.orders", name, /its TableVersion is not that of its name/);
    writeFileSync(path, text);
    const [version] = versionsOf("shop/products");
    const file = `shop/products/${version}/${dataOf(`shop/products/${version}`)[0]}`;
    writeFileSync(join(out, file), `${lines(file).join("\n")}\n`);
    await found("shop.products", file, /a line does not end with CRLF/);
  });

  it("takes no version beyond the checkpoint", async () => {
    const last = (await readChangeLog(LOG)).at(-1)!.commitTs;
    await writeCheckpoint(out, last);
    expect((await verify(LOG, out)).differences).toEqual([]);
    writeFileSync(join(out, "metadata"), '{"checkpoint-ts":1}');
    await found("shop.orders", "shop/orders/meta/", /the schema file of version \d+ is missing/);
  });

  it.each([
    [{}, /^\d+\/\d{4}-\d\d-\d\d\/CDC_\w+_\d{20}\.json$/],
    [{ dateSeparator: "month", fileIndexWidth: 8 }, /^\d+\/\d{4}-\d\d\/CDC_\w+_\d{8}\.json$/],
    [{ dateSeparator: "year", fileIndexWidth: 6 }, /^\d+\/\d{4}\/CDC_\w+_\d{6}\.json$/],
    [{ dateSeparator: "none" }, /^\d+\/CDC_\w+_\d{20}\.json$/],
  ] as [StorageSinkOptions, RegExp][])("reads a folder written with %j", async (options, data) => {
    const folder = mkdtempSync(join(tmpdir(), "weir-layout-"));
    await writeFolder(LOG, folder, options);
    const written = readdirSync(join(folder, "shop/orders"), { recursive: true }).map(String);
    const files = written.filter((one) => one.includes("CDC") && one.endsWith(".json"));
    expect(files.length).toBeGreaterThan(0);
    for (const one of files) expect(one).toMatch(data);
    expect(await verify(LOG, folder)).toMatchObject({ ok: true, differences: [] });
  });
});
