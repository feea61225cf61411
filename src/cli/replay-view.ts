import Table from "cli-table3";
import { createLogUpdate } from "log-update";
import type { ReferenceVerdict } from "../consumer/reference.ts";
import { describeDifference } from "../consumer/verdict.ts";
import { printable } from "../error/printable.ts";
import type { RequestCounts } from "../local/engines.ts";
import type { Plan, ReplayEvent } from "../replay/plan.ts";
import type { Replay } from "../replay/run.ts";
import type { Timings } from "../replay/timings.ts";
import type { ReplayResult } from "./replay-run.ts";
import { say, warn } from "./say.ts";

// Standard output is for the result alone.
const logUpdate = createLogUpdate(process.stderr);
const REDRAW_MS = 100;
const LINE_MS = 5_000;
/** After this long without any progress the view says who holds everything up. */
const STALLED_MS = 10_000;

/** What goes on, while it does: redrawn on a terminal, a line now and then elsewhere. */
export class LiveView {
  readonly #timings: Timings;
  readonly #plan: Plan;
  readonly #replay: Replay;
  #timer: NodeJS.Timeout | undefined;
  #progress = -1;
  #progressAt = performance.now();
  #lastLine = performance.now();
  #note = "";

  constructor(timings: Timings, plan: Plan, replay: Replay) {
    this.#timings = timings;
    this.#plan = plan;
    this.#replay = replay;
  }

  start(): void {
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    if (process.stderr.isTTY) logUpdate.clear();
  }

  /** Something failed and is tried again. */
  note(error: unknown): void {
    this.#note = error instanceof Error ? error.message : String(error);
  }

  #draw(): void {
    const now = performance.now();
    if (this.#timings.progress !== this.#progress) {
      this.#progress = this.#timings.progress;
      this.#progressAt = now;
    }
    const stalled = now - this.#progressAt > STALLED_MS;
    if (process.stderr.isTTY) logUpdate(this.#lines(stalled).join("\n"));
    else if (now - this.#lastLine > LINE_MS) {
      this.#lastLine = now;
      warn(this.#lines(stalled).join(" | "));
    }
  }

  #lines(stalled: boolean): string[] {
    const { rows, closed, open } = this.#timings;
    const [current] = open;
    const lines = [`rows ${rows}/${this.#plan.rows}, barriers closed ${closed}, open ${open.length}`];
    if (current)
      lines.push(
        `${current.key} ${current.phase}: ${current.arrived.length} arrived  ${printable(current.statement.slice(0, 70))}`,
      );
    if (current?.phase === "waiting") lines.push(this.#missing(current.event, current.arrived));
    if (stalled) lines.push(this.#holdUp());
    if (this.#note) lines.push(`tried again after: ${this.#note.slice(0, 120)}`);
    return lines;
  }

  /** Who has not come to an event at which others wait. */
  #missing(event: ReplayEvent, arrived: readonly string[]): string {
    const there = new Set(arrived);
    const touched = this.#plan.touched.get(event);
    const missing = [...this.#replay.standing()].filter(
      (one) => (one.tableId === 0n || touched?.has(one.tableId)) && !there.has(one.dispatcher),
    );
    if (missing.length === 0) return "  all are there: the coordinator decides";
    const names = missing
      .slice(0, 4)
      .map((one) => `…${one.dispatcher.slice(-4)} of ${one.table} on ${one.node}`);
    return `  missing ${missing.length}: ${names.join(", ")}`;
  }

  /** Who stands at what, the one that keeps everybody waiting first. */
  #holdUp(): string {
    const standing = [...this.#replay.standing()];
    const reading = standing.filter((one) => one.at === "reading");
    const suspects = (reading.length > 0 && reading.length < standing.length ? reading : standing).slice(
      0,
      3,
    );
    const who = suspects.map(
      (one) => `…${one.dispatcher.slice(-6)} of ${one.table} on ${one.node} (${one.at})`,
    );
    return `nothing moves: ${who.join(", ")}`;
  }
}

/** The tables at the end of a replay. */
export function showResult(result: ReplayResult): void {
  const table = new Table({
    head: ["commitTs", "statement", "influence", "dispatchers", "waiting ms", "writing ms", "passing ms"],
    colAligns: ["left", "left", "left", "right", "right", "right", "right"],
    style: { head: [], border: [] },
  });
  for (const one of result.barriers)
    table.push([
      one.key.replace(/-0$/, "").replace(/-1$/, " s").replace(/^0+/, ""),
      printable(one.statement.length > 56 ? `${one.statement.slice(0, 55)}…` : one.statement),
      one.influence,
      one.dispatchers,
      one.waitingMs.toFixed(0),
      one.writingMs.toFixed(0),
      one.passingMs.toFixed(0),
    ]);
  say(table.toString());
  if (result.counts) showCounts(result.counts);
  const { verdict } = result;
  say(
    `\n${result.rows} row changes and ${result.barriers.length} barriers in ${result.seconds.toFixed(1)} s.`,
  );
  if (verdict.ok)
    say(
      `The consumer read ${verdict.files} files in ${result.out} and found every one of ${verdict.tables} tables as the log has it.`,
    );
  else {
    say(`The consumer found differences in ${result.out}:`);
    for (const difference of verdict.differences) say(`  ${describeDifference(difference)}`);
  }
  for (const { table, why } of verdict.notCompared)
    say(`The rows of ${printable(table)} were not compared: ${printable(why)}.`);
  if (result.reference) showReference(result.reference);
}

function showReference({ ok, tables, failed, differences }: ReferenceVerdict): void {
  for (const { file, line, why } of failed) say(`The server cannot run ${file}:${line}: ${printable(why)}`);
  if (ok) say(`The server holds the same in ${tables} tables.`);
  else {
    say("The server holds something else:");
    for (const difference of differences) say(`  ${describeDifference(difference)}`);
  }
}

function showCounts(counts: NonNullable<ReplayResult["counts"]>): void {
  const line = ({ functions, others }: RequestCounts) => {
    const list = (one: Record<string, number>) =>
      Object.entries(one)
        .sort(([, a], [, b]) => b - a)
        .map(([operation, count]) => `${operation} ${count}`)
        .join(", ");
    return `functions: ${list(functions)}; others: ${list(others)}`;
  };
  say(`DynamoDB  ${line(counts.dynamodb)}`);
  say(`SQS       ${line(counts.sqs)}`);
  const { maintainer, sweeper } = counts.invocations;
  const chaos =
    counts.kills + counts.duplicates > 0
      ? `; ${counts.kills} killed, ${counts.duplicates} messages doubled`
      : "";
  say(`Lambda    maintainer ${maintainer}, sweeper ${sweeper}, errors ${counts.errors}${chaos}`);
}
