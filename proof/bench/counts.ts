/** What barriers cost, counted. */
import { costOf, type Parts, sum } from "../../src/cost/model.ts";
import { type InfluenceKind, nodesFor, type Shape } from "../../src/metered/fleet.ts";
import {
  type BarrierRun,
  MeteredWorld,
  ONE_BY_ONE,
  ROUND_TRIPS,
  type Source,
} from "../../src/metered/metered-world.ts";
import { total } from "../../src/metered/standin/meter.ts";

/** As the event source does it when messages come faster than they are handled. */
export const TENS: Source = { batch: 10, environments: 10 };
export const MIXED: Source = { ...TENS, order: "mixed" };
/** Every message in another environment at the same time: the most that can race. */
export const SPREAD: Source = { batch: 1, environments: 10 };

export interface CountRow extends BarrierRun {
  readonly shape: Shape;
  readonly source: Source;
  readonly requests: number;
  readonly units: number;
  readonly cost: Parts;
  readonly usd: number;
}

export function shape(dispatchers: number, more: Partial<Omit<Shape, "dispatchers">> = {}): Shape {
  const nodes = nodesFor(dispatchers);
  return { dispatchers, nodes, queues: "node", reports: "folded", influence: "All", ...more };
}

/** One barrier of a changefeed that has been running for a while. */
export async function countBarrier(of: Shape, source: Source): Promise<CountRow> {
  const simulation = await MeteredWorld.running(of, source);
  return rowOf(of, source, await simulation.barrier());
}

function rowOf(of: Shape, source: Source, run: BarrierRun): CountRow {
  const cost = costOf(run.usage);
  return {
    ...run,
    shape: of,
    source,
    requests: total(run.usage.dynamodb),
    units: run.usage.writeUnits + run.usage.readUnits,
    cost,
    usd: sum(cost),
  };
}

/** The matrix that the issue asks for: reports folded or single, queues of nodes or dispatchers, each influence. */
export function matrix(sizes: readonly number[]): [Shape, Source][] {
  const rows: [Shape, Source][] = [];
  for (const dispatchers of sizes)
    for (const influence of ["All", "DB", "Normal"] satisfies InfluenceKind[])
      for (const reports of ["folded", "single"] as const)
        for (const queues of ["node", "dispatcher"] as const) {
          const of = shape(dispatchers, { influence, reports, queues });
          rows.push([of, reports === "folded" ? ONE_BY_ONE : sourceFor(dispatchers)]);
        }
  return rows;
}

/** Messages of single dispatchers come in tens; more of them are handled at a time where there are more. */
export function sourceFor(dispatchers: number): Source {
  return { batch: 10, environments: nodesFor(dispatchers) };
}

/** Sequential round trips of a warm barrier. */
export async function roundTrips(of: Shape, source: Source): Promise<{ write: number; close: number }> {
  const simulation = await MeteredWorld.running(of, source, ROUND_TRIPS);
  const { waitingToWrite, doneToClosed } = await simulation.barrier();
  return { write: waitingToWrite, close: doneToClosed };
}

/** How messages met invocations: "10 in 10" is up to ten in an invocation, in ten environments at the same time. */
export function sourceName({ source }: Pick<CountRow, "source">): string {
  return `${source.batch} in ${source.environments}${source.order === "mixed" ? ", mixed" : ""}`;
}
