import type { ChildProcess } from "node:child_process";

export interface Ended {
  /** Its exit code; null: it ended by a signal. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What a process prints. @param child its output and its errors are pipes */
export function outputOf(child: ChildProcess): { out(): string; err(): string; ended: Promise<Ended> } {
  let out = "";
  let err = "";
  child.stdout!.on("data", (data: Buffer) => {
    out += data.toString();
  });
  child.stderr!.on("data", (data: Buffer) => {
    err += data.toString();
  });
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, out, err })));
  return { out: () => out, err: () => err, ended };
}
