import type { LogPosition } from "./types.ts";

/** A change log that cannot be replayed: where, what is wrong, and what to do. */
export class BadChangeLog extends Error {
  override readonly name = "BadChangeLog";

  constructor(at: LogPosition, what: string) {
    super(`${at.file}:${at.line}: ${what}`);
  }
}
