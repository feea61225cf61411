import CliTable from "cli-table3";

/** A table of results, for the terminal and for docs/performance.md. */
export interface ResultTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What one must know to read it. */
  readonly note?: string;
}

export function asText({ title, head, rows, note }: ResultTable): string {
  const table = new CliTable({ head: [...head], style: { head: [], border: [] } });
  for (const row of rows) table.push([...row]);
  return `${title}\n${table.toString()}${note ? `\n${note}` : ""}`;
}

export function asMarkdown({ title, head, rows, note }: ResultTable): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const numeric = (column: number) => rows.every((row) => /^[-<≤\d]/.test(row[column] ?? ""));
  const rule = head.map((_, column) => (numeric(column) ? "---:" : "---"));
  const below = note ? ["", note.replaceAll(/(.{1,118})(?: |$)/g, "$1\n").trimEnd()] : [];
  return [`**${title}**`, "", line(head), line(rule), ...rows.map(line), ...below].join("\n");
}

export const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
export const exact = (value: number, digits = 2): string => value.toFixed(digits);
export const usd = (value: number): string => (value < 0.1 ? value.toFixed(7) : value.toFixed(2));
export const megabytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0);
