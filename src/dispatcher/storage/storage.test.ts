/** What the storage sink promises, for a folder and for S3. */
import { mkdtempSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StorageSink } from "../storage-sink.ts";
import { openStorage } from "./open.ts";
import type { S3Options } from "./s3-files.ts";
import { storageContract } from "./testing/contract.ts";
import { row } from "./testing/rows.ts";
import { type S3Server, startS3 } from "./testing/s3.ts";
import { s3Contract } from "./testing/s3-contract.ts";

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

storageContract("a folder", newFolder, s3);
storageContract("a file: URL", () => pathToFileURL(newFolder()).href, s3);
storageContract("S3", () => `s3://weir/run-${++runs}/x`, s3);
s3Contract("S3 itself", "weir", () => server, s3);

describe("a place", () => {
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
