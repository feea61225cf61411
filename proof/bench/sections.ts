/** The parts of the bench: each measures, and says it in tables. */

import { Fleet } from "../../src/metered/fleet.ts";
import { MeteredWorld, ONE_BY_ONE } from "../../src/metered/metered-world.ts";
import { total } from "../../src/metered/standin/meter.ts";
import { Bench, measureMemory, measureStart } from "./bundle.ts";
import {
  type CountRow,
  countBarrier,
  MIXED,
  matrix,
  roundTrips,
  SPREAD,
  shape,
  sourceFor,
  sourceName,
  TENS,
} from "./counts.ts";
import { cpuOf, straggler } from "./cpu.ts";
import { oneNode } from "./one-node-table.ts";
import { countMove, countStart } from "./registration.ts";
import type { Section } from "./section.ts";
import { simpleBarrier } from "./simple.ts";
import { groups, single } from "./singles.ts";
import { exact, megabytes, usd, whole } from "./tables.ts";
import { countWave } from "./wave.ts";

function countCells(row: CountRow): string[] {
  const { usage } = row;
  return [
    whole(row.requests),
    whole(usage.writeUnits),
    whole(usage.readUnits),
    whole(total(usage.sqs)),
    whole(usage.invocations),
    whole(usage.messageBytes / 1024),
    usd(row.usd),
  ];
}
const COUNT_HEAD = [
  "DynamoDB requests",
  "write units",
  "read units",
  "SQS requests",
  "invocations",
  "KB",
  "USD",
];

const counts: Section = async (sizes) => {
  const rows: CountRow[] = [];
  // A hundred thousand messages of single dispatchers take minutes: where they are asked for alone.
  const wanted = matrix(sizes).filter(
    ([of]) => of.dispatchers <= 10_000 || of.reports === "folded" || sizes.length === 1,
  );
  for (const [of, source] of wanted) rows.push(await countBarrier(of, source));
  const kinds = rows.filter(({ shape: of }) => of.influence === "All" && of.queues === "node");
  const names = [...new Set(kinds.flatMap((row) => Object.keys(row.usage.dynamodb)))].sort();
  return {
    data: rows,
    tables: [
      {
        title: "One barrier, by what comes and where answers go",
        head: ["dispatchers", "nodes", "influence", "reports", "queues of", ...COUNT_HEAD],
        rows: rows.map((row) => [
          whole(row.shape.dispatchers),
          whole(row.shape.nodes),
          row.shape.influence,
          row.shape.reports,
          row.shape.queues === "node" ? "nodes" : "dispatchers",
          ...countCells(row),
        ]),
        note:
          "Folded: one message of each node, each in an invocation of its own, one after the other. Single: one message of each " +
          "dispatcher, ten in an invocation, as many invocations at a time as there are nodes. SQS requests are all of them: " +
          "of nodes, of the event source, of the maintainer.",
      },
      {
        title: "DynamoDB requests by kind",
        head: ["dispatchers", "reports", ...names],
        rows: kinds.map((row) => [
          whole(row.shape.dispatchers),
          row.shape.reports,
          ...names.map((name) => whole(row.usage.dynamodb[name] ?? 0)),
        ]),
      },
    ],
    lines: [
      ["folded, queues of nodes", "folded", "node"] as const,
      ["single, queues of dispatchers", "single", "dispatcher"] as const,
    ].map(([name, reports, queues]) => ({
      name,
      points: rows
        .filter(({ shape: of }) => of.influence === "All" && of.reports === reports && of.queues === queues)
        .map((row) => [row.shape.dispatchers, row.units] as const),
    })),
  };
};

/** How messages meet invocations changes what a barrier costs. */
const sources: Section = async (sizes) => {
  const rows: CountRow[] = [];
  for (const dispatchers of sizes.filter((size) => size <= 10_000))
    for (const source of [ONE_BY_ONE, TENS, SPREAD])
      rows.push(await countBarrier(shape(dispatchers), source));
  for (const dispatchers of sizes.filter((size) => size <= 10_000))
    for (const source of [sourceFor(dispatchers), MIXED])
      rows.push(await countBarrier(shape(dispatchers, { reports: "single" }), source));
  return {
    data: rows,
    tables: [
      {
        title: "The same barrier, by how its messages meet invocations",
        head: ["dispatchers", "reports", "messages in environments", "requests for a message", ...COUNT_HEAD],
        rows: rows.map((row) => [
          whole(row.shape.dispatchers),
          row.shape.reports,
          sourceName(row),
          exact(row.requests / row.statusMessages, 3),
          ...countCells(row),
        ]),
        note:
          "“10 in 10”: up to ten messages in an invocation, ten environments at the same time. “1 in 10”: every message races " +
          "with nine others. “Mixed”: neighbours in the queue are of different nodes.",
      },
    ],
  };
};

