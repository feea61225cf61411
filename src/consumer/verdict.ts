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
  return plain(`${table}${key === "" ? "" : ` ${key}`}: ${what} (${file})`);
}

/** Text from a log as a terminal may show it: without characters that steer one. */
export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) =>
    char.length > 1 ? "" : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
