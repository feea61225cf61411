/** What the storage sink needs of a storage, and a file system as one. */

import { constants } from "node:fs";
import { link, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { WeirError } from "../../error/weir-error.ts";

export interface StoredFile {
  readonly content: string;
  /** Changes with the content. */
  readonly tag: string;
}

/**
 * A storage: a file system, S3, or a simulation of one. A file is there whole or not at all, and is durable when a call resolves.
 * A call that was repeated, by a client that saw no answer, comes to the same.
 */
export interface StorageFiles {
  /** @returns undefined if there is no such file */
  read(path: string): Promise<StoredFile | undefined>;
  /** Writes a file, in the place of what is there. */
  put(path: string, content: string): Promise<void>;
  /**
   * Writes a file that is not there yet.
   * @returns whether the file has this content now; false: there is another one, and it was left as it is
   */
  create(path: string, content: string): Promise<boolean>;
  /**
   * Writes a file in the place of one that was read.
   * @param tag of what was read; undefined: there was none
   * @returns its new tag; undefined: somebody else has written it meanwhile, and it was left as it is
   */
  replace(path: string, content: string, tag: string | undefined): Promise<string | undefined>;
  /** The paths of all files in a folder and below it, in order. */
  list(folder: string): Promise<string[]>;
}

/** So often a file is tried to be replaced while others are at it. */
const ATTEMPTS = 8;
let names = 0;
/** A name that nobody else has, and that no reader takes for a file of the layout. */
const temporary = (path: string) => `${dirname(path)}/.${process.pid}-${++names}.tmp`;

export const systemFiles: StorageFiles = {
  async read(path) {
    try {
      const content = await readFile(path, "utf8");
      return { content, tag: content };
    } catch (error) {
      if (isCode(error, "ENOENT")) return undefined;
      throw error;
    }
  },

  async put(path, content) {
    const own = await write(path, content);
    await rename(own, path);
    await sync(dirname(path));
  },

  async create(path, content) {
    const own = await write(path, content);
    try {
      return (await linked(own, path)) || (await readFile(path, "utf8")) === content;
    } finally {
      await rm(own, { force: true });
      await sync(dirname(path));
    }
  },

  replace(path, content, tag) {
    // Those of this process one after the other.
    const before = turns.get(path) ?? Promise.resolve();
    const turn = before.then(() => replace(path, content, tag));
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (turns.get(path) === settled) turns.delete(path);
      });
    turns.set(path, settled);
    return turn;
  },

  async list(folder) {
    const found: string[] = [];
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) found.push(...(await systemFiles.list(path)));
      else found.push(path);
    }
    return found.sort();
  },
};

const turns = new Map<string, Promise<void>>();

/**
 * A rename asks nothing about what it replaces. So it goes by way of a name that only those use who have read the same: who comes
 * later takes it away from who stands still between looking and renaming.
 */
async function replace(path: string, content: string, tag: string | undefined): Promise<string | undefined> {
  const next = `${path}.after-${tag === undefined ? "none" : Buffer.from(tag).toString("base64url").slice(0, 180)}`;
  const own = await write(path, content);
  const there = async () => (await systemFiles.read(path))?.tag;
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      for (let taken = 0; !(await linked(own, next)); taken++) {
        if (taken === ATTEMPTS)
          throw new WeirError(
            "storage-contended",
            `${path} could not be replaced: too many writers are at it`,
          );
        await rm(next, { force: true });
      }
      const found = await there();
      if (found !== tag) {
        await rm(next, { force: true });
        return found === content ? content : undefined;
      }
      try {
        await rename(next, path);
        return (await there()) === content ? content : undefined;
      } catch (error) {
        if (!isCode(error, "ENOENT")) throw error;
      }
    }
    throw new WeirError("storage-contended", `${path} could not be replaced: too many writers are at it`);
  } finally {
    await rm(own, { force: true });
    await sync(dirname(path));
  }
}

/** Writes a file under a name of its own, beside where it is to be. */
async function write(path: string, content: string): Promise<string> {
  const folder = dirname(path);
  const made = await mkdir(folder, { recursive: true });
  // A new folder is durable when the one above it is.
  for (let one = folder; made !== undefined && one.length >= made.length; one = dirname(one))
    await sync(dirname(one));
  const own = temporary(path);
  await writeFile(own, content, { flush: true, flag: "wx" });
  return own;
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  }
}

/** A name is durable when its folder is. Windows has no such thing. */
async function sync(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const isCode = (error: unknown, code: string) => (error as NodeJS.ErrnoException).code === code;