const path: Section = async (sizes) => {
  const data = [];
  for (const dispatchers of sizes.filter((size) => size <= 10_000))
    for (const [reports, source] of [
      ["folded", ONE_BY_ONE],
      ["folded", SPREAD],
      ["single", { batch: 10, environments: 1 }],
      ["single", TENS],
    ] as const)
      data.push({
        dispatchers,
        reports,
        source,
        ...(await roundTrips(shape(dispatchers, { reports }), source)),
      });
  return {
    data,
    tables: [
      {
        title: "Sequential round trips",
        head: [
          "dispatchers",
          "reports",
          "environments",
          "last WAITING to Write in its queue",
          "last DONE to closed",
        ],
        rows: data.map((row) => [
          whole(row.dispatchers),
          row.reports,
          whole(row.source.environments),
          whole(row.write),
          whole(row.close),
        ]),
      },
    ],
  };
};

const contention: Section = async () => {
  const rows: CountRow[] = [];
  for (const reports of ["folded", "single"] as const)
    for (const batch of [1, 10])
      rows.push(
        await countBarrier(shape(10_000, { nodes: 50, reports }), {
          batch,
          environments: 50,
          order: "mixed",
        }),
      );
  return {
    data: rows,
    tables: [
      {
        title: "Fifty invocations at a time on one barrier, 10,000 dispatchers on 50 nodes",
        head: [
          "reports",
          "messages in an invocation",
          "DynamoDB requests",
          "failed conditions",
          "retries",
          "hottest partition",
        ],
        rows: rows.map((row) => [
          row.shape.reports,
          whole(row.source.batch),
          whole(row.requests),
          whole(row.usage.failedConditions),
          whole(row.retries),
          whole(row.hottest),
        ]),
        note: "Hottest partition: write units of the partition key that took most of them. A partition takes 1,000 a second.",
      },
    ],
  };
};

const simple: Section = async (sizes) => {
  const rows = [];
  for (const dispatchers of sizes.filter((size) => size <= 10_000))
    rows.push(await simpleBarrier(new Fleet(shape(dispatchers))));
  return {
    data: rows,
    tables: [
      {
        title: "The simple design: one conditional update of one item for each status",
        head: ["dispatchers", "DynamoDB requests", "units", "units of the one item", "end"],
        rows: rows.map((row) => [
          whole(row.dispatchers),
          whole(row.requests),
          whole(row.units),
          whole(row.hottest),
          row.failed ?? "closed",
        ]),
      },
    ],
    lines: [
      {
        name: "one item, an update a status",
        points: rows.map((row) => [row.dispatchers, row.units] as const),
      },
    ],
  };
};

const cpu: Section = async (sizes) => {
  const rows = [];
  for (const dispatchers of sizes)
    for (const influence of ["All", "DB", "Normal"] as const)
      rows.push(await cpuOf(shape(dispatchers, { influence })));
  return {
    data: rows,
    tables: [
      {
        title: "Microseconds for each status, folded by node",
        head: ["dispatchers", "influence", "decode", "relative to JSON.parse", "fold", "coverage", "tell"],
        rows: rows.map((row) => [
          whole(row.dispatchers),
          row.influence,
          exact(row.decode),
          exact(row.decode / row.parse),
          exact(row.fold),
          exact(row.coverage),
          exact(row.tell),
        ]),
      },
    ],
  };
};

const repeats: Section = async () => {
  const row = await straggler(shape(8_000, { nodes: 8 }));
  return {
    data: row,
    tables: [
      {
        title: "One dispatcher missing, all others repeat their WAITING",
        head: ["dispatchers", "microseconds for a status", "writes of an invocation", "in a new environment"],
        rows: [[whole(row.dispatchers), exact(row.perStatus), whole(row.writesWarm), whole(row.writesCold)]],
        note: "Everything counts: decode, fold, judge, and writing the answers.",
      },
    ],
  };
};

