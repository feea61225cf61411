/** The parts of the bench about one message of each dispatcher. */

import { Fleet } from "../../src/metered/fleet.ts";
import { countGroups, type GroupingRow } from "../../src/metered/grouping.ts";
import { type CountRow, countBarrier, MIXED, shape, sourceName, TENS } from "./counts.ts";
import type { Section } from "./section.ts";
import { exact, usd, whole } from "./tables.ts";

/** Minutes at a hundred thousand, so it is run where it is asked for by name. */
export const single: Section = async (sizes) => {
  const rows: CountRow[] = [];
  for (const dispatchers of sizes)
    for (const source of [TENS, MIXED])
      rows.push(await countBarrier(shape(dispatchers, { reports: "single" }), source));
  return {
    data: rows,
    tables: [
      {
        title: "One message of each dispatcher",
        head: [
          "dispatchers",
          "messages in environments",
          "messages",
          "DynamoDB requests",
          "for a message",
          "write units",
          "read units",
          "invocations",
          "USD",
        ],
        rows: rows.map((row) => [
          whole(row.shape.dispatchers),
          sourceName(row),
          whole(row.statusMessages),
          whole(row.requests),
          exact(row.requests / row.statusMessages, 3),
          whole(row.usage.writeUnits),
          whole(row.usage.readUnits),
          whole(row.usage.invocations),
          usd(row.usd),
        ]),
      },
    ],
  };
};

/** Chunks in a tally: one, and up to all of ten thousand dispatchers. */
const GROUPS = [1, 3, 7, 10, 15, 30];

export const groups: Section = async (sizes) => {
  const rows: GroupingRow[] = [];
  for (const dispatchers of sizes.filter((size) => size >= 10_000)) {
    const fleet = new Fleet(shape(dispatchers, { reports: "single" }));
    for (const form of ["numbers", "binaries"] as const)
      for (const chunks of GROUPS)
        for (const isMixed of [false, true]) rows.push(countGroups(fleet, chunks, form, isMixed));
  }
  const pairs = rows.flatMap((row, index) => (row.mixed ? [[rows[index - 1]!, row] as const] : []));
  return {
    data: rows,
    tables: [
      {
        title: "If several chunks shared a tally: writes of tallies for a message, and their units",
        head: [
          "dispatchers",
          "slots as",
          "chunks in a tally",
          "KB at most",
          "in order, for a message",
          "units in order",
          "mixed, for a message",
          "units mixed",
        ],
        rows: pairs.map(([inOrder, one]) => [
          whole(one.dispatchers),
          one.form,
          whole(one.chunks),
          exact(one.bytes / 1024, 1),
          exact(inOrder.writes / inOrder.messages, 3),
          whole(inOrder.units),
          exact(one.writes / one.messages, 3),
          whole(one.units),
        ]),
        note: "A calculation, not a run: the maintainer keeps a tally for each chunk, in numbers, and is the first line of each size.",
      },
    ],
  };
};
