/** The part of the bench that runs many dispatchers on one node. */
import { loadavg } from "node:os";
import { type BarrierTimes, measureOneNode, type OneNodeRow, type Work } from "./one-node.ts";
import type { Section } from "./section.ts";
import { exact, whole } from "./tables.ts";

const RUNS = 3;

/** A run, and the load average of the last minute when it began. */
interface Run {
  readonly row: OneNodeRow;
  readonly load: number;
}

const seconds = (ms: number) => exact(ms / 1_000);
const workCells = (work: Work) => [
  exact(work.nodeCpu),
  exact(work.enginesCpu),
  work.functionsCpu === undefined ? "unknown" : exact(work.functionsCpu),
  whole(work.sent),
  whole(work.received),
  whole(work.polls),
  whole(work.invocations),
  whole(work.dynamodb),
  whole(work.sqs),
];

/** The run whose time is the median. */
function middle(runs: readonly Run[], of: (row: OneNodeRow) => number): Run {
  return runs.toSorted((a, b) => of(a.row) - of(b.row))[runs.length >> 1]!;
}

export const oneNode: Section = async (sizes) => {
  const all: Run[] = [];
  const rows: string[][] = [];
  for (const dispatchers of sizes.filter((size) => size <= 10_000)) {
    const runs: Run[] = [];
    for (let run = 0; run < RUNS; run++)
      runs.push({ load: loadavg()[0]!, row: await measureOneNode(dispatchers) });
    all.push(...runs);
    const line = (what: string, { load, row }: Run, times: BarrierTimes | undefined, work: Work) => [
      whole(row.dispatchers),
      what,
      ...(times ? [times.write, times.lastDone, times.closed].map(seconds) : ["", "", seconds(row.obeyed)]),
      ...workCells(work),
      exact(load, 1),
    ];
    const truncated = middle(runs, ({ truncate }) => truncate.closed);
    const obeyed = middle(runs, (row) => row.obeyed - row.truncate.closed);
    const synced = middle(runs, ({ syncpoint }) => syncpoint.closed);
    rows.push(
      line("TRUNCATE", truncated, truncated.row.truncate, truncated.row.truncate),
      line("then all Removes and Creates", obeyed, undefined, obeyed.row.obeying),
      line("syncpoint", synced, synced.row.syncpoint, synced.row.syncpoint),
    );
  }
  return {
    data: all,
    tables: [
      {
        title: "Many dispatchers on one node, on `weir local`",
        head: [
          ...["dispatchers", "event", "s to Write", "to the last DONE", "until closed"],
          ...["processor s: node", "engines", "functions"],
          ...[
            "messages sent",
            "received",
            "polls",
            "invocations",
            "DynamoDB requests",
            "SQS requests",
            "load",
          ],
        ],
        rows,
        note:
          `The run of ${RUNS} whose time is the median. The table has a partition for each dispatcher. Seconds count from the ` +
          "moment at which the event comes to the first dispatcher; for Removes and Creates too.",
      },
    ],
  };
};
