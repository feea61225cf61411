import type { StorageFiles } from "../dispatcher/storagesink.ts";
import type { Process } from "./process.ts";

/** Told of each file that gets its name, in the order in which that happens. */
export type FileWatcher = (path: string, content: string) => void;

/** The storage that all nodes write to: what was written is there for good, what a process still held is not. */
export class Disk {
  readonly files = new Map<string, string>();
  readonly #watch: FileWatcher;
  #writers = 0;

  constructor(watch: FileWatcher) {
    this.#watch = watch;
  }

  /** The disk as one process sees it: each operation takes time, and may be its last. */
  mountedBy(process: Process): StorageFiles {
    return {
      writer: String(++this.#writers),
      read: (path) => process.request(2, () => this.files.get(path)),
      write: (path, content) => process.request(2, () => void this.files.set(path, content)),
      rename: (from, to) => process.request(2, () => this.#rename(from, to)),
    };
  }

  #rename(from: string, to: string): void {
    const content = this.files.get(from);
    if (content === undefined) throw new Error(`${from} is not there`);
    this.files.delete(from);
    this.files.set(to, content);
    this.#watch(to, content);
  }
}
