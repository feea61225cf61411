/** What a part of the bench is. */
import type { Line } from "./picture.ts";
import type { ResultTable } from "./tables.ts";

export interface SectionResult {
  readonly data: unknown;
  readonly tables: readonly ResultTable[];
  readonly lines?: readonly Line[];
}

/** @param sizes numbers of dispatchers */
export type Section = (sizes: readonly number[]) => Promise<SectionResult>;
