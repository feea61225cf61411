/** What the storage sink needs of S3, and asks of it, whoever answers. */
import { PutObjectCommand, S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { readFolder } from "../../../consumer/folder.ts";
import { StorageSink } from "../../storage-sink.ts";
import { openStorage } from "../open.ts";
import type { S3Options } from "../s3-files.ts";
import { row } from "./rows.ts";
import type { S3Server } from "./s3.ts";

/**
 * Beside the storage's contract, what is of S3 alone.
 * @param server has the bucket
 * @param s3 how to reach it
 */
export function s3Contract(name: string, bucket: string, server: () => S3Server, s3: () => S3Options): void {
  let runs = 0;
  const newPlace = () => `s3://${bucket}/s3-${++runs}`;

  describe(name, () => {
    it("takes a put again whose answer was lost, and nothing is there twice", async () => {
      const place = newPlace();
      const one = new StorageSink(place, "aa", undefined, { s3: s3() });
      await one.write([row(1)]);
      server().loseAnswers(2);
      await one.flushBeforeBlock();
      await one.write([row(2)]);
      server().loseAnswers(1);
      await one.flushBeforeBlock();
      const { rows } = await readFolder(place, s3());
      expect(rows.map(({ message }) => message.data![0]!["id"])).toEqual(["1", "2"]);
    });

    it("needs few connections for many small tables", async () => {
      const place = newPlace();
      const options = { ...s3(), maxConnections: 4 };
      const before = server().connections();
      const sinks = Array.from({ length: 60 }, (_, n) => {
        const one = new StorageSink(place, `d${n}`, undefined, { s3: options });
        return { one, table: `t${n}` };
      });
      for (const { one, table } of sinks) await one.write([{ ...row(1), table }]);
      await Promise.all(sinks.map(({ one }) => one.flushBeforeBlock()));
      expect(server().connections() - before).toBeLessThanOrEqual(4);
      expect(
        (await openStorage(place, options).files.list(place.slice(`s3://${bucket}/`.length))).length,
      ).toBe(120);
    });

    it("refuses a write whose condition does not hold, as AWS documents it", async () => {
      const { endpoint, region, credentials } = s3();
      const client = new S3Client({
        endpoint: endpoint!,
        region: region!,
        credentials: credentials!,
        forcePathStyle: true,
      });
      const put = async (
        Key: string,
        Body: string,
        condition: { IfNoneMatch?: string; IfMatch?: string },
      ) => {
        try {
          return await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ...condition }));
        } catch (error) {
          if (!(error instanceof S3ServiceException)) throw error;
          return `${error.$metadata.httpStatusCode} ${error.name}`;
        }
      };
      const prefix = `s3-${++runs}`;
      try {
        const first = await put(`${prefix}/x`, "1", { IfNoneMatch: "*" });
        const { ETag: IfMatch = "" } = first as { ETag?: string };
        expect(IfMatch).not.toBe("");
        expect(await put(`${prefix}/x`, "2", { IfNoneMatch: "*" })).toBe("412 PreconditionFailed");
        expect(await put(`${prefix}/none`, "2", { IfMatch })).toBe("404 NoSuchKey");
        expect(await put(`${prefix}/x`, "2", { IfMatch })).toMatchObject({ ETag: expect.any(String) });
        expect(await put(`${prefix}/x`, "3", { IfMatch })).toBe("412 PreconditionFailed");
      } finally {
        client.destroy();
      }
    });

    it("lets one of many create, whoever is first", async () => {
      const { files, root } = openStorage(newPlace(), s3());
      const path = `${root}/race`;
      const all = Array.from({ length: 12 }, (_, n) => `content ${n}`);
      const won = await Promise.all(all.map((one) => files.create(path, one)));
      expect(won.filter((one) => one)).toHaveLength(1);
      expect((await files.read(path))?.content).toBe(all[won.indexOf(true)]);
    });

    it("lets writers that come between each other count without losing one", async () => {
      const { files, root } = openStorage(newPlace(), s3());
      const path = `${root}/count`;
      const writers = ["a", "b", "c", "d"];
      const each = 5;
      await Promise.all(
        writers.map(async (writer) => {
          for (let done = 0; done < each; ) {
            const found = await files.read(path);
            const next = `${found?.content ?? ""}${writer}${done} `;
            if ((await files.replace(path, next, found?.tag)) !== undefined) done++;
          }
        }),
      );
      const counted = (await files.read(path))!.content.trim().split(" ");
      expect(counted.sort()).toEqual(
        writers.flatMap((one) => Array.from({ length: each }, (_, n) => one + n)),
      );
    });
  });
}
