import { Dice } from "../../src/chance/dice.ts";
import type { Root, RootChanges, RootConditions, RootResult } from "../../src/maintainer/base/port.ts";
import { type Space, spaceOf } from "../../src/maintainer/base/space.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import type { Carrier } from "./carrier.ts";
import { Chaos } from "./chaos.ts";
import { DeadQueue } from "./dead-queue.ts";
import { Disk } from "./disk.ts";
import { Downstream, tablesAtTheEnd } from "./downstream.ts";
import { Durability } from "./durability.ts";
import { Faults } from "./faults.ts";
import { ACTION_PREFIX, STATUS_QUEUE } from "./fixed.ts";
import { Functions, MAX_RECEIVES } from "./functions.ts";
import { leftOver } from "./left-over.ts";
import { makeWorkload } from "./make-log.ts";
import { Monitors } from "./monitors.ts";
import { Nodes } from "./nodes.ts";
import { castOf } from "./old-cast.ts";
import { isOldName } from "./old-names.ts";
import type { FaultKind, SimulationOptions } from "./options.ts";
import { EPOCH, type Ground, type Wrongness } from "./process.ts";
import { Queues } from "./queues.ts";
import { removeChangefeed } from "./removing.ts";
import { Reopening } from "./reopening.ts";
import { Seasons } from "./seasons.ts";
import type { StoredLife } from "./stored.ts";
import { Stranger } from "./stranger.ts";
import { Timeline } from "./timeline.ts";
import { Trace } from "./trace.ts";
import { Judge, type Violation } from "./violation.ts";
import { tableSpans } from "./workload.ts";

/** After the last fault everything must be at its end in this time, in ms. */
const PATIENCE = 20 * 60_000;
/** A root in memory stands for the present one so long (`Settings.rootMaxAge`), and a little, for clocks run slow. */
const ROOT_AGE = 2_100;
/** Between two restarts, moves, splits or merges, in ms, about. */
const CHAOS_EVERY = 6_000;

const NOT_OF_OLD_NODES: ReadonlySet<FaultKind> = new Set(["goodbye", "headless", "late", "remove", "early"]);

export interface SimulationResult {
  readonly seed: number;
  readonly violation: Violation | undefined;
  /** The same for the same seed and commit. */
  readonly digest: string;
  readonly closedByKind: Readonly<Record<string, number>>;
  readonly faults: Partial<Record<FaultKind, number>>;
  /** Milliseconds of virtual time. */
  readonly time: number;
  readonly requests: number;
  /** How often a barrier was not opened because the root had no room for it. */
  readonly fullRoots: number;
  readonly appliedAgain: number;
  readonly steps: number;
  /** The last lines of the trace, if something went wrong. */
  readonly last: readonly string[];
}

class WatchedStore extends MemoryStore {
  readonly #committed: (root: Root, space: Space) => void;

  constructor(itemBytes: number, now: () => number, committed: (root: Root, space: Space) => void) {
    super({ maxItemBytes: itemBytes, now });
    this.#committed = committed;
  }

  override async commitRoot(
    space: Space,
    conditions: RootConditions,
    changes: RootChanges,
  ): Promise<RootResult> {
    const result = await super.commitRoot(space, conditions, changes);
    if (result.committed) this.#committed(result.root, space);
    return result;
  }
}

