import { short, storedName } from "./order.ts";
import type { Judge } from "./violation.ts";
import type { LogEvent, LogRow, LogTable, Workload } from "./workload.ts";

/** One time that somebody applied an event downstream. */
export interface Application {
  readonly id: string;
  /** Whether another time is no fault: its dispatcher is not there any more, or its sink has failed. */
  readonly mayRepeat: () => boolean;
}

interface Written {
  /** Paths of its files that are there; written when all are. */
  readonly files: Set<string>;
  begun: boolean;
  written: boolean;
  readonly applications: Application[];
}

/**
 * Looks at what gets its name on the disk, in the order in which it does, and at nothing of the coordinator: no row before
 * its DDL, none after the next, every event in order, and at the end all that the log says.
 */
export class Downstream {
  readonly #workload: Workload;
  readonly #judge: Judge;
  readonly #events = new Map<string, Written>();
  readonly #byVersion = new Map<bigint, LogEvent>();
  readonly #rows = new Map<string, LogRow>();
  readonly #eventsOf = new Map<bigint, LogEvent[]>();
  /** Texts of rows that are durable. */
  readonly durable = new Set<string>();
  rowsWritten = 0;

  constructor(workload: Workload, judge: Judge) {
    this.#workload = workload;
    this.#judge = judge;
    for (const event of workload.events) {
      this.#events.set(storedName(event.capture.key), {
        files: new Set(),
        begun: false,
        written: false,
        applications: [],
      });
      if (!event.capture.key.isSyncPoint) this.#byVersion.set(event.capture.key.commitTs, event);
    }
    for (const table of workload.tables.values()) {
      const events = table.addedBy ? [table.addedBy] : [];
      for (const item of table.items)
        if ("row" in item) this.#rows.set(item.row.row.text, item.row);
        else events.push(item.event);
      this.#eventsOf.set(table.tableId, events);
    }
  }

  isWritten(event: LogEvent): boolean {
    return this.#of(event).written;
  }

  #of(event: LogEvent): Written {
    return this.#events.get(storedName(event.capture.key))!;
  }

  /** Somebody begins to apply an event. */
  applies(event: LogEvent, application: Application): void {
    const { applications } = this.#of(event);
    const before = applications.at(-1);
    if (before && !before.mayRepeat())
      this.#judge.fail(
        "once",
        `${describe(event)} is applied by ${application.id} although ${before.id}, which applied it, is still there`,
      );
    applications.push(application);
    this.#begin(event);
  }

  /** A file got its name. */
  file(path: string, content: string): void {
    if (path.endsWith(".index")) return;
    const syncpoint = /^out\/syncpoints\/(\d+)\.json$/.exec(path)?.[1];
    const schema = /\/meta\/schema_(\d+)_/.exec(path)?.[1];
    if (syncpoint !== undefined) {
      const event = this.#workload.events.find(
        ({ capture: { key } }) => key.isSyncPoint && key.commitTs === BigInt(syncpoint),
      );
      this.#fileOf(event, path, 1);
    } else if (schema !== undefined) {
      const event = this.#byVersion.get(BigInt(schema));
      this.#fileOf(event, path, event?.capture.payload.definitions.length ?? 0);
    } else for (const text of content.split("\r\n")) if (text !== "") this.#row(path, text);
  }

  #fileOf(event: LogEvent | undefined, path: string, expected: number): void {
    if (event === undefined) {
      this.#judge.fail("content", `nothing in the log writes ${path}`);
      return;
    }
    const written = this.#of(event);
    if (!written.begun) this.#judge.fail("content", `${path} is there and nobody applies ${describe(event)}`);
    written.files.add(path);
    if (written.files.size === expected) written.written = true;
  }

  /** Before an event is written for the first time, everything before it is, and nothing behind it. */
  #begin(event: LogEvent): void {
    const written = this.#of(event);
    if (written.begun) return;
    written.begun = true;
    const { key } = event.capture;
    for (const tableId of event.tables) {
      const table = this.#workload.tables.get(tableId)!;
      for (const item of table.items)
        if ("row" in item) {
          const earlier = item.row.commitTs <= key.commitTs;
          const there = this.durable.has(item.row.row.text);
          if (earlier && !there)
            this.#judge.fail("order", `${describe(event)} is applied before row ${item.row.row.text}`);
        }
      this.#inOrder(event, this.#eventsOf.get(tableId)!, `table ${tableId}`);
    }
    if (event.trigger)
      this.#inOrder(
        event,
        this.#workload.events.filter((one) => one.trigger),
        "the table trigger",
      );
  }

  #inOrder(event: LogEvent, stream: readonly LogEvent[], whose: string): void {
    for (const other of stream) {
      if (other === event) return;
      if (!this.isWritten(other))
        this.#judge.fail(
          "order",
          `${describe(event)} is applied before ${describe(other)} is written, the one before it of ${whose}`,
        );
    }
  }

  #row(path: string, text: string): void {
    const row = this.#rows.get(text);
    if (row === undefined) {
      this.#judge.fail("content", `${path} holds a row that the log does not have: ${text}`);
      return;
    }
    const { schema, table, version } = row.row;
    if (!path.startsWith(`out/${schema}/${table}/${version}/`))
      this.#judge.fail(
        "content",
        `row ${text} stands in ${path} and belongs to ${schema}/${table}/${version}`,
      );
    this.rowsWritten++;
    // What was there before may be written again by who starts again: where it stands, that changes nothing.
    if (this.durable.has(text)) return;
    this.durable.add(text);
    for (const event of this.#eventsOf.get(row.tableId)!) {
      const { key } = event.capture;
      const { begun, written } = this.#of(event);
      if (row.commitTs > key.commitTs && !written)
        this.#judge.fail("order", `row ${text} is there before ${describe(event)} is written`);
      if (row.commitTs <= key.commitTs && begun)
        this.#judge.fail("order", `row ${text} comes after ${describe(event)} was applied`);
    }
  }

  /** At the end everything is there, in files that nobody has written over, and as many as their index counts. */
  complete(files: ReadonlyMap<string, string>): void {
    const there = new Set<string>();
    for (const [path, content] of files) {
      if (path.endsWith(".tmp")) continue;
      if (path.endsWith(".index")) this.#counted(files, path, content);
      for (const text of content.split("\r\n")) there.add(text);
    }
    for (const text of this.#rows.keys())
      if (!there.has(text)) this.#judge.fail("content", `row ${text} is missing`);
    for (const event of this.#workload.events)
      if (!this.isWritten(event)) this.#judge.fail("content", `${describe(event)} was never applied`);
  }

  /** A file for each number up to that of the newest one. */
  #counted(files: ReadonlyMap<string, string>, index: string, newest: string): void {
    const [, name = "", number = "0"] = /^(CDC_.+)_(\d+)\.json/.exec(newest) ?? [];
    for (let file = 1; file <= Number(number); file++) {
      const path = `${index.replace(/meta\/[^/]+$/, "")}${name}_${String(file).padStart(number.length, "0")}.json`;
      if (!files.has(path)) this.#judge.fail("content", `${path}, which ${index} counts, is missing`);
    }
  }

  /** How often events were applied again by somebody new. */
  get appliedAgain(): number {
    return [...this.#events.values()].reduce((sum, one) => sum + Math.max(0, one.applications.length - 1), 0);
  }
}

export function describe(event: LogEvent): string {
  return `${event.kind} ${short(event.capture.key)}`;
}

/** The tables that are there behind the whole log. */
export function tablesAtTheEnd(workload: Workload): LogTable[] {
  return [...workload.tables.values()].filter((table) => table.droppedBy === undefined);
}
