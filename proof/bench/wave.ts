/** How long a wave of Pass takes, and that it does not hang on one invocation. */

import { MeteredWorld, REGION } from "../../src/metered/metered-world.ts";
import { shape, TENS } from "./counts.ts";

export interface WaveRow {
  readonly dispatchers: number;
  readonly environments: number;
  /** Milliseconds by the clock from the DONE of Write to the last Pass in its queue. */
  readonly waveMs: number;
  /** What one invocation would take for it, over its connections. */
  readonly aloneMs: number;
  readonly passes: number;
  readonly slices: number;
  /** The most messages that one invocation sent. */
  readonly mostSends: number;
}

const CONNECTIONS = 32;

/** A barrier over dispatchers with queues of their own, reports folded by node. */
export async function countWave(dispatchers: number, environments: number): Promise<WaveRow> {
  const of = shape(dispatchers, { queues: "dispatcher" });
  const simulation = await MeteredWorld.running(of, { ...TENS, environments });
  const run = await simulation.barrier();
  return {
    dispatchers,
    environments,
    waveMs: run.lastPassAt - run.writtenAt,
    aloneMs: Math.ceil(run.actions / CONNECTIONS) * REGION.sqs,
    passes: run.actions - 1,
    slices: run.slices,
    mostSends: run.mostSends,
  };
}