const start: Section = async (sizes) => {
  const bench = await Bench.start();
  try {
    const row = await measureStart(bench);
    const memory = [];
    for (const dispatchers of sizes) memory.push(await measureMemory(bench, shape(dispatchers)));
    return {
      data: { start: row, memory },
      tables: [
        {
          title: "Start",
          head: [
            "bundle, KB",
            "empty handler as it comes, ms",
            "bundled as the maintainer, ms",
            "and with two requests, ms",
            "first folded message, ms",
            "ratio to the first",
            "to the second",
            "to the third",
          ],
          rows: [
            [
              exact(row.bundleBytes / 1024, 0),
              whole(row.plainMs),
              whole(row.emptyMs),
              whole(row.emptyWithReadMs),
              whole(row.firstMessageMs),
              exact(row.ratioToPlain),
              exact(row.ratio),
              exact(row.ratioWithRead),
            ],
          ],
        },
        {
          title: "Memory of the function's process in a barrier, at most",
          head: ["dispatchers", "MB"],
          rows: memory.map((one) => [
            whole(one.dispatchers),
            one.peakBytes ? megabytes(one.peakBytes) : "unknown",
          ]),
        },
      ],
    };
  } finally {
    await bench.stop();
  }
};

const registration: Section = async (sizes) => {
  const starts = [];
  for (const dispatchers of sizes)
    for (const source of [ONE_BY_ONE, TENS, SPREAD])
      starts.push(await countStart(shape(dispatchers), source));
  const moves = [];
  for (const dispatchers of sizes) moves.push(await countMove(shape(dispatchers)));
  return {
    data: { starts, moves },
    tables: [
      {
        title: "Start of a changefeed: opening and registration of all",
        head: [
          "dispatchers",
          "messages",
          "messages in environments",
          "DynamoDB requests",
          "for a message",
          "write units",
          "read units",
          "lost races",
          "messages that came again",
          "seconds",
        ],
        rows: starts.map((row) => [
          whole(row.shape.dispatchers),
          whole(row.messages),
          `${row.source.batch} in ${row.source.environments}`,
          whole(row.requests),
          exact(row.requests / row.messages, 1),
          whole(row.usage.writeUnits),
          whole(row.usage.readUnits),
          whole(row.retries),
          whole(row.cameAgain),
          exact(row.ms / 1_000, 1),
        ]),
      },
      {
        title: "Move of one dispatcher to another node",
        head: ["dispatchers", "DynamoDB requests", "write units", "read units"],
        rows: moves.map((row) => [
          whole(row.dispatchers),
          whole(row.requests),
          whole(row.usage.writeUnits),
          whole(row.usage.readUnits),
        ]),
      },
    ],
  };
};

const wave: Section = async (sizes) => {
  const rows = [];
  // Three hundred thousand messages with their bodies do not fit into memory.
  for (const dispatchers of sizes.filter((size) => size >= 1_000 && size <= 10_000))
    for (const environments of [1, 10, 50]) rows.push(await countWave(dispatchers, environments));
  return {
    data: rows,
    tables: [
      {
        title: "A wave of Pass to dispatchers with queues of their own",
        head: [
          "dispatchers",
          "environments",
          "ms of the wave",
          "ms over one invocation's connections",
          "slices of ACKs and Passes",
          "sends of an invocation, at most",
          "sends of an action",
        ],
        rows: rows.map((row) => [
          whole(row.dispatchers),
          whole(row.environments),
          whole(row.waveMs),
          whole(row.aloneMs),
          whole(row.slices),
          whole(row.mostSends),
          exact(row.passes / (row.dispatchers + 1), 3),
        ]),
        note: "Milliseconds of the simulation's clock: 8 for a request of SQS, 32 connections in each environment.",
      },
    ],
  };
};

const changefeeds: Section = async () => {
  const rows = [];
  for (const number of [1, 4, 16]) {
    const simulation = await MeteredWorld.running(
      shape(100),
      { batch: 10, environments: 10 * number },
      undefined,
      number,
    );
    const run = await simulation.barrier();
    rows.push({
      number,
      requests: total(run.usage.dynamodb),
      failed: run.usage.failedConditions,
      ms: run.totalMs,
    });
  }
  return {
    data: rows,
    tables: [
      {
        title: "Changefeeds of 100 dispatchers that meet a barrier at the same time",
        head: [
          "changefeeds",
          "DynamoDB requests",
          "for each",
          "failed conditions",
          "ms until all are closed",
        ],
        rows: rows.map((row) => [
          whole(row.number),
          whole(row.requests),
          exact(row.requests / row.number, 1),
          whole(row.failed),
          whole(row.ms),
        ]),
        note: "Milliseconds of the simulation's clock: 4 for a DynamoDB request, 8 for one of SQS.",
      },
    ],
  };
};

export const SECTIONS = {
  counts,
  sources,
  single,
  groups,
  path,
  contention,
  simple,
  cpu,
  repeats,
  start,
  registration,
  wave,
  changefeeds,
  onenode: oneNode,
} as const satisfies Record<string, Section>;

export type SectionName = keyof typeof SECTIONS;
