import { MAX_ITEM_BYTES } from "../../src/storage/dynamodb/too-large.ts";

/** What a run is made of. Together with a seed and a commit it is the run. */
export interface SimulationOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Dispatchers at the beginning, the table trigger among them. */
  readonly dispatchers: number;
  /** DDLs and syncpoints in the log. */
  readonly barriers: number;
  readonly faults: ReadonlySet<FaultKind>;
  /** After so many faults there are no more. */
  readonly maxFaults: number;
  /** Bytes that an item of the table may have. Small: bounds are met in a small world (docs/bounds.md). */
  readonly itemBytes: number;
  /** Which nodes are old ones: TiCDC's dispatcher managers as they are (decisions/0047). */
  readonly old: OldNodes;
}

export type OldNodes = "all" | "some" | "none";

export const FAULT_KINDS = [
  /** An invocation ends between any two of its operations, or with one of them under way. */
  "crash",
  /** An invocation stands still until its messages have gone to another, then goes on. */
  "freeze",
  /** An operation takes seconds. */
  "slow",
  /** A queue delivers a message twice. */
  "duplicate",
  /** A queue keeps a message for long. */
  "delay",
  /** A request has its effect, and its answer is lost. */
  "lost",
  /** A request to the table had its effect, its answer was lost, and the client asked again. */
  "again",
  /** A request has no effect and fails. */
  "refuse",
  /** A node's process ends, and starts again. */
  "restart",
  /** A node comes back without some of its dispatchers: the coordinator has to see to them. */
  "lose",
  /** A node goes for good with its queue, when others have its dispatchers, and another comes under a new name. */
  "leave",
  /** A node says that it goes for good while it has dispatchers: the coordinator asks others for them. */
  "goodbye",
  /** A dispatcher goes to another node. */
  "move",
  /** A dispatcher becomes two. */
  "split",
  /** Two dispatchers of a table become one. */
  "merge",
  /** The changefeed is opened again with a higher epoch, while barriers are open. */
  "reopen",
  /** An operator removes the changefeed, and it is created again under the same id with a higher epoch. */
  "remove",
  /** The table trigger is lost with its node, and the scheduler creates it again later, somewhere. */
  "headless",
  /** A node does what it was asked for minutes later, when another may have been asked for it. */
  "late",
  /** Clocks of nodes and functions are wrong, and run fast or slow. */
  "clock",
  /** Clocks are set forward or back, while processes run and between two starts of a node. */
  "step",
  /** Nothing happens for hours or weeks; what has a TTL expires, on time or late. */
  "quiet",
  /** An item with a time to live is deleted before its time. */
  "early",
  /** A node is away in such a time, and comes back with checkpoints from before. */
  "away",
  /** A message that was received too often is a dead letter: it is brought back, and a copy of it weeks later. */
  "redrive",
  /** Somebody who is not the node speaks in its name: kept aside, and nothing comes of it. */
  "stranger",
] as const;

/*
 * To add a kind: name it above, throw its dice with `faults.happens(KIND, chance)` at the place where it goes wrong (what
 * nobody asks for happens never; `faults.possible` asks without dice), and say what it is in docs/proof.md. What goes wrong by itself,
 * now and then, is a loop beside those of chaos.ts and seasons.ts, started in simulate.ts; it ends with `faults.over`. What must hold
 * then is said in the monitors. The test asks that each usual kind happens.
 */
export type FaultKind = (typeof FAULT_KINDS)[number];

/** What goes wrong unless something else is asked for. */
export const USUAL_FAULTS: readonly FaultKind[] = FAULT_KINDS;

export const DEFAULTS = {
  nodes: 4,
  dispatchers: 20,
  barriers: 20,
  maxFaults: 1_000_000,
  itemBytes: MAX_ITEM_BYTES,
  old: "none",
} as const;

/** Room in the root for some barriers of a world as it is by default, and not for all that are open at a time. */
export const SMALL_ITEM_BYTES = 4_000;

/**
 * With fewer bytes worlds stand still, as decisions/0030 says of chains: of events that are reported from the highest key to the lowest each
 * gets into the share of the lowest, and the one that all others wait for finds that full. An item of the table has room for a hundred
 * of them there; of this one for the five that dispatchers of a world as it is by default come to.
 */
export const LEAST_ITEM_BYTES = SMALL_ITEM_BYTES;

export function optionsFor(seed: number, other: Partial<SimulationOptions> = {}): SimulationOptions {
  // In one world of eight items may have so little that bounds are met.
  if ((other.itemBytes ?? LEAST_ITEM_BYTES) < LEAST_ITEM_BYTES)
    throw new RangeError(
      `an item of ${other.itemBytes} bytes has no room for a chain of barriers: give ${LEAST_ITEM_BYTES} or more`,
    );
  const itemBytes = seed % 8 === 7 ? SMALL_ITEM_BYTES : DEFAULTS.itemBytes;
  // One in six has old nodes only, one in six some.
  const old = seed % 6 === 3 ? "all" : seed % 6 === 5 ? "some" : "none";
  return { ...DEFAULTS, faults: new Set(USUAL_FAULTS), itemBytes, old, ...other, seed };
}

/** The options of a run as arguments of `npm run simulate`; what is as always is left out. */
export function commandFor(options: SimulationOptions): string {
  const parts = [`npm run simulate -- --seed ${options.seed}`];
  for (const name of ["nodes", "dispatchers", "barriers"] as const)
    if (options[name] !== DEFAULTS[name]) parts.push(`--${name} ${options[name]}`);
  if (options.itemBytes !== optionsFor(options.seed).itemBytes)
    parts.push(`--item-bytes ${options.itemBytes}`);
  if (options.old !== optionsFor(options.seed).old) parts.push(`--old ${options.old}`);
  if (options.maxFaults !== DEFAULTS.maxFaults) parts.push(`--max-faults ${options.maxFaults}`);
  const { faults } = options;
  if (faults.size === FAULT_KINDS.length) parts.push("--faults all");
  else if (faults.symmetricDifference(new Set(USUAL_FAULTS)).size > 0)
    parts.push(`--faults ${faults.size === 0 ? "none" : [...faults].join(",")}`);
  return parts.join(" ");
}