/** Runs one world from its beginning to its end, or to the first thing that must not happen. */
export async function simulate(given: SimulationOptions, traceLines = 60): Promise<SimulationResult> {
  const cast = castOf(given);
  const { options } = cast;
  const timeline = new Timeline();
  // Of old nodes nothing is known yet of these.
  const usual = options.old === "none" ? options.faults : options.faults.difference(NOT_OF_OLD_NODES);
  const faults = new Faults({ ...options, faults: usual });
  const ground: Ground = { timeline, faults, dice: new Dice(options.seed, "world") };
  const trace = new Trace(timeline);
  const judge = new Judge(trace);
  const setup = new Dice(options.seed, "setup");
  // Some worlds are of redo dispatchers.
  const mode = options.old === "none" && new Dice(options.seed, "mode").chance(0.1) ? 1n : 0n;
  const workload = makeWorkload(options, mode);
  const downstream = new Downstream(workload, judge);
  const space = spaceOf({ high: 1n, low: 2n, name: "simulated", keyspace: "default" }, mode);
  const store = new WatchedStore(
    options.itemBytes,
    () => EPOCH + timeline.wall,
    (root, { text }) => {
      if (text === space.text) monitors.committed(root);
      else judge.fail("space", `${text} has a root, and all that is here speaks of ${space.text}`);
    },
  );
  const monitors = new Monitors(workload, store, space.text, downstream, judge, () => timeline.now);
  const durability = new Durability(store, space.text, monitors, judge);
  const startedAt = new Map<string, number>();
  const disk = new Disk((path, content) => downstream.file(path, content));
  const queues = new Queues(ground, (name) => !cast.gated && name !== STATUS_QUEUE);
  const note = (who: string, what: string) => trace.note(who, what);

  const clocks: { wrong: Wrongness; most: number }[] = [];
  const wrong = (most: number) => (): Wrongness => {
    const made = faults.possible("clock")
      ? { offset: setup.between(-most, most), rate: setup.between(0.98, 1.02) }
      : { offset: 0, rate: 1 };
    clocks.push({ wrong: made, most });
    return made;
  };
  const times = new Dice(options.seed, "times");
  const dead = new DeadQueue(ground, queues);
  const functions = new Functions(
    ground,
    store,
    queues,
    {
      started: (invocation, messages) => {
        startedAt.set(invocation, timeline.now);
        note(invocation, `takes ${messages.map((one) => one.id).join(" ")}`);
      },
      did: (invocation, method, args) => note(invocation, `${method} ${describeArgs(method, args)}`),
      ended: (invocation, how) => note(invocation, how),
      tooLarge: (invocation, error) => judge.fail("bounds", `${invocation}: ${error.message}`),
      threw: (invocation, error) => judge.fail("I10", `${invocation} threw ${error.stack}`),
      sent: (invocation, message) => {
        note(invocation, `to ${message.queue.slice(ACTION_PREFIX.length)} ${message.type}`);
        monitors.sent(message, startedAt.get(invocation)! - ROOT_AGE);
      },
      handled: (invocation, message, outcome) => {
        stranger.handled(message);
        durability.handled(message, outcome, startedAt.get(invocation)! - ROOT_AGE);
      },
      quiet: () => void durability.quiet(functions.settings, Math.floor(EPOCH + timeline.wall)),
      deadLetter: (reason, letter) => {
        note("dead queue", reason);
        if (stranger.refused(reason, letter.attributes)) return;
        if (reason.includes("is hosted by another node") && monitors.isFromBefore(letter)) return;
        if (!dead.refused(letter)) judge.fail("dead letter", reason);
      },
    },
    2 + setup.below(4),
    wrong(120_000),
    // Some hand a wave of actions over to other invocations as soon as it has more than a few.
    setup.chance(0.4) ? 1 + setup.below(4) : 400,
    options.itemBytes,
    dead,
    faults.possible("redrive") && times.chance(0.5) ? 1 + times.below(3) : MAX_RECEIVES,
  );
  const parted = new Dice(options.seed, "parts").chance(0.4);
  const nodes = new Nodes(ground, {
    workload,
    disk,
    queues,
    world: {
      judge,
      downstream,
      eventOf: (key) => monitors.eventOf(key),
      note,
      executes: (incarnation, event, action) => monitors.executes(incarnation, event, action),
      closed: (incarnation) => monitors.closed(incarnation),
    },
    watcher: {
      reported: (process, body, attributes) => monitors.reported(process, body, attributes),
      delivered: (message) => {
        if (!stranger.isOf(message)) durability.delivered(message, (id) => nodes.carriers.get(id)?.running);
      },
      obeyed: (message) => durability.obeyed(message),
    },
    mode,
    evict: (node) => functions.evict(space, node),
    stands: (node, id) => monitors.isNamed(node, id),
    machines: Array.from({ length: options.nodes }, (_, index) => ({
      name: cast.names[index]!,
      gated: cast.gated,
      wrong: wrong(3_600_000)(),
      encoding: setup.chance(0.5) ? ("protobuf" as const) : ("json" as const),
      layout: setup.chance(0.3) ? ("dispatcher" as const) : ("node" as const),
      tablesPerPart: parted ? 1 + setup.below(3) : 2_000,
    })),
  });
  monitors.incarnationOf = (process, id, life) => {
    const running = nodes.carriers.get(id)?.running;
    return running?.process === process && running.life === life ? running : undefined;
  };
  const names = [...nodes.machines.keys()];
  for (const { tableId, from, to } of tableSpans(workload, options.dispatchers - 1, setup))
    nodes.addCarrier({ id: nodes.newId(), tableId, from, to, node: setup.pick(names), start: 1n });
  for (const machine of nodes.machines.values())
    timeline.after(setup.between(0, 300), () => void nodes.start(machine));
  nodes.hasSaid = (process) => monitors.hasLeft(process);
  monitors.followedOn = (node) => (nodes.machines.get(node) ?? nodes.departed.get(node))!.epoch;
  const scheduler = (what: string) => note("scheduler", what);
  const chaos = new Chaos(ground, nodes, options.dispatchers, scheduler);
  void chaos.run(CHAOS_EVERY);
  const opens = (epoch: bigint, at: bigint) => monitors.opens(epoch, at);
  const stranger = new Stranger(ground, { nodes, queues, monitors, judge });
  const reopening = new Reopening(ground, nodes, workload, scheduler, opens);
  void chaos.reopen(reopening, () => removeChangefeed(ground, store, space)).then(() => stranger.run());
  const promptness = times.pick([0.02, 0.3, 1]);
  const parts = { store, queues, dead, functions, nodes };
  const season = (what: string) => note("seasons", what);
  const seasons = new Seasons(ground, parts, promptness, season, (item) => durability.lost(item));
  void seasons.expire();
  void seasons.run();
  void seasons.step(clocks);
  timeline.after(workload.duration * 2 + 20_000, () => {
    faults.over = true;
    note("world", "no faults any more");
    timeline.after(PATIENCE, () => {
      const open = [...(monitors.root?.steps ?? [])].map(
        ([key, { phase }]) => `${key.slice(-9)} is ${phase} and lacks ${monitors.lacks(key)}`,
      );
      const left = [...open, ...nodes.unfinished()].join(", ");
      judge.fail("I6", `not at the end ${PATIENCE / 60_000} minutes after the last fault: ${left}`);
    });
  });

  await timeline.run(() => {
    if (judge.violation !== undefined) return true;
    const root = monitors.root;
    if (root === undefined || root.steps.size > 0 || root.pending.length > 0) return false;
    if (root.epoch !== nodes.epoch || root.meta.partsExpected === 0) return false;
    return nodes.unfinished().length === 0;
  });
  if (judge.violation === undefined) {
    downstream.complete(disk.files);
    if (monitors.root) checkRoster(monitors, nodes, judge);
    const left = await leftOver(store, functions.settings, Math.floor(EPOCH + timeline.wall));
    if (left.length > 0) judge.fail("bounds", `no root points to ${left.join()}, and nobody collects them`);
  }
  functions.stopped = true;
  return {
    seed: options.seed,
    violation: judge.violation,
    digest: trace.digest(),
    closedByKind: monitors.closedByKind,
    faults: faults.counts,
    time: timeline.now,
    requests: functions.requests,
    fullRoots: functions.fullRoots,
    appliedAgain: downstream.appliedAgain,
    steps: timeline.happened,
    last: judge.violation ? trace.last(traceLines) : [],
  };

  /** At the end the roster is what the log says. */
  function checkRoster(watched: Monitors, of: Nodes, by: Judge): void {
    const roster = watched.rosterOf(watched.root!);
    const expected = tablesAtTheEnd(workload).map((table) => `${table.tableId} in ${table.schema.id}`);
    const known = [...roster.tables].map(([tableId, schemaId]) => `${tableId} in ${schemaId}`);
    if (expected.sort().join() !== known.sort().join())
      by.fail("roster", `tables are ${known.join()} and should be ${expected.join()}`);
    for (const carrier of of.carriers.values())
      if (!carrier.over && !stands(roster.lives.get(carrier.id), carrier))
        by.fail("roster", `dispatcher ${carrier.id} is known in another life`);
  }
}

function stands(known: StoredLife | undefined, { node, running }: Carrier): boolean {
  return isOldName(node) ? known?.node === node : known?.life === running?.life;
}

function describeArgs(method: string, args: readonly unknown[]): string {
  if (method === "commitRoot") {
    const changes = args[2] as RootChanges;
    const { step, open, roster, remove } = changes;
    return [
      step && `${step.key.slice(-9)} ${step.step.phase}`,
      open && `open ${open.key.slice(-9)}`,
      roster && `roster ${roster.version}`,
      remove && `remove ${remove.slice(-9)}`,
    ]
      .filter(Boolean)
      .join(", ");
  }
  const name = args[0] as { key?: string } | undefined;
  return name?.key ? name.key.slice(-9) : "";
}
