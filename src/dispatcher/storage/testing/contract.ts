/** What the storage sink promises on any storage. */
import { beforeEach, describe, expect, it } from "vitest";
import { readFolder } from "../../../consumer/folder.ts";
import { StorageSink, writeCheckpoint } from "../../storage-sink.ts";
import { StorageTaken } from "../errors.ts";
import { openStorage } from "../open.ts";
import type { S3Options } from "../s3-files.ts";
import { row } from "./rows.ts";

const file = (n: number) => `d/t/7/2025-11-24/CDC_aa_${String(n).padStart(20, "0")}.json`;
const INDEX = "d/t/7/2025-11-24/meta/CDC_aa.index";

/**
 * All that a sink must do, whatever it writes to.
 * @param newPlace gives a place where nothing is
 * @param s3 how to reach it if it is on S3
 */
export function storageContract(name: string, newPlace: () => string, s3: () => S3Options): void {
  describe(name, () => {
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
    const ids = async () =>
      (await readFolder(place, s3())).rows.map(({ message }) => message.data![0]!["id"]);

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
      const blockTables = { type: "all" as const };
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
}
