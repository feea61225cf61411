import { type Space, spaceOf } from "../../src/maintainer/base/space.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/maintainer/session/session.ts";
import { CHANGEFEED, PREFIX } from "../../src/maintainer/testing/world.ts";
import { Actors } from "./actors.ts";
import { Ghosts } from "./history.ts";
import { Invariants } from "./invariants.ts";
import { Invocations } from "./invocations.ts";
import type { Faults, Scenario } from "./scenario.ts";
import { StoreParts } from "./store-parts.ts";
import { Wire } from "./wire.ts";

/** What states of one scenario are made of. */
export interface Parts {
  readonly scenario: Scenario;
  readonly faults: Faults;
  readonly wire: Wire;
  readonly actors: Actors;
  readonly ghosts: Ghosts;
  readonly stores: StoreParts;
  readonly invocations: Invocations;
  readonly invariants: Invariants;
  /** The place of a dispatcher in `State.actors`, by id. */
  readonly places: Map<string, number>;
  readonly nodes: readonly string[];
  /** The default mode, and redo if somebody has it. */
  readonly spaces: readonly Space[];
  /** Bodies that nobody understands. */
  readonly malformed: ReadonlySet<string>;
  /** Of batches. */
  readonly settings: Settings;
  /** Of a sweep: by then it is time to repeat, and to look after who was lost. */
  readonly late: Settings;
  /** Whether transitions say what happens. */
  explain: boolean;
}

export function partsOf(scenario: Scenario, faults: Faults): Parts {
  const wire = new Wire(scenario.oldNodes);
  const actors = new Actors(scenario, wire);
  const ghosts = new Ghosts();
  const stores = new StoreParts();
  const spaces = [spaceOf(CHANGEFEED, 0n)];
  if (scenario.cast.some((one) => one.redo)) spaces.push(spaceOf(CHANGEFEED, 1n));
  const malformed = new Set(scenario.malformed?.map((one) => one.body));
  // The clock stands still: memory is as old as it may be used. A repeat is due where reports are repeated.
  const base = {
    ...DEFAULT_SETTINGS,
    actionQueuePrefix: PREFIX,
    ...(scenario.sendsAtOnce !== undefined && { sendsAtOnce: scenario.sendsAtOnce }),
    ...(scenario.longAgo && { rootMaxAge: -1 }),
  };
  const late = {
    ...base,
    repeatAfter: 0,
    recreateAfter: 0,
    ...(scenario.impatient && { reassignAfter: 0 }),
  };
  return {
    scenario,
    faults,
    wire,
    actors,
    ghosts,
    stores,
    invocations: new Invocations(spaces),
    invariants: new Invariants(stores, ghosts, wire, (body) => !malformed.has(body)),
    places: new Map(),
    nodes: nodesOf(scenario),
    spaces,
    malformed,
    settings: faults.repeats > 0 ? { ...base, repeatAfter: 0 } : { ...base, repeatAfter: 1e9 },
    late,
    explain: false,
  };
}

function nodesOf({ cast, changes = [] }: Scenario): string[] {
  const replaced = changes.flatMap((one) => (one.does === "replace" ? one.by : []));
  const moved = changes.flatMap((one) => (one.does === "move" ? [one.to] : []));
  return [...new Set([...[...cast, ...replaced].map((one) => one.node), ...moved])];
}

/** The name and life of a dispatcher, as people read it. */
export function actorName({ actors, wire }: Parts, one: number): string {
  const { id, life } = actors.actors.value(one);
  return `${wire.nameOf(id)}@${life}`;
}
