/** S3, and what speaks like it, as a storage. */

import { setTimeout as sleep } from "node:timers/promises";
import type { GetObjectCommandOutput, S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import { WeirError } from "../../error/weir-error.ts";
import { Connections } from "../../messaging/connections.ts";
import type { StorageFiles, StoredFile } from "./files.ts";

/** How S3 is reached, for `s3:` places. Default: as any SDK client finds it. */
export interface S3Options {
  /** Of a store other than AWS's, as `http://127.0.0.1:9000`. */
  readonly endpoint?: string;
  readonly region?: string;
  /** The bucket stands in the path and not in the host's name. Default: with an endpoint, it does. */
  readonly forcePathStyle?: boolean;
  readonly credentials?: NonNullable<S3ClientConfig["credentials"]>;
  /** Connections of all sinks that share a client. Default: 16. */
  readonly maxConnections?: number;
  /** ms to an answer. Default: 15,000. */
  readonly answerMs?: number;
}

const MAX_CONNECTIONS = 16;
const ANSWER_MS = 15_000;
/** So often the SDK asks, with a back-off. */
const SDK_ATTEMPTS = 5;
/** Where two conditional writes meet, S3 may refuse both (409), and they are to try again. */
const CONFLICTS = 8;
const CONFLICT_MS = 50;

type Sdk = typeof import("@aws-sdk/client-s3");

/** Objects of a bucket. Paths are keys. */
export class S3Files implements StorageFiles {
  readonly #bucket: string;
  readonly #options: S3Options;
  #opened: Promise<{ sdk: Sdk; client: S3Client }> | undefined;

  constructor(bucket: string, options: S3Options = {}) {
    this.#bucket = bucket;
    this.#options = options;
  }

  async read(path: string): Promise<StoredFile | undefined> {
    const { sdk, client } = await this.#open();
    let answer: GetObjectCommandOutput;
    try {
      answer = await client.send(new sdk.GetObjectCommand({ Bucket: this.#bucket, Key: path }));
    } catch (error) {
      if (error instanceof sdk.NoSuchKey || statusOf(error) === 404) {
        if ((error as Error).name !== "NoSuchBucket") return undefined;
      }
      throw error;
    }
    return { content: (await answer.Body?.transformToString()) ?? "", tag: answer.ETag ?? "" };
  }

  async put(path: string, content: string): Promise<void> {
    await this.#put(path, content, {});
  }

  async create(path: string, content: string): Promise<boolean> {
    const tag = await this.#put(path, content, { IfNoneMatch: "*" });
    // Refused: somebody was there first, or this very request whose answer was lost.
    return tag !== undefined || (await this.read(path))?.content === content;
  }

  async replace(path: string, content: string, tag: string | undefined): Promise<string | undefined> {
    const condition = tag === undefined ? { IfNoneMatch: "*" } : { IfMatch: tag };
    const written = await this.#put(path, content, condition);
    if (written !== undefined) return written;
    const there = await this.read(path);
    return there?.content === content ? there.tag : undefined;
  }

  async list(folder: string): Promise<string[]> {
    const { sdk, client } = await this.#open();
    const found: string[] = [];
    const Prefix = folder === "" ? "" : `${folder}/`;
    const pages = sdk.paginateListObjectsV2({ client }, { Bucket: this.#bucket, Prefix });
    for await (const { Contents = [] } of pages) for (const { Key } of Contents) if (Key) found.push(Key);
    return found.sort();
  }

  /** Closes its connections. */
  async destroy(): Promise<void> {
    const opened = await this.#opened;
    opened?.client.destroy();
  }

  /** @returns the new tag; undefined: the condition does not hold */
  async #put(
    path: string,
    content: string,
    condition: { IfNoneMatch?: string; IfMatch?: string },
  ): Promise<string | undefined> {
    const { sdk, client } = await this.#open();
    for (let conflict = 1; ; conflict++)
      try {
        const input = { Bucket: this.#bucket, Key: path, Body: content, ContentType: contentType(path) };
        const { ETag } = await client.send(new sdk.PutObjectCommand({ ...input, ...condition }));
        return ETag ?? "";
      } catch (error) {
        const status = statusOf(error);
        // With If-Match and no object there S3 answers 404.
        const missing =
          status === 404 && condition.IfMatch !== undefined && (error as Error).name !== "NoSuchBucket";
        if (status === 412 || missing) return undefined;
        if (status !== 409 || conflict === CONFLICTS) throw error;
        await sleep(CONFLICT_MS * conflict);
      }
  }

  #open(): Promise<{ sdk: Sdk; client: S3Client }> {
    this.#opened ??= this.#connect();
    return this.#opened;
  }

  async #connect(): Promise<{ sdk: Sdk; client: S3Client }> {
    let sdk: Sdk;
    try {
      sdk = await import("@aws-sdk/client-s3");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
      throw new WeirError(
        "not-supported",
        "writing to S3 needs a package that does not come with weir: npm install @aws-sdk/client-s3",
      );
    }
    const { endpoint, region, credentials, answerMs = ANSWER_MS, maxConnections } = this.#options;
    const { forcePathStyle = endpoint !== undefined } = this.#options;
    const client = new sdk.S3Client({
      forcePathStyle,
      maxAttempts: SDK_ATTEMPTS,
      requestHandler: new Connections({
        answerMs,
        connectMs: 5_000,
        maxSockets: maxConnections ?? MAX_CONNECTIONS,
      }),
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      ...(credentials !== undefined && { credentials }),
    });
    return { sdk, client };
  }
}

const contentType = (path: string) => (path.endsWith(".json") ? "application/json" : "text/plain");

const statusOf = (error: unknown) =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
