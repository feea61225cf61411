import { run } from "../maintainer/base/program.ts";
import { newMemory } from "../maintainer/batch.ts";
import { sweep } from "../maintainer/sweep.ts";
import type { Shape } from "../metered/fleet.ts";
import { MeteredWorld, ONE_BY_ONE } from "../metered/metered-world.ts";
import { copy, since } from "../metered/standin/meter.ts";
import { type Idle, type Monthly, monthly, type Used } from "./model.ts";

export interface Deployment {
  readonly dispatchers: number;
  readonly nodes: number;
  readonly barriersPerHour: number;
  readonly queues: Shape["queues"];
}

export interface DeploymentCost extends Deployment {
  /** One barrier and one sweep, as they were counted. */
  readonly barrier: Used & { readonly requests: Readonly<Record<string, number>> };
  readonly idle: Idle;
  /** USD. */
  readonly month: Monthly;
}

/**
 * What a changefeed of this size costs a month: one barrier that touches everybody and one sweep are run on the maintainer and
 * the adapters that ship, and counted. Nodes fold their reports; each of their messages meets an invocation of its own.
 */
export async function costOfDeployment(deployment: Deployment): Promise<DeploymentCost> {
  const { dispatchers, nodes, queues, barriersPerHour } = deployment;
  const of: Shape = { dispatchers, nodes, queues, reports: "folded", influence: "All" };
  const simulation = await MeteredWorld.running(of, ONE_BY_ONE);
  const storedBytes = simulation.dynamodb.bytes;
  const { usage } = await simulation.barrier();

  const memory = newMemory();
  const sweepOnce = () =>
    run(
      sweep({ now: simulation.now, nonce: "sweep", settings: simulation.settings, memory }),
      simulation.port,
    );
  // The first one reads the roster, the others only ask whether it has changed.
  await sweepOnce();
  const before = copy(simulation.usage);
  const startedAt = simulation.clock.now;
  const { observer } = await sweepOnce();
  const swept = since(before, simulation.usage);
  const idle: Idle = {
    sweep: {
      ...swept,
      invocations: 1,
      invocationMs: simulation.clock.now - startedAt,
      logLines: observer.seen.length,
    },
    storedBytes,
    polledQueues: queues === "node" ? nodes : 0,
  };
  return {
    ...deployment,
    barrier: { ...usage, requests: usage.dynamodb },
    idle,
    month: monthly(idle, usage, barriersPerHour),
  };
}
