import { WeirError } from "../error/weir-error.ts";
import type { LogPosition } from "./types.ts";

/** A change log that cannot be replayed: where, what is wrong, and what to do. */
export class BadChangeLog extends WeirError {
  override readonly name = "BadChangeLog";

  constructor(at: LogPosition, what: string) {
    super("bad-change-log", `${at.file}:${at.line}: ${what}`);
  }
}
