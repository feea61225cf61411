import type { StorageFiles } from "../../src/dispatcher/storage-sink.ts";
import type { Process } from "./process.ts";

/** Told of each file that is written, in the order in which that happens. */
export type FileWatcher = (path: string, content: string) => void;

/** The storage that all nodes write to: what was written is there for good, what a process still held is not. */
export class Disk {
  readonly files = new Map<string, string>();
  readonly #watch: FileWatcher;

  constructor(watch: FileWatcher) {
    this.#watch = watch;
  }

  /** The disk as one process sees it: each operation takes time, and may be its last. */
  mountedBy(process: Process): StorageFiles {
    const write = (path: string, content: string) => {
      this.files.set(path, content);
      this.#watch(path, content);
    };
    return {
      read: (path) =>
        process.request(2, () => {
          const content = this.files.get(path);
          return content === undefined ? undefined : { content, tag: content };
        }),
      put: (path, content) => process.request(2, () => write(path, content)),
      create: (path, content) =>
        process.request(2, () => {
          if (!this.files.has(path)) write(path, content);
          return this.files.get(path) === content;
        }),
      replace: (path, content, tag) =>
        process.request(2, () => {
          const found = this.files.get(path);
          // It may be this writer's own, whose answer was lost (`StorageFiles`).
          if (found !== tag) return found === content ? content : undefined;
          write(path, content);
          return content;
        }),
      list: async (folder) => [...this.files.keys()].filter((path) => path.startsWith(`${folder}/`)).sort(),
    };
  }
}
