import { printable } from "../error/printable.ts";

/** A difference between what the folder holds and what the log says. */
export interface Difference {
  readonly what: string;
  /** `schema.table`. */
  readonly table: string;
  /** Primary key, as JSON; empty where it is not about one row. */
  readonly key: string;
  /** The first file in which it shows, relative to the folder; for what is missing, where it should be. */
  readonly file: string;
}

export interface Verdict {
  readonly ok: boolean;
  readonly tables: number;
  readonly rows: number;
  readonly rowsApplied: number;
  readonly files: number;
  /** Tables whose content only a server could tell: they were not compared. */
  readonly notCompared: readonly { readonly table: string; readonly why: string }[];
  /** The first differences, at most `MAX_DIFFERENCES`. */
  readonly differences: readonly Difference[];
}

export const MAX_DIFFERENCES = 20;

export function describeDifference({ what, table, key, file }: Difference): string {
  return printable(`${table}${key === "" ? "" : ` ${key}`}: ${what} (${file})`);
}
