/** Where a storage is, from how it is written. */
import { fileURLToPath } from "node:url";
import { type StorageFiles, systemFiles } from "./files.ts";
import { S3Files, type S3Options } from "./s3-files.ts";

/** A storage, and where in it. */
export interface OpenedStorage {
  readonly files: StorageFiles;
  /** What every path in it begins with. */
  readonly root: string;
}

/** Sinks of one bucket share one client, and so its connections. */
const buckets = new Map<string, S3Files>();

/**
 * Opens a storage.
 * @param place a folder, `file:///folder`, or `s3://bucket/prefix`. Behind a question mark an `s3:` URL may have `endpoint`, `region`
 * and `force-path-style`, as TiCDC's sinks have them.
 * @param options for S3; what the URL says stands above them
 * @throws TypeError if it is none of these
 *
 * @example
 * ```ts
 * import { openStorage } from "@weir-cdc/weir";
 *
 * const { files, root } = openStorage("s3://changes/orders?region=eu-central-1");
 * console.log(await files.list(root));
 * ```
 */
export function openStorage(place: string, options: S3Options = {}): OpenedStorage {
  if (/^s3:/i.test(place)) return openS3(place, options);
  if (/^file:/i.test(place)) return { files: systemFiles, root: stripSlash(fileURLToPath(place)) };
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(place))
    throw new TypeError(
      `"${place}" cannot be written to: use a folder, file:///folder or s3://bucket/prefix`,
    );
  return { files: systemFiles, root: stripSlash(place) };
}

/** Whether a place is one of S3. */
export const isS3 = (place: string): boolean => /^s3:/i.test(place);

const stripSlash = (path: string) => (path.length > 1 ? path.replace(/\/+$/, "") : path);

const PARAMETERS = ["endpoint", "region", "force-path-style"];

function openS3(place: string, options: S3Options): OpenedStorage {
  const [, bucket = "", path = "", query = ""] = /^s3:\/\/([^/?]*)([^?]*)\??(.*)$/i.exec(place) ?? [];
  const bad = (what: string) => new TypeError(`"${place}": ${what}: write s3://bucket/prefix`);
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) throw bad("there is no such bucket name");
  const given = new URLSearchParams(query);
  for (const name of given.keys())
    if (!PARAMETERS.includes(name))
      throw bad(
        `parameter "${name}" is unknown, use ${PARAMETERS.join(", ")}; credentials come from the environment`,
      );
  const endpoint = given.get("endpoint") ?? options.endpoint;
  const region = given.get("region") ?? options.region;
  const style = given.get("force-path-style");
  const merged: S3Options = {
    ...options,
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(style !== null && { forcePathStyle: style === "true" }),
  };
  // Credentials may be a function; such clients are told apart by it.
  const { credentials, ...plain } = merged;
  const id = JSON.stringify([
    bucket,
    plain,
    typeof credentials === "function" ? idOf(credentials) : credentials,
  ]);
  const files = buckets.get(id) ?? new S3Files(bucket, merged);
  buckets.set(id, files);
  return { files, root: path.replaceAll(/^\/+|\/+$/g, "") };
}

const functions = new WeakMap<object, number>();
let lastFunction = 0;
function idOf(one: object): number {
  const id = functions.get(one) ?? ++lastFunction;
  functions.set(one, id);
  return id;
}
