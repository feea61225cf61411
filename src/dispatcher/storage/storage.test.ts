/** What the storage sink promises, for a folder and for S3. */
import { mkdtempSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readFolder } from "../../consumer/folder.ts";
import { InfluenceType } from "../../protocol/messages.ts";
import { StorageSink, writeCheckpoint } from "../storagesink.ts";
import { StorageTaken } from "./errors.ts";
import { openStorage } from "./open.ts";
import type { S3Options } from "./s3files.ts";
import { type S3Server, startS3 } from "./testing/s3.ts";

let server: S3Server;
const folders: string[] = [];
let runs = 0;

beforeAll(async () => {
  server = await startS3("weir");
});
afterAll(async () => {
  await server.stop();
  for (const one of folders) await rm(one, { recursive: true });
});

const s3 = (): S3Options => ({
  endpoint: server.url,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});

const newFolder = () => {
  folders.push(mkdtempSync(join(tmpdir(), "weir-storage-")));
  return folders.at(-1)!;
};

/** 2025-11-24 in ms since 1970, as the beginning of a commitTs. */
const DAY = 1_763_942_400_000n << 18n;
const row = (n: number, version = 7n) => ({
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
const file = (n: number) => `d/t/7/2025-11-24/CDC_aa_${String(n).padStart(20, "0")}.json`;
const INDEX = "d/t/7/2025-11-24/meta/CDC_aa.index";

describe.each([
  ["a folder", newFolder],
  ["a file: URL", () => pathToFileURL(newFolder()).href],
  ["S3", () => `s3://weir/run-${++runs}/x`],
])("%s", (_, newPlace) => {
  let place: string;
  beforeEach(() => {
    place = newPlace();
  });
  const sink = (dispatcher = "aa") => new StorageSink(place, dispatcher, undefined, { s3: s3() });
  const storage = () => openStorage(place, s3());
  const content = async (path: string) => {
    const { files, root } = storage();
    return (await files.read(`${root}/${path}`))?.content;
  };
  const paths = async () => {
    const { files, root } = storage();
    return (await files.list(root)).map((one) => one.slice(root.length + 1));
  };
  const ids = async () => (await readFolder(place, s3())).rows.map(({ message }) => message.data![0]!["id"]);

  it("holds what was flushed, whole, with its index, and nothing before", async () => {
    const one = sink();
    await one.write([row(1), row(2)]);
    await one.flushBeforeBlock();
    expect(await content(file(1))).toBe(`${row(1).text}\r\n${row(2).text}\r\n`);
    expect(await content(INDEX)).toBe(`CDC_aa_${"1".padStart(20, "0")}.json\n`);
    await one.write([row(3)]);
    await one.flushBeforeBlock();
    await one.flushBeforeBlock();
    expect(await content(INDEX)).toBe(`CDC_aa_${"2".padStart(20, "0")}.json\n`);
    expect(await paths()).toEqual([file(1), file(2), INDEX]);
    expect(await ids()).toEqual(["1", "2", "3"]);
  });

  it("has a sink that starts again go on behind the newest file", async () => {
    for (const n of [1, 2, 3]) {
      const one = sink();
      await one.write([row(n)]);
      await one.flushBeforeBlock();
    }
    expect(await ids()).toEqual(["1", "2", "3"]);
  });

  it("keeps a file that somebody left without counting it, and goes on behind it", async () => {
    const { files, root } = storage();
    await files.put(`${root}/${file(1)}`, `${row(1).text}\r\n`);
    const one = sink();
    await one.write([row(1), row(2)]);
    await one.flushBeforeBlock();
    expect(await content(file(1))).toBe(`${row(1).text}\r\n`);
    expect(await ids()).toEqual(["1", "1", "2"]);
  });

  it("stops a writer whose place another has taken, for good, and keeps what that one wrote", async () => {
    const zombie = sink();
    await zombie.write([row(1)]);
    await zombie.flushBeforeBlock();
    const next = sink();
    await next.write([row(1), row(2)]);
    await next.flushBeforeBlock();
    await zombie.write([row(9)]);
    await expect(zombie.flushBeforeBlock()).rejects.toThrow(StorageTaken);
    await expect(zombie.flushBeforeBlock()).rejects.toThrow(/another sink writes/);
    await next.write([row(3)]);
    await next.flushBeforeBlock();
    expect(await ids()).toEqual(["1", "1", "2", "3"]);
    expect(await content(INDEX)).toBe(`CDC_aa_${"3".padStart(20, "0")}.json\n`);
  });

  it("does not let an index that somebody else has written be replaced, nor what is there be created", async () => {
    const { files, root } = storage();
    const path = `${root}/x/index`;
    const first = await files.replace(path, "1", undefined);
    expect(first).toBeDefined();
    expect(await files.replace(path, "other", undefined)).toBeUndefined();
    const second = await files.replace(path, "2", first);
    expect(await files.replace(path, "0", first)).toBeUndefined();
    expect((await files.read(path))?.content).toBe("2");
    expect(await files.replace(path, "3", second)).toBeDefined();
    expect(await files.create(path, "4")).toBe(false);
    // Done again: it comes to the same.
    expect(await files.create(path, "3")).toBe(true);
    expect((await files.read(path))?.content).toBe("3");
  });

  it("lets one of many replace, whoever is first", async () => {
    const { files, root } = storage();
    const path = `${root}/x/race`;
    const tag = await files.replace(path, "0", undefined);
    const all = ["a", "b", "c", "d", "e", "f"];
    const won = await Promise.all(all.map((one) => files.replace(path, one, tag)));
    expect(won.filter((one) => one !== undefined)).toHaveLength(1);
    expect((await files.read(path))?.content).toBe(all[won.findIndex((one) => one !== undefined)]);
  });

  it("has definitions and syncpoints where TiCDC's reader looks, also of names that no path holds", async () => {
    const blockTables = { InfluenceType: InfluenceType.All };
    const definition = { version: 7n, query: "CREATE DATABASE x", type: 1, columns: [] };
    const names = ["a/b", "100%", "%2F", "..", "ü\u0000"];
    const definitions = names.map((schema) => ({ ...definition, schema, table: "" }));
    await sink().writeBlockEvent({
      key: { commitTs: 7n, isSyncPoint: false },
      blockTables,
      payload: { definitions },
    });
    await sink().writeBlockEvent({
      key: { commitTs: 8n, isSyncPoint: true },
      blockTables,
      payload: { definitions: [] },
    });
    const { schemas, syncpoints, differences } = await readFolder(place, s3());
    expect(schemas.map((one) => one.schema).sort()).toEqual([...names].sort());
    expect(differences).toEqual([]);
    expect(syncpoints).toEqual([8n]);
    const tops = (await paths()).map((one) => one.split("/")[0]);
    expect(tops).toEqual(expect.arrayContaining(["a%2Fb", "100%", "%252F", "%2E%2E", "ü%00"]));
  });

  it("has a checkpoint that does not go back", async () => {
    const { files, root } = storage();
    await writeCheckpoint(root, 462406917070258694n, files);
    await writeCheckpoint(root, 462406917070258693n, files);
    expect(await content("metadata")).toBe('{"checkpoint-ts":462406917070258694}');
  });
});

describe("S3", () => {
  it("takes a put again whose answer was lost, and nothing is there twice", async () => {
    const place = `s3://weir/run-${++runs}`;
    const one = new StorageSink(place, "aa", undefined, { s3: s3() });
    await one.write([row(1)]);
    server.loseAnswers(2);
    await one.flushBeforeBlock();
    await one.write([row(2)]);
    server.loseAnswers(1);
    await one.flushBeforeBlock();
    const { rows } = await readFolder(place, s3());
    expect(rows.map(({ message }) => message.data![0]!["id"])).toEqual(["1", "2"]);
  });

  it("needs few connections for many small tables", async () => {
    const place = `s3://weir/run-${++runs}`;
    const options = { ...s3(), maxConnections: 4 };
    const before = server.connections();
    const sinks = Array.from({ length: 60 }, (_, n) => {
      const one = new StorageSink(place, `d${n}`, undefined, { s3: options });
      return { one, table: `t${n}` };
    });
    for (const { one, table } of sinks) await one.write([{ ...row(1), table }]);
    await Promise.all(sinks.map(({ one }) => one.flushBeforeBlock()));
    expect(server.connections() - before).toBeLessThanOrEqual(4);
    expect((await openStorage(place, options).files.list(place.slice("s3://weir/".length))).length).toBe(120);
  });

  it("says what is wrong with a place", () => {
    const open = (place: string) => () => openStorage(place);
    expect(open("s3://")).toThrow(/write s3:\/\/bucket\/prefix/);
    expect(open("s3://weir/x?secret-access-key=y")).toThrow(/credentials come from the environment/);
    expect(open("gs://weir/x")).toThrow(/use a folder, file:\/\/\/folder or s3:\/\/bucket\/prefix/);
    expect(openStorage("s3://weir/a/b/?endpoint=http://127.0.0.1:1").root).toBe("a/b");
    expect(() => new StorageSink("x", "aa", undefined, { fileIndexWidth: 5 })).toThrow(/use 6 to 20/);
    expect(() => new StorageSink("x", "aa", undefined, { dateSeparator: "week" as "day" })).toThrow(
      /use none, year, month, day/,
    );
  });
});

describe("a folder", () => {
  it("keeps nothing that was only half written", async () => {
    const place = newFolder();
    const one = new StorageSink(place, "aa");
    await one.write([row(1)]);
    await one.flushBeforeBlock();
    const names = readdirSync(place, { recursive: true }).map(String);
    expect(names.filter((name) => name.includes("tmp") || name.includes(".after-"))).toEqual([]);
  });

  it("refuses a name that no file system holds", async () => {
    const one = new StorageSink(newFolder(), "aa");
    await expect(one.write([{ ...row(1), table: "x".repeat(256) }])).rejects.toThrow(
      /give it a shorter name/,
    );
  });
});
