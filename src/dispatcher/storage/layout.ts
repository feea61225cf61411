/** Names of folders and files in TiCDC's storage layout. */

/** How a storage sink lays out its files: TiCDC's `date-separator` and `file-index-width`. */
export interface StorageLayout {
  /** Rows of a version are in folders of a year, a month or a day, that of their commitTs in UTC. Default: day. */
  readonly dateSeparator?: DateSeparator;
  /** Digits in a data file's name, 6 to 20. Default: 20. */
  readonly fileIndexWidth?: number;
}

/** What the folders of rows are named for; `none`: there are none. */
export type DateSeparator = "none" | "year" | "month" | "day";

export const DATE_SEPARATORS: readonly DateSeparator[] = ["none", "year", "month", "day"];
const DATE_LENGTHS: Readonly<Record<DateSeparator, number>> = { none: 0, year: 4, month: 7, day: 10 };
export const INDEX_WIDTHS = { min: 6, max: 20 } as const;

/** The bytes that a file system gives to one name. */
const MAX_NAME_BYTES = 255;

/**
 * A database's or table's name as a folder: as it is, but for what a path cannot hold, which is escaped as in a URL. Readers take
 * names from what is in the files, so that they need not know it.
 * @throws RangeError if no file system holds the name
 */
export function folderName(name: string): string {
  const encoded = (char: string) =>
    [...Buffer.from(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
  const folder = name
    // A percent sign that looks like an escape would be taken for one.
    .replaceAll(/[\p{Cc}/\\]|%(?=[0-9A-F]{2})/gu, encoded)
    .replace(/^\.+$/, (dots) => dots.replaceAll(".", "%2E"));
  const bytes = Buffer.byteLength(folder);
  if (bytes > MAX_NAME_BYTES)
    throw new RangeError(
      `the name "${name.slice(0, 40)}..." makes a folder of ${bytes} bytes, and a file system takes ${MAX_NAME_BYTES}: give it a shorter name`,
    );
  return folder;
}

/** The name that a folder stands for. */
export function nameOfFolder(folder: string): string {
  return folder.replaceAll(/(%[0-9A-F]{2})+/g, (escapes) =>
    Buffer.from(escapes.replaceAll("%", ""), "hex").toString(),
  );
}

/** Where a definition's schema file goes. */
export function metaFolder(schema: string, table: string): string {
  return table === "" ? `${folderName(schema)}/meta` : `${folderName(schema)}/${folderName(table)}/meta`;
}

/** The folder of a date; empty without a separator. A commitTs begins with ms since 1970. */
export function dateFolder(commitTs: bigint, separator: DateSeparator): string {
  return new Date(Number(commitTs >> 18n)).toISOString().slice(0, DATE_LENGTHS[separator]);
}

export function dataFileName(dispatcher: string, number: number, width: number): string {
  return `CDC_${dispatcher}_${String(number).padStart(width, "0")}.json`;
}

export const indexFileName = (dispatcher: string) => `meta/CDC_${dispatcher}.index`;

/** A data file's name in parts; TiCDC leaves the dispatcher out where a table is not split. */
export function readDataFileName(
  name: string,
): { dispatcher: string; number: number; width: number } | undefined {
  const [, dispatcher = "", digits] = /^CDC(?:_(.+)_)?(\d{6,20})\.json$/.exec(name) ?? [];
  return digits === undefined ? undefined : { dispatcher, number: Number(digits), width: digits.length };
}
